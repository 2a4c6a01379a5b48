"""References that distances are measured to: what real images' features are like, and how that came to be known."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ldm_core.files import whole_file
from ldm_core.images import from_uint8

from ..metrics.frechet import Moments
from .detector import Detector
from .reference_files import IMAGES_AT_ONCE, Stored, read_stored, stored_images
from .statistics_checks import check_statistics

KEPT = 5000  # features that a file keeps for the kernel distance and the neighbours, spread evenly: more add little
UNKNOWN = "protocol unknown"  # how a description ends where a file does not say how it was made


@dataclass(frozen=True)
class Reference:
    """Mean (d,) and covariance (d, d) of real images' features, some of the features (k, d), and how they came about."""

    words: str
    mean: np.ndarray
    covariance: np.ndarray
    features: np.ndarray | None = None
    protocol: dict = field(default_factory=dict)

    @classmethod
    def of(cls, words: str, features: np.ndarray, protocol: dict | None = None) -> Reference:
        """Of features (n, d), finite; n >= 2."""
        features = np.asarray(features)
        check_statistics(None, None, features)
        if len(features) < 2:
            raise ValueError(f"a reference needs 2 images or more, got {len(features)}")
        moments = Moments.of(features)
        kept = np.unique(np.linspace(0, len(features) - 1, min(KEPT, len(features))).round().astype(int))
        return cls(
            words,
            moments.mean,
            moments.covariance,
            np.asarray(features[kept], np.float32),
            {"n": len(features)} | (protocol or {}),
        )

    @property
    def known(self) -> bool:
        """Whether it is known how it was made; distances to one that is not compare with nothing but each other."""
        return not self.words.endswith(UNKNOWN)


def made_by(detector: Detector, n: int, crop: str = "none") -> dict:
    """The protocol of a reference of `n` images."""
    return {
        "n": n,
        "detector": detector.name,
        "detector_sha256": detector.sha256,
        "resize": detector.resize,
        "crop": crop,
    }


def save_reference(path: Path, reference: Reference) -> None:
    """Write a file of statistics, whole or not at all."""
    features = np.zeros((0, len(reference.mean)), np.float32) if reference.features is None else reference.features
    arrays = {"mu": reference.mean, "sigma": reference.covariance, "features": features}
    if reference.protocol:
        arrays["protocol"] = np.array(json.dumps(reference.protocol))
    with whole_file(path) as partial, partial.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # their names are not its option's


def read_reference(detector: Detector, path: Path) -> Reference:
    """A file of statistics, its protocol compared with the run's detector; its images seen where it holds some."""
    stored = read_stored(path, detector.dimension)
    mean = stored.mean
    if mean is not None and mean.size != detector.dimension:
        if stored.images:
            return _of_images(detector, stored, None)
        raise ValueError(
            f"--reference {path} is of {mean.size} dimensions; features of {detector.name} have {detector.dimension}"
        )
    if stored.images:
        return _of_images(detector, stored, mean)
    reference = _of_statistics(stored)
    if reference.mean.size != detector.dimension:
        raise ValueError(
            f"--reference {path} holds features of width {reference.mean.size}; those of {detector.name} have "
            f"{detector.dimension}"
        )
    for name, key, have in (("weights", "detector_sha256", detector.sha256), ("resizing", "resize", detector.resize)):
        there = reference.protocol.get(key, have)
        if there != have:
            raise ValueError(f"--reference {path} was made with other {name}: {there} there, {have} here")
    return reference


def stored_reference(path: Path) -> Reference:
    """A file of statistics as it is; ValueError where it is none."""
    return _of_statistics(read_stored(path))


def _of_statistics(stored: Stored) -> Reference:
    """What a file says of itself; what it does not say stays unknown."""
    name, n = stored.path.name, stored.n
    if stored.mean is None or stored.covariance is None:
        if stored.features is None or len(stored.features) < 2:
            raise ValueError(f"--reference {stored.path} holds neither mu and sigma nor features of 2 images or more")
        return Reference.of(f"{name}, {len(stored.features)} images, {UNKNOWN}", stored.features)
    words = [name] + ([f"{n} images"] if n else []) + ([] if "detector_sha256" in stored.protocol else [UNKNOWN])
    protocol = stored.protocol or ({"n": n} if n else {})
    return Reference(", ".join(words), stored.mean, stored.covariance, stored.features, protocol)


def _of_images(detector: Detector, stored: Stored, mean: np.ndarray | None) -> Reference:
    """ADM's sample files: features of the images within; mean and covariance are the file's own where it has them.

    Those are of the whole training set where the images are a part of it, and the file does not say how they came about.
    """
    batches = tqdm(
        stored_images(stored.path),
        desc=f"reference for {detector.name}",
        unit="batch",
        total=-(-stored.images // IMAGES_AT_ONCE),
        mininterval=2,
    )
    features = np.concatenate([detector.image_features(from_uint8(batch)).numpy() for batch in batches])
    words = f"{stored.path.name}, {stored.images} images"
    reference = Reference.of(words, features, made_by(detector, stored.images) | {"file": stored.path.name})
    if mean is None or stored.covariance is None:
        return reference
    protocol = {"n": None, "features": f"of {stored.images} images in it, by {detector.name}, {detector.resize}"}
    words = f"{stored.path.name}, its own mu and sigma, {UNKNOWN}"
    return Reference(words, mean, stored.covariance, reference.features, protocol)
