"""Every formula against a value worked out by hand, in milliseconds, before a run begins.

A library that has changed its mind, or a broken installation, stops the run here and not in a table.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ..detectors.resize import resize
from ..statistics import jackknife, mean
from .frechet import FrechetReference
from .kernel import KernelReference
from .neighbours import NeighbourReference
from .reconstruction import psnr, ssim


def self_check() -> None:
    """RuntimeError names the first formula that does not give its value."""
    for name, value, expected in checks():
        if value is None or not abs(value - expected) <= 1e-6 * max(1.0, abs(expected)):
            raise RuntimeError(
                f"self-check: {name} gives {value!r} where {expected!r} is right; no figure here can be trusted"
            )


def checks() -> Iterator[tuple[str, float | None, float]]:
    """Name, what it gives, what is right."""
    gaussian = FrechetReference(np.array([2.0, 3]), np.array([[1.0, 0], [0, 4]]))
    other = gaussian.distance(np.array([5.0, 7]), np.array([[3.0, 2], [2, 8]]))
    yield "frechet", other, 41 - 2 * (35 + 2 * 80**0.5) ** 0.5  # 41 - 2 sqrt(tr AB + 2 sqrt(det AB))
    yield "kernel", KernelReference(np.array([[1.0], [2.0]])).distance(np.array([[0.0], [1.0]])), 9.5
    opposite = KernelReference(np.array([[2.0, 0], [5, 0]]), "cmmd").distance(np.array([[-1.0, 0], [-3, 0]]))
    yield "cmmd", opposite, 2000 * (1 - np.exp(-0.02))
    real, fake = np.array([[0.0], [1], [10], [11]]), np.array([[0.2], [1.4], [50], [60]])
    for statistic, expected in (("precision", 0.5), ("recall", 0.5), ("density", 0.75), ("coverage", 0.5)):
        yield statistic, NeighbourReference(real, statistic, neighbours=1).distance(fake), expected
    grey = torch.full((1, 3, 16, 16), 100 / 255)
    yield "psnr", float(psnr(grey, grey + 1 / 255)), 48.1308036086791
    yield "ssim", float(ssim(grey, grey)), 1.0
    for mode in ("clean", "tf1", "pytorch"):
        yield f"resize {mode}", float(resize(torch.full((1, 1, 9, 9), 77.0), 5, mode).double().mean()), 77.0
    yield "standard error", mean([1.0, 2.0, 3.0]).se, 3**-0.5
    yield "jackknife", jackknife(2.0, [1.5, 2.0, 2.5], 3)[0].se, 3**-0.5  # of a mean, it is the standard error
