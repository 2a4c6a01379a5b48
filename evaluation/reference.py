"""Reference features for distances: what ships with each detector, or a folder of images.

    python -m evaluation.reference      makes the drawn world's anew after its detector or drawing program has changed

A shipped reference is stamped with the hash of the detector that made it, and refused where that is another. The drawn
world's are drawings whose seeds nothing was ever trained on; Fashion-MNIST's are test images.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from ldm_core.data import scenes
from ldm_core.images import from_pil, from_uint8

from .metrics.detectors import Detector, load_detector

COUNT = 2000
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def load_reference(detector: Detector, folder: Path | None = None) -> np.ndarray:
    """Features (N, d) of the reference, float32: those that ship with the detector, or of a folder of images."""
    if folder is not None:
        return folder_features(detector, folder)
    file = detector.weights.parent / "reference.npz"
    if not file.exists():
        raise ValueError(f"no reference at {file}; make it: python -m evaluation.reference")
    with np.load(file) as stored:
        if str(stored["detector"]) != detector.sha256:
            raise ValueError(f"{file} was made by another detector; make it anew: python -m evaluation.reference")
        return stored["features"].astype(np.float32)


def folder_features(detector: Detector, folder: Path) -> np.ndarray:
    """Features of every picture of a folder, in the order of their names."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if len(files) < 2:
        raise ValueError(
            f"--reference {folder} holds {len(files)} pictures ({', '.join(PICTURES)}); at least 2 are needed"
        )
    features = []
    for path in files:
        try:
            with Image.open(path) as picture:
                features.append(detector.image_features(from_pil(picture)[None]).numpy())
        except OSError as error:
            raise ValueError(f"--reference: {path} cannot be read: {error}") from None
    return np.concatenate(features)


def make_reference(count: int = COUNT) -> None:
    """Draw, look, and write the features beside the detector's weights."""
    detector = load_detector("scenes")
    features = []
    for seed in tqdm(scenes.REFERENCE_SEEDS[:count], desc="reference", unit="drawing", mininterval=2):
        features.append(detector.image_features(from_uint8(scenes.draw(scenes.random_scene(seed))[None])).numpy())
    write_reference(detector, np.concatenate(features))


def write_reference(detector: Detector, features: np.ndarray) -> None:
    """Put features (N, d) beside a detector's weights, stamped with its hash; whole or not at all."""
    file = detector.weights.parent / "reference.npz"
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez(stream, features=features, detector=detector.sha256)
    os.replace(partial, file)


if __name__ == "__main__":
    make_reference()
