"""References of the worlds that models are made to draw, for detectors that ship none, such as Inception."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ldm_core.data import fashion_mnist
from ldm_core.images import from_uint8

from ..downloads import NO_DOWNLOADS, Downloads
from ..worlds import DRAWN, drawings
from .detector import Detector
from .reference_sources import cached
from .references import Reference, made_by

# Pictures of a reference, the same for every detector: more than Inception's 2048 features, and as many as COCO val2017.
COUNT = 5000
BATCH = 50  # pictures
FASHION_VARIABLE = "LDM_FASHION_MNIST"  # the folder of its four official files
FASHION_TEST_BYTES = 4_422_102 + 5_148


def world_reference(
    detector: Detector, world: str, downloads: Downloads = NO_DOWNLOADS, count: int | None = None
) -> Reference:
    """Of `count` (default COUNT) pictures of a world, a name of PICTURES, made once and kept in the user's cache.

    everyday    drawings of the reference seeds, which no model has learned from
    fashion     the official test images, spread evenly, on black squares as the model draws them
    """
    if world not in PICTURES:
        raise ValueError(f"no reference can be made of the world {world!r}; known: {', '.join(PICTURES)}")
    count = COUNT if count is None else count
    pictures = functools.partial(PICTURES[world], count, downloads)
    version = hashlib.sha256(next(pictures()).tobytes()).hexdigest()  # a world that is drawn otherwise is another

    def make() -> Reference:
        bar = tqdm(total=count, desc=f"reference for {detector.name}", unit="image", mininterval=2)
        features = []
        with bar:
            for batch in pictures():
                features.append(detector.image_features(from_uint8(batch)).numpy())
                bar.update(len(batch))
        protocol = made_by(detector, count) | {"world": world, "world_sha256": version}
        return Reference.of("", np.concatenate(features), protocol)

    reference = cached(detector, f"{world}-{count}-{version[:12]}", make)
    return Reference(
        f"{count} {WORDS[world]}", reference.mean, reference.covariance, reference.features, reference.protocol
    )


def _drawings(world: str, count: int, downloads: Downloads) -> Iterator[np.ndarray]:
    """Drawings of a world's reference seeds, uint8 (up to BATCH, H, W, 3)."""
    for start in range(0, count, BATCH):
        yield drawings(world, DRAWN[world].REFERENCE_SEEDS[start : min(start + BATCH, count)])


def _clothes(count: int, downloads: Downloads) -> Iterator[np.ndarray]:
    """Fashion-MNIST's test images, uint8 (up to BATCH, 32, 32, 3)."""
    images, _ = fashion_mnist.load("test", _fashion_folder(downloads))
    chosen = np.linspace(0, len(images) - 1, count).round().astype(int)
    for start in range(0, count, BATCH):
        grey = fashion_mnist.pad(images[chosen[start : start + BATCH]])
        yield np.repeat(grey[..., None], 3, axis=3)


def _fashion_folder(downloads: Downloads) -> Path | None:
    """The folder of the data set that is named or in the cache; None, which fetches it, where that is agreed."""
    if named := os.environ.get(FASHION_VARIABLE):
        return Path(named)
    cache = fashion_mnist.CACHE
    if not all((cache / name).exists() for (split, _), (name, _) in fashion_mnist.FILES.items() if split == "test"):
        try:
            downloads.permit("Fashion-MNIST's test images", FASHION_TEST_BYTES, "its authors' site", cache)
        except ValueError as error:
            raise ValueError(f"{error}, or set {FASHION_VARIABLE} to the folder of its four files") from None
    return None


PICTURES: dict[str, Callable[[int, Downloads], Iterator[np.ndarray]]] = {
    **{name: functools.partial(_drawings, name) for name in DRAWN},
    "fashion": _clothes,
}
WORDS = {**dict.fromkeys(DRAWN, "drawings of the reference seeds"), "fashion": "official test images"}
