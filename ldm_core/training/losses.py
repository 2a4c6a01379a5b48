"""What the two stages minimise."""

from __future__ import annotations

import torch
from torch import Tensor


def reconstruction(decoded: Tensor, image: Tensor, mse_weight: float, gradient_weight: float) -> Tensor:
    """L1 + weighted MSE + weighted L1 of image gradients, of images (B, 3, H, W) in [-1, 1]."""
    error = decoded - image
    across = error[..., :, 1:] - error[..., :, :-1]
    down = error[..., 1:, :] - error[..., :-1, :]
    edges = across.abs().mean() + down.abs().mean()
    return error.abs().mean() + mse_weight * error.square().mean() + gradient_weight * edges


def kl_divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)) of latents (B, C, h, w): summed over a latent, averaged over the batch."""
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(dim=(1, 2, 3)).mean()


def diffusion_target(clean: Tensor, noise: Tensor, alpha_bar: Tensor, prediction_type: str) -> tuple[Tensor, Tensor]:
    """The noisy latent and what the network should say of it, for alpha_bar (B,).

    z_t = sqrt(alpha_bar) z_0 + sqrt(1 - alpha_bar) eps (Ho et al. 2020, eq. 4); the target is eps, or
    v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) z_0 (Salimans & Ho 2022).
    """
    signal, spread = alpha_bar.sqrt().view(-1, 1, 1, 1), (1 - alpha_bar).sqrt().view(-1, 1, 1, 1)
    noisy = signal * clean + spread * noise
    if prediction_type == "epsilon":
        return noisy, noise
    if prediction_type == "v_prediction":
        return noisy, signal * noise - spread * clean
    raise ValueError(f"prediction_type must be epsilon or v_prediction, got {prediction_type!r}")


@torch.no_grad()
def update_ema(average: dict[str, Tensor], parameters: dict[str, Tensor], decay: float, step: int) -> None:
    """average = d average + (1 - d) parameters, in place; d grows from 0 to the decay over the first steps."""
    rate = min(decay, (1 + step) / (10 + step))
    for name, parameter in parameters.items():
        average[name].lerp_(parameter.to(average[name].dtype), 1 - rate)
