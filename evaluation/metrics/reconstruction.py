"""How much of an image an autoencoder keeps."""

from __future__ import annotations

import torch
from torch import Tensor


def psnr(images: Tensor, others: Tensor, data_range: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio in dB, per image: 10 log10(R^2 / MSE) of (B, C, H, W); infinite where they are equal."""
    if images.shape != others.shape:
        raise ValueError(f"images and others must have one shape, got {tuple(images.shape)} and {tuple(others.shape)}")
    error = (images.double() - others.double()).square().flatten(1).mean(1)
    return 10 * torch.log10(data_range**2 / error)
