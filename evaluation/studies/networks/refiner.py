"""A refiner behind a decoder: it corrects the wavelet details of a reconstruction, the coarse octave first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ldm_core.training.config import NetworkConfig

from ...metrics.wavelet import haar, unhaar
from .fitting import fit

LEVELS = 2  # octaves that are refined
WIDTH = 32  # channels of the refiner's inner layers
CROP, GRID = 64, 8  # pixels of training crops, and of what their corners are multiples of
ENERGY_WEIGHT = 2e-3  # on squared log ratios of energy; squared errors of 30 dB come to half of it
FLAT = 1e-6  # energy added to both sides of a ratio: flat crops have none


class Refiner(nn.Module):
    """Corrects the Haar details of images (B, 3, H, W), octave by octave, each from its own bands and the coarse band as the
    octave below has corrected it. It starts by changing nothing."""

    def __init__(self, width: int = WIDTH):
        super().__init__()
        self.octaves = nn.ModuleList(_corrector(width) for _ in range(LEVELS))

    def forward(self, images: Tensor, octave: int = 0) -> Tensor:
        coarse, details = haar(images)
        if octave + 1 < LEVELS:
            coarse = self.forward(coarse, octave + 1)
        bands = torch.cat([coarse, details.flatten(1, 2)], dim=1)
        return unhaar(coarse, details + self.octaves[octave](bands).view_as(details))


def _corrector(width: int) -> nn.Sequential:
    """12 bands in, corrections of 9 out."""
    layers: list[nn.Module] = []
    for channels in (12, width, width):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.SiLU()]
    last = nn.Conv2d(width, 9, 3, padding=1)
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    return nn.Sequential(*layers, last)


@dataclass(frozen=True)
class Pictures:
    """Originals and reconstructions, (N, 3, S, S) in [0, 1] each, and the seconds of decoding one."""

    originals: Tensor
    rebuilt: Tensor
    seconds: float

    def part(self, kept: slice) -> Pictures:
        return Pictures(self.originals[kept], self.rebuilt[kept], self.seconds)


def gains_of(trained: Pictures) -> Callable[[Tensor], Tensor]:
    """The contrast: of each octave's details the factor that brings their mean energy to the originals'."""
    factors, both = [], (trained.originals, trained.rebuilt)
    for _ in range(LEVELS):
        bands = [haar(images) for images in both]
        real, rebuilt = (details.square().mean() for _, details in bands)
        factors.append(float((real / rebuilt).sqrt()))
        both = (bands[0][0], bands[1][0])

    def apply(images: Tensor, octave: int = 0) -> Tensor:
        coarse, details = haar(images)
        return unhaar(apply(coarse, octave + 1) if octave + 1 < LEVELS else coarse, factors[octave] * details)

    return apply


def trained_refiner(trained: Pictures, energy_weight: float, steps: int, about: str, folder: Path) -> Refiner:
    """A refiner of these pictures, of which `about` says what they are, taken up where its folder stands."""
    torch.manual_seed(0)
    module = Refiner()
    config = NetworkConfig(f"{about}, energy {energy_weight:g}", steps=steps)

    def loss_of(step: int) -> Tensor:
        original, rebuilt = crops(trained, config.batch, step)
        return loss_on(module(rebuilt), original, energy_weight)

    fit(module, config, folder, loss_of)
    return module


def crops(trained: Pictures, count: int, step: int) -> tuple[Tensor, Tensor]:
    """A batch (count, 3, CROP, CROP) of originals and of their reconstructions, on the grid of the latents."""
    generator = torch.Generator().manual_seed(step)
    chosen = torch.randint(len(trained.originals), (count,), generator=generator)
    free = (trained.originals.shape[-1] - CROP) // GRID + 1
    corners = GRID * torch.randint(free, (count, 2), generator=generator)
    sides = (
        torch.stack([images[i, :, y : y + CROP, x : x + CROP] for i, (y, x) in zip(chosen.tolist(), corners.tolist())])
        for images in (trained.originals, trained.rebuilt)
    )
    original, rebuilt = sides
    return original, rebuilt


def loss_on(refined: Tensor, original: Tensor, energy_weight: float) -> Tensor:
    """Squared error, which is that of the bands, and how far the octaves' energies are from the original's: the mean squared
    log of their ratios, per image (B, 3, H, W) and direction."""
    loss = (refined - original).square().mean()
    if energy_weight:
        for _ in range(LEVELS):
            (refined, ours), (original, theirs) = haar(refined), haar(original)
            energies = [details.square().mean(dim=(1, 3, 4)) + FLAT for details in (ours, theirs)]
            loss = loss + energy_weight * (energies[0] / energies[1]).log().square().mean()
    return loss
