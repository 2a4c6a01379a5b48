"""An autoencoder whose latent channels come in order of use, so that each place may keep as many of them as it needs.

Channels are turned to their principal components, and tails of them dropped at random while it trains (nested dropout,
Rippel et al. 2014), a number for each place or one for the whole picture: what is dropped reads as zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ldm_core.loading import autoencoder_folder, load_autoencoder
from ldm_core.precision import mixed
from ldm_core.training import losses
from ldm_core.training.config import AUTOENCODERS, NetworkConfig
from ldm_core.training.train_autoencoder import Network, batch_of, mean_of, to_model_range

from .fitting import fit

START = "photo-f8"  # whose weights and losses it begins with
LEVELS = (2, 4, 6, 8, 10, 12)  # channels that a place may keep
BITS = 8  # of a latent value
FACTOR = 8  # pixels of a place's side
LEARNING_RATE = 5e-4
STEPS = 100_000  # more than any number of minutes allows
BISECTIONS = 60


class Ordered(nn.Module):
    """A KL autoencoder's latents as their principal components over photographs, the largest first."""

    centre: Tensor
    basis: Tensor

    def __init__(self, vae: Network, centre: Tensor, basis: Tensor):
        super().__init__()
        self.vae = vae
        self.register_buffer("centre", centre)  # (C,)
        self.register_buffer("basis", basis)  # (C, C), a column each component

    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [-1, 1] -> components (B, C, h, w)."""
        return torch.einsum("bchw,ck->bkhw", mean_of(self.vae, images) - self.centre.view(1, -1, 1, 1), self.basis)

    def decode(self, components: Tensor) -> Tensor:
        """Components (B, C, h, w), zero where dropped -> images (B, 3, H, W) in [-1, 1]."""
        turned = torch.einsum("bkhw,ck->bchw", components, self.basis)
        return self.vae.decode(turned + self.centre.view(1, -1, 1, 1)).sample


def kept(components: Tensor, counts: Tensor) -> Tensor:
    """Components (B, C, h, w) of which each place keeps the first counts (B, h, w), the others zero."""
    order = torch.arange(components.shape[1]).view(1, -1, 1, 1)
    return components * (order < counts[:, None])


@torch.no_grad()
def ordered(images: np.ndarray) -> Ordered:
    """The untrained network: principal components over photographs, uint8 (N, S, S, 3)."""
    vae = load_autoencoder(autoencoder_folder(START)).vae
    means = torch.cat([mean_of(vae, to_model_range(part[None])) for part in images])
    values = means.permute(0, 2, 3, 1).flatten(0, 2).double()
    centre = values.mean(0)
    _, vectors = torch.linalg.eigh((values - centre).T @ (values - centre) / len(values))  # rising
    return Ordered(vae, centre.float(), vectors.flip(1).float())


def train(images: np.ndarray, minutes: float, fixed: int | None, folder: Path) -> Ordered:
    """Trained for so many processor minutes on photographs, uint8 (N, S, S, 3): with tails dropped at random, or with a fixed
    number of channels. It goes on where the folder stands."""
    torch.manual_seed(0)
    module = ordered(images[:64])
    about = f"{START}, {len(images)} photographs of {images.shape[1]} pixels, {fixed or 'any'} channels, {minutes:g} minutes"
    recipe = NetworkConfig(about, steps=STEPS, batch=8, learning_rate=LEARNING_RATE)
    crops = AUTOENCODERS[START]

    def loss_of(step: int) -> Tensor:
        generator = torch.Generator().manual_seed(step)
        return loss_on(module, batch_of(images, crops, step), fixed, generator)

    fit(module, recipe, folder, loss_of, minutes)
    return module


def loss_on(module: Ordered, image: Tensor, fixed: int | None, generator: torch.Generator) -> Tensor:
    """The recipe's own loss on images (B, 3, H, W) in [-1, 1], of components whose tails were dropped."""
    config = AUTOENCODERS[START]
    with mixed(image.device.type, cached=True):
        mean = module.encode(image)
        noisy = mean + config.posterior_std * torch.randn(mean.shape, generator=generator).to(mean)
        decoded = module.decode(kept(noisy, drawn_counts(mean, fixed, generator)))
    logvar = torch.full_like(mean, 2 * math.log(config.posterior_std))
    fit_ = losses.reconstruction(decoded.float(), image, config.mse_weight, config.gradient_weight)
    return fit_ + config.kl_weight * losses.kl_divergence(mean.float(), logvar.float())


