"""Whether pictures obey the control images that steered them: where their things are, read off them, against where the images
asked for things."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ldm_core.tasks.control import LUMA

from ..detectors.silhouettes import SilhouetteReader, ious
from ..generation.prompt_pictures import fitted
from ..statistics import Estimate


class ControlDetector:
    """A reader of silhouettes with the control images, by their prompts' places; it has no features."""

    reads = "prompt_id"  # the column whose values it is given in the captions' place
    dimension = 0

    def __init__(self, controls: Mapping[int, Path], protocol: Mapping[str, str], reader: SilhouetteReader):
        self.controls, self.reader = controls, reader
        self.name, self.resize = f"{reader.name}, the control images", reader.resize
        self.sha256 = hashlib.sha256(f"{protocol} {reader.sha256}".encode()).hexdigest()

    def image_features(self, images: Tensor) -> Tensor:
        """None of images (B, 3, H, W): (B, 0)."""
        return torch.zeros(len(images), 0)

    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """No features; of images (B, 3, H, W) in [0, 1] and their prompts' places the iou with what is white in their control
        images, NaN where nothing is."""
        asked = torch.stack([fitted(self.controls[int(place)], *images.shape[2:]) for place in prompts])
        white = (asked * asked.new_tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True)
        return np.zeros((len(images), 0), np.float32), {"control_iou": ious(self.reader, images, white)}

    def ceiling(self, metric: str) -> tuple[Estimate, str]:
        """What real drawings come to, and in words what these are."""
        return self.reader.ceiling(), "read off real drawings, against where their things are"
