"""Pure operations on latents (B, C, h, w)."""

from __future__ import annotations

import torch
from torch import Tensor


def lerp(a: Tensor, b: Tensor, amount: float) -> Tensor:
    """(1 - amount) a + amount b: right for clean latents."""
    return a + amount * (b - a)


def slerp(a: Tensor, b: Tensor, amount: float) -> Tensor:
    """Along the great circle from a to b, row by row (Shoemake 1985): right for noise, whose length it keeps."""
    flat_a, flat_b = a.flatten(1), b.flatten(1)
    cosine = (flat_a * flat_b).sum(1) / (flat_a.norm(dim=1) * flat_b.norm(dim=1))
    angle = torch.acos(cosine.clamp(-1, 1)).view(-1, *[1] * (a.ndim - 1))
    blended = (torch.sin((1 - amount) * angle) * a + torch.sin(amount * angle) * b) / torch.sin(angle)
    return torch.where(torch.sin(angle).abs() < 1e-6, lerp(a, b, amount), blended)  # parallel: there is no circle


def statistics(latents: Tensor) -> dict[str, Tensor]:
    """Mean, standard deviation, minimum and maximum per channel, each (C,)."""
    channels = latents.transpose(0, 1).flatten(1)
    return {"mean": channels.mean(1), "std": channels.std(1), "min": channels.amin(1), "max": channels.amax(1)}


def fit_preview(latents: Tensor, images: Tensor) -> Tensor:
    """The linear map from latent to colour, (C + 1, 3), least squares over images (B, 3, h f, w f) in [0, 1]."""
    small = torch.nn.functional.adaptive_avg_pool2d(images, latents.shape[-2:])
    inputs = latents.movedim(1, -1).flatten(0, -2)
    inputs = torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)
    return torch.linalg.lstsq(inputs, small.movedim(1, -1).flatten(0, -2)).solution


def preview(latents: Tensor, matrix: Tensor) -> Tensor:
    """Latents -> small images (B, 3, h, w) in [0, 1] by the map of fit_preview: no decoder needed."""
    return (torch.einsum("bchw,cr->brhw", latents, matrix[:-1]) + matrix[-1].view(1, 3, 1, 1)).clamp(0, 1)
