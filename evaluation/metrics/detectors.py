"""The detectors by name: networks that turn images into features and per-image scores.

name, sha256    what it is, and which weights
dimension       numbers in a feature
resize          how images are brought to its size
features        images (B, 3, H, W) in [0, 1] -> (B, dimension), float32
look            images and their prompts -> features (B, dimension) and {metric: a score an image, NaN where none}
ceiling         what real images score by the metric that has one, and in words what they are
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from ..statistics import Estimate
from .fashion_detector import load_fashion_detector
from .scenes_detector import load_scenes_detector


class Detector(Protocol):
    """What every detector offers; see above."""

    name: str
    sha256: str
    dimension: int
    resize: str
    weights: Path

    def image_features(self, images: Tensor) -> Tensor: ...

    def look(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]: ...

    def ceiling(self) -> tuple[Estimate, str]: ...


LOADERS = {"scenes": load_scenes_detector, "fashion": load_fashion_detector}


def load_detector(name: str) -> Detector:
    """The detector of a name, its weights checked; ValueError says what is missing."""
    return LOADERS[name]()
