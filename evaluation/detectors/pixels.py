"""What pixels say by themselves, without any network: how many of them are clipped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class PixelDetector:
    """Stands among the detectors, has no weights and no features."""

    name, sha256, dimension, resize = "pixels", "clipped at 0 and 255, version 1", 0, ""

    def image_features(self, images: Tensor) -> Tensor:
        """None of images (B, 3, H, W): (B, 0)."""
        return torch.zeros(len(images), 0)

    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """No features; clipped of images (B, 3, H, W) in [0, 1]."""
        return np.zeros((len(images), 0), np.float32), {"clipped": clipped(images).tolist()}


def clipped(images: Tensor) -> Tensor:
    """The share of pixels (0 to 1) of which a channel is 0 or 255 in 8 bits, of images (B, 3, H, W) in [0, 1] -> (B,):
    what too much guidance drives into saturation cannot be told apart there any more."""
    levels = (255 * images).round()
    return ((levels <= 0) | (levels >= 255)).any(dim=1).float().mean(dim=(1, 2))
