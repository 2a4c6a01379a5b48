"""The Haar wavelet: an image as a coarse half and three detail bands, and what two images share of the details.

The transform is orthonormal: squared errors of bands add up to those of pixels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .reconstruction import psnr, ssim

# Rows: coarse, across (left minus right), down (top minus bottom), diagonal; columns: the four pixels of a square.
HAAR = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2


def haar(images: Tensor) -> tuple[Tensor, Tensor]:
    """Images (B, C, H, W) of even sides -> the coarse band (B, C, H/2, W/2) and the details (B, C, 3, H/2, W/2): across, down
    and diagonal. The coarse band of images in [0, 1] lies in [0, 2], each detail in [-1, 1]."""
    height, width = images.shape[2:]
    if height % 2 or width % 2:
        raise ValueError(f"images must have even sides for the wavelet, got {height} x {width}")
    squares = images.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)  # (B, C, H/2, W/2, 4)
    bands = torch.einsum("bchwp,kp->bckhw", squares, HAAR.to(images))
    return bands[:, :, 0], bands[:, :, 1:]


def unhaar(coarse: Tensor, details: Tensor) -> Tensor:
    """The images (B, C, H, W) of `haar`'s bands."""
    bands = torch.cat([coarse[:, :, None], details], dim=2)
    squares = torch.einsum("bckhw,kp->bcphw", bands, HAAR.to(coarse))
    return torch.pixel_shuffle(squares.flatten(1, 2), 2)


def high_band(images: Tensor) -> Tensor:
    """What of images (B, C, H, W) the finest details are: the images without their coarse band, about 0."""
    coarse, details = haar(images)
    return unhaar(torch.zeros_like(coarse), details)


def high_psnr(images: Tensor, others: Tensor) -> Tensor:
    """PSNR in dB of the finest details, per image of (B, C, H, W) in [0, 1]; of a picture without any against a flat one
    infinite. Blurring betters it where details stand in other places: read it beside the energy."""
    return psnr(high_band(images), high_band(others))


def high_ssim(images: Tensor, others: Tensor) -> Tensor:
    """Structural similarity of the finest details, per image of (B, 3, H, W) in [0, 1]."""
    return ssim(high_band(images), high_band(others))


def energy(images: Tensor) -> Tensor:
    """Mean square of the finest details, per image of (B, C, H, W) in [0, 1]."""
    return haar(images)[1].double().square().flatten(1).mean(1)


def energy_gap(images: Tensor, others: Tensor) -> Tensor:
    """How far the details' energy is from that of others, per image, in octaves: |log2 of the ratio|; a part in 10^8 is added to
    both, so that flat pictures have a value."""
    return (torch.log((energy(images) + 1e-8) / (energy(others) + 1e-8)) / math.log(2)).abs()