def drawn_counts(components: Tensor, fixed: int | None, generator: torch.Generator) -> Tensor:
    """Channels kept (B, h, w): one fixed number; else of half of the images a number each, of the others one for each square
    of 2 x 2 places."""
    count, _, height, width = components.shape
    if fixed is not None:
        return torch.full((count, height, width), fixed)
    levels = torch.tensor(LEVELS)
    drawn = levels[torch.randint(len(LEVELS), (count, -(-height // 2), -(-width // 2)), generator=generator)]
    spread = drawn.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, :height, :width].clone()
    spread[: count // 2] = spread[: count // 2, :1, :1]
    return spread


@dataclass(frozen=True)
class ErrorEstimate:
    """The encoder's estimate of what dropping costs: of each level, squared error = offset + slope x energy of what is dropped."""

    offsets: Tensor  # (K,)
    slopes: Tensor  # (K,)

    def errors(self, components: Tensor) -> Tensor:
        """Of components (1, C, h, w) the mean squared error of a place's pixels at each level, (K, h, w)."""
        return self.offsets.view(-1, 1, 1) + self.slopes.view(-1, 1, 1) * tails(components)


def tails(components: Tensor) -> Tensor:
    """Energy of what each level drops of components (1, C, h, w): (K, h, w)."""
    energy = components[0].square()
    return torch.stack([energy[level:].sum(0) for level in LEVELS])


@torch.inference_mode()
def measured_errors(module: Ordered, images: Tensor, components: Tensor) -> Tensor:
    """What each level really costs an image (1, 3, H, W) in [0, 1], every place keeping as many: (K, h, w), by decoding them
    all."""
    found = []
    for level in LEVELS:
        rebuilt = decoded(module, components, torch.full(components.shape[2:], level))
        found.append(F.avg_pool2d((rebuilt - images).square().mean(1, keepdim=True), FACTOR)[0, 0])
    return torch.stack(found)


@torch.inference_mode()
def decoded(module: Ordered, components: Tensor, counts: Tensor) -> Tensor:
    """The image (1, 3, H, W) in [0, 1] of components (1, C, h, w) of which counts (h, w) are kept."""
    return ((module.decode(kept(components, counts[None])) + 1) / 2).clamp(0, 1)


@torch.inference_mode()
def estimate_of(module: Ordered, images: np.ndarray) -> ErrorEstimate:
    """Fitted by least squares to what levels cost photographs, uint8 (N, S, S, 3)."""
    energies, errors = [], []
    for image in images:
        pictured = to_model_range(image[None])
        components = module.encode(pictured)
        energies.append(tails(components).flatten(1))
        errors.append(measured_errors(module, (pictured + 1) / 2, components).flatten(1))
    return fitted(torch.cat(energies, 1), torch.cat(errors, 1))


def fitted(energies: Tensor, errors: Tensor) -> ErrorEstimate:
    """The line of least squares at each level through energies and errors (K, n), none falling."""
    x, y = energies.double(), errors.double()
    spread = x.var(1, unbiased=False)
    together = ((x - x.mean(1, keepdim=True)) * (y - y.mean(1, keepdim=True))).mean(1)
    slopes = torch.where(spread > 1e-12, together / spread.clamp(min=1e-12), 0).clamp(min=0)
    return ErrorEstimate((y.mean(1) - slopes * x.mean(1)).float(), slopes.float())


def cost_of(places: Tensor, levels: Sequence[int] = LEVELS) -> float:
    """Values a place, of which `places` (h, w) says the level: the mean of those kept, and the bits of saying which level, at
    their entropy, as values of BITS bits."""
    shares = torch.bincount(places.flatten(), minlength=len(levels)).double() / places.numel()
    entropy = -(shares * shares.clamp(min=1e-12).log2()).sum()
    return float((shares * torch.tensor(levels).double()).sum() + entropy / BITS)


def water_filled(errors: Tensor, budget: float, levels: Sequence[int] = LEVELS) -> Tensor:
    """Which level each place gets, (h, w), so that the errors (K, h, w) add up to least at no more than `budget` values a place:
    each place the level of least error + price x values, the price by bisection (Shoham & Gersho 1988)."""
    values = torch.tensor(levels).view(-1, 1, 1)
    cheapest = torch.zeros(errors.shape[1:], dtype=torch.long)
    if cost_of(cheapest, levels) > budget:
        raise ValueError(f"budget must allow {levels[0]} values a place, got {budget:g}")
    low, high, best = 1e-12, 1e3, cheapest
    for _ in range(BISECTIONS):
        price = math.sqrt(low * high)
        places = (errors + price * values).argmin(0)
        if cost_of(places, levels) <= budget:
            high, best = price, places
        else:
            low = price
    return best
