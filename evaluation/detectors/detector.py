"""The detectors by name: networks that turn images into features and per-image scores.

name, sha256    what it is, and which weights
dimension       numbers in a feature
resize          how images are brought to its size
features        images (B, 3, H, W) in [0, 1] -> (B, dimension), float32
extract         images and their prompts -> features (B, dimension) and {metric: a score an image, NaN where none}
scores          the names of its scores an image, and ceiling, what real images score by one of them and in words what these
                are: a world's own detector has both
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from ..downloads import NO_DOWNLOADS, Downloads
from ..statistics import Estimate
from .clip import load_clip, load_cmmd
from .dinov2 import load_dinov2
from .everyday import load_everyday_detector
from .fashion import load_fashion_detector
from .inception import load_inception
from .pixels import PixelDetector


class Detector(Protocol):
    """What every detector offers; see above."""

    name: str
    sha256: str
    dimension: int
    resize: str

    def image_features(self, images: Tensor) -> Tensor: ...

    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]: ...


class WorldDetector(Detector, Protocol):
    """A detector that ships with the repository: beside its weights lies a reference, and it knows its own ceiling."""

    weights: Path

    scores: tuple[str, ...]

    def ceiling(self, metric: str) -> tuple[Estimate, str]: ...


# The worlds that models of this repository are made to draw, and who reads their pictures.
WORLDS: dict[str, Callable[[], WorldDetector]] = {
    "everyday": load_everyday_detector,
    "fashion": load_fashion_detector,
}
PUBLISHED: dict[str, Callable[..., Detector]] = {
    "inception": load_inception,
    "clip": load_clip,
    "cmmd": load_cmmd,
    "dinov2": load_dinov2,
}
NAMES = (*WORLDS, *PUBLISHED)


def load_detector(
    name: str, resize: str = "clean", device: str = "cpu", downloads: Downloads = NO_DOWNLOADS
) -> Detector:
    """The detector of a name, its weights checked; ValueError says what is missing.

    `resize` is Inception's mode; the others have one way each. A world's own detector always works on the CPU.
    """
    if name == PixelDetector.name:
        return PixelDetector()
    if name in WORLDS:
        return WORLDS[name]()
    if name not in PUBLISHED:
        raise ValueError(f"detector must be one of {', '.join(NAMES)}, got {name!r}")
    modes = (resize,) if name == "inception" else ()
    return PUBLISHED[name](*modes, device=device, downloads=downloads)
