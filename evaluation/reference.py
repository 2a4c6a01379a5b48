"""Reference features for the distances of the drawn world.

    python -m evaluation.reference      makes them anew after the detector or the drawing program has changed

They ship with the detector: float32 features of drawings whose seeds nothing was ever trained on, stamped with the
hash of the detector that made them, and refused where that is another.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from ldm_core.data import scenes
from ldm_core.images import from_pil, from_uint8

from .metrics.scenes_detector import WEIGHTS, ScenesDetector, load_scenes_detector

FILE = WEIGHTS.parent / "reference.npz"
COUNT = 2000
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def load_reference(detector: ScenesDetector, folder: Path | None = None) -> np.ndarray:
    """Features (N, 64) of the reference: the shipped drawings', or those of a folder of images."""
    if folder is not None:
        return folder_features(detector, folder)
    if not FILE.exists():
        raise ValueError(f"no reference at {FILE}; make it: python -m evaluation.reference")
    with np.load(FILE) as stored:
        if str(stored["detector"]) != detector.sha256:
            raise ValueError(f"{FILE.name} was made by another detector; make it anew: python -m evaluation.reference")
        return stored["features"]


def folder_features(detector: ScenesDetector, folder: Path) -> np.ndarray:
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
    detector = load_scenes_detector()
    features = []
    for seed in tqdm(scenes.REFERENCE_SEEDS[:count], desc="reference", unit="drawing", mininterval=2):
        features.append(detector.image_features(from_uint8(scenes.draw(scenes.random_scene(seed))[None])).numpy())
    partial = FILE.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, features=np.concatenate(features), detector=detector.sha256)
    os.replace(partial, FILE)


if __name__ == "__main__":
    make_reference()
