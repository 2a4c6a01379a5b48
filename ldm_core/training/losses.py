"""What the two stages minimise."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def reconstruction(decoded: Tensor, image: Tensor, mse_weight: float, gradient_weight: float) -> Tensor:
    """L1 + weighted MSE + weighted L1 of image gradients, of images (B, 3, H, W) in [-1, 1]."""
    error = decoded - image
    across = error[..., :, 1:] - error[..., :, :-1]
    down = error[..., 1:, :] - error[..., :-1, :]
    edges = across.abs().mean() + down.abs().mean()
    return error.abs().mean() + mse_weight * error.square().mean() + gradient_weight * edges


def halved(values: Tensor) -> Tensor:
    """Images or latents (B, C, h, w) at half the size: each value the mean of four."""
    return F.avg_pool2d(values, 2)


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


def channel_divergence(latent: Tensor) -> Tensor:
    """KL(N(m_c, s_c^2) || N(0, 1)) of each channel's mean and spread over a batch of latents (B, C, h, w), their mean.

    It moves and scales whole channels, which costs no detail, where the divergence of single values shrinks what they say.
    """
    mean, variance = latent.mean(dim=(0, 2, 3)), latent.var(dim=(0, 2, 3), unbiased=False) + 1e-6
    return 0.5 * (mean.square() + variance - 1 - variance.log()).mean()


def timesteps(
    count: int, steps: int, sampling: str, generator: torch.Generator | None = None, device: str = "cpu"
) -> Tensor:
    """Times of training (count,), integers below `steps`: `uniform`; `logit_normal`, more of the middle where most is
    decided (Esser et al. 2024, section 3.1, m = 0, s = 1); or `cubic`, more of the noisy ones, where the layout is
    (Mou et al. 2023, section 3.4: t = (1 - u^3) steps)."""
    if sampling == "uniform":
        return torch.randint(steps, (count,), generator=generator, device=device)
    if sampling == "logit_normal":
        return (torch.randn(count, generator=generator, device=device).sigmoid() * steps).long().clamp(max=steps - 1)
    if sampling == "cubic":
        return ((1 - torch.rand(count, generator=generator, device=device) ** 3) * steps).long().clamp(max=steps - 1)
    raise ValueError(f"time_sampling must be uniform, logit_normal or cubic, got {sampling!r}")


def min_snr_weight(alpha_bar: Tensor, gamma: float, prediction_type: str) -> Tensor:
    """Weights (B,) of the squared errors under which all times pull alike (Hang et al. 2023): min(snr, gamma) on the
    clean latent's error; divided by snr where noise is predicted, by snr + 1 where v is."""
    snr = alpha_bar / (1 - alpha_bar).clamp(min=1e-8)
    return snr.clamp(max=gamma) / (snr + 1 if prediction_type == "v_prediction" else snr.clamp(min=1e-8))


def attention_outside(looked_up: Tensor, masks: Tensor, counted: Tensor) -> Tensor:
    """How much of a word's attention lies outside what the word names (TokenCompose, Wang et al. 2024, its token loss): 0 where
    all is inside, 1 where none is.

    looked_up is (B, h w, T), masks (B, T, H, W) of ones inside, counted (B, T) says which tokens name anything.
    """
    side = math.isqrt(looked_up.shape[1])
    inside = F.adaptive_avg_pool2d(masks, side).flatten(2)  # (B, T, h w)
    maps = looked_up.transpose(1, 2).float()
    share = (maps * inside).sum(-1) / maps.sum(-1).clamp(min=1e-8)
    return _outside(share, counted)


def attention_outside_slots(looked_up: Tensor, masks: Tensor, match: Tensor) -> Tensor:
    """`attention_outside` where a picture's masks are few and its tokens many: masks (B, M, H, W), match (B, T, M) says
    which tokens name what each mask is of; a token names one at the most. No mask is copied to a token, which of a batch of
    hundreds would be gigabytes."""
    side = math.isqrt(looked_up.shape[1])
    inside = F.adaptive_avg_pool2d(masks, side).flatten(2)  # (B, M, h w)
    maps = looked_up.float()
    share = torch.einsum("bpt,bmp->btm", maps, inside).mul(match).sum(2) / maps.sum(1).clamp(min=1e-8)
    return _outside(share, match.any(2))


def _outside(share: Tensor, counted: Tensor) -> Tensor:
    """Of the share of each token's attention (B, T) that lies inside what it names."""
    return ((1 - share).square() * counted).sum() / counted.sum().clamp(min=1)


def layout_surprise(logits: Tensor, covered: Tensor) -> Tensor:
    """How badly a layout was foretold: the cross-entropy of each name in each cell, nats, summed over names, the mean over
    cells. logits is (B, names, h, w), covered (B, names, H, W) the share of a cell that is covered.

    A proper score: while the picture is still noise, it is least where the shares expected of the caption are told.
    """
    shares = F.adaptive_avg_pool2d(covered, (logits.shape[-2], logits.shape[-1]))
    return F.binary_cross_entropy_with_logits(logits, shares, reduction="none").sum(dim=1).mean()


def composition_gap(both: Tensor, first: Tensor, second: Tensor, neither: Tensor) -> Tensor:
    """How far two attributes are from acting independently on what is predicted (CoInD, Gaudi et al. 2025):
    |e(a, b) + e() - e(a) - e(b)|^2, the mean over all values."""
    return (both + neither - first - second).square().mean()


@torch.no_grad()
def update_ema(average: dict[str, Tensor], parameters: dict[str, Tensor], decay: float, step: int) -> None:
    """average = d average + (1 - d) parameters, in place; d grows from 0 to the decay over the first steps."""
    rate = min(decay, (1 + step) / (10 + step))
    for name, parameter in parameters.items():
        average[name].lerp_(parameter.to(average[name].dtype), 1 - rate)
