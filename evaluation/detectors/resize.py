"""How images are brought to a detector's size. The choice moves FID more than most models differ (Parmar et al. 2022).

clean     bicubic with antialias, not rounded afterwards: clean-fid's, equal to PIL's on floats to 0.02 of 255
tf1       TensorFlow 1's bilinear: corners at corners, no antialias: the graph of the first FID figures, torch-fidelity's
pytorch   bilinear with half-pixel centres and no antialias: pytorch-fid's
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..catalogue import RESIZE_MODES


def resize(images: Tensor, size: int, mode: str = "clean") -> Tensor:
    """Images (B, C, H, W), float, to (B, C, size, size); of the same range, but that bicubic may overshoot and is clamped.

    Grey levels 0 to 255 are expected by `clean`, which keeps within them.
    """
    if mode not in RESIZE_MODES:
        raise ValueError(f"resize must be one of {', '.join(RESIZE_MODES)}, got {mode!r}")
    if images.shape[-2:] == (size, size):
        return images
    if mode == "clean":
        return F.interpolate(images, (size, size), mode="bicubic", antialias=True, align_corners=False).clamp(0, 255)
    if mode == "pytorch":
        return F.interpolate(images, (size, size), mode="bilinear", align_corners=False)
    return _corner_bilinear(_corner_bilinear(images, size, 2), size, 3)


def _corner_bilinear(images: Tensor, size: int, axis: int) -> Tensor:
    """One axis of TensorFlow 1's resize_bilinear: place i of the result lies at i * (old / size) of the old."""
    old = images.shape[axis]
    place = torch.arange(size, device=images.device) * (old / size)
    low = place.floor().long()
    shape = [1] * images.ndim
    shape[axis] = size
    part = (place - low).to(images.dtype).view(shape)
    return images.index_select(axis, low).lerp(images.index_select(axis, (low + 1).clamp(max=old - 1)), part)
