"""Small denoisers without any caption, of pixels or of latents, trained for so much processor time; and how far what they draw
is from real pictures.

A U-Net for each side of its input, the same from 8 x 8 positions inwards; every level further out is narrower, as is usual
where positions are many. They predict v under the cosine schedule, as the shipped models do.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DModel
from torch import Tensor

from ldm_core.autoencoder import Autoencoder
from ldm_core.images import from_uint8
from ldm_core.precision import mixed
from ldm_core.sampling import denoise, image_generators, initial_noise
from ldm_core.training.config import DenoiserConfig, NetworkConfig
from ldm_core.training.losses import diffusion_target, timesteps
from ldm_core.training.train_denoiser import noise_schedule

from ...metrics.frechet import FrechetReference
from ...statistics import Jackknifed
from .fitting import fit

WIDTHS = {64: 32, 32: 48, 16: 64, 8: 96, 4: 128, 2: 160, 1: 160}  # channels by positions along a side
INNERMOST, ATTENDING = 4, 8  # positions along a side: of the innermost level, and of the outermost one that attends
GROUPS, HEAD = 16, 32  # of the norms; channels of an attention head
STEPS = 100_000  # more than any number of minutes allows
BATCH, LEARNING_RATE, EMA = 32, 1e-3, 0.99
DRAWN_TOGETHER, SAMPLING_STEPS = 50, 12


@dataclass(frozen=True)
class Space:
    """What a denoiser works on: values (N, C, h, w) of mean 0 and variance 1, and how they become images in [0, 1]."""

    values: Tensor
    restore: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, values: Tensor, restore: Callable[[Tensor], Tensor]) -> Space:
        """Any values, brought to mean 0 and variance 1 all together."""
        centre, spread = values.mean(), values.std()
        return cls((values - centre) / spread, lambda drawn: restore(drawn * spread + centre))

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.values.shape[1:]
        return channels, height, width


def pixel_space(pictures: np.ndarray) -> Space:
    """Pixels themselves, of uint8 (N, S, S, 3)."""
    return Space.of(from_uint8(pictures), lambda drawn: drawn.clamp(0, 1))


def latent_space(autoencoder: Autoencoder, pictures: np.ndarray) -> Space:
    """An autoencoder's latents of uint8 (N, S, S, 3)."""
    return Space.of(autoencoder.encode(from_uint8(pictures)), autoencoder.decode)


def sides_of(side: int) -> list[int]:
    """Positions along a side at each level of a U-Net: halved down to INNERMOST, two levels at least."""
    found = [side]
    while found[-1] > INNERMOST or len(found) < 2:
        found.append(found[-1] // 2)
    return found


def unet_of(channels: int, side: int) -> UNet2DModel:
    """The untrained denoiser of values (channels, side, side)."""
    sides = sides_of(side)
    attends = [one <= ATTENDING for one in sides]
    return UNet2DModel(
        sample_size=side,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=tuple(WIDTHS[one] for one in sides),
        layers_per_block=1,
        down_block_types=tuple("AttnDownBlock2D" if each else "DownBlock2D" for each in attends),
        up_block_types=tuple("AttnUpBlock2D" if each else "UpBlock2D" for each in reversed(attends)),
        attention_head_dim=HEAD,
        norm_num_groups=GROUPS,
        resnet_time_scale_shift="scale_shift",
    )


@dataclass(frozen=True)
class Denoiser:
    """A trained denoiser of a space, and the steps that its minutes came to."""

    network: UNet2DModel
    space: Space
    steps: int

    def draw(self, count: int) -> tuple[Tensor, float]:
        """Images (count, 3, S, S) in [0, 1] of the seeds from 0 on, and the processor seconds of one."""
        began, parts = time.process_time(), []
        for first in range(0, count, DRAWN_TOGETHER):
            seeds = list(range(first, min(count, first + DRAWN_TOGETHER)))
            parts.append(self.space.restore(self._latents(seeds)))
        return torch.cat(parts), (time.process_time() - began) / count

    @torch.inference_mode()
    def _latents(self, seeds: list[int]) -> Tensor:
        generators = image_generators(seeds)
        noise = initial_noise(generators, self.space.shape)
        predict = lambda latent, timestep, t: self.network(latent, timestep).sample  # noqa: E731  # the loop's own shape
        latent = noise
        for state in denoise(predict, noise_schedule(DenoiserConfig()), noise, generators, SAMPLING_STEPS):
            latent = state.latent
        return latent


def train(space: Space, minutes: float, about: str, folder: Path) -> Denoiser:
    """A denoiser trained for so many processor minutes; `about` says in words what the space is. It goes on where the folder
    stands."""
    torch.manual_seed(0)
    network = unet_of(space.shape[0], space.shape[1])
    recipe = NetworkConfig(
        f"{about}, {len(space.values)} pictures, {minutes:g} minutes",
        steps=STEPS,
        batch=BATCH,
        learning_rate=LEARNING_RATE,
        weight_decay=0.01,
        optimizer="muon",
        ema_decay=EMA,
    )
    kept = noise_schedule(DenoiserConfig()).alphas_cumprod
    trainer = fit(network, recipe, folder, lambda step: loss_on(network, space.values, kept, step), minutes)
    return Denoiser(network, space, trainer.step)


def loss_on(network: UNet2DModel, values: Tensor, kept: Tensor, step: int) -> Tensor:
    """Squared error of v on a batch that depends on the step alone; `kept` is the schedule's alpha_bar (T,)."""
    generator = torch.Generator().manual_seed(step)
    clean = values[torch.randint(len(values), (BATCH,), generator=generator)]
    time_of = timesteps(BATCH, len(kept), "uniform", generator)
    noise = torch.randn(clean.shape, generator=generator)
    noisy, target = diffusion_target(clean, noise, kept[time_of], "v_prediction")
    with mixed("cpu", cached=True):
        said = network(noisy, time_of).sample
    return (said.float() - target).square().mean()


@dataclass(frozen=True)
class World:
    """Real pictures: those to train on, uint8 (N, S, S, 3), others to compare with, and a detector's features of images."""

    name: str  # of the distance, as in the catalogue
    training: np.ndarray
    held_out: np.ndarray
    reference: FrechetReference
    features: Callable[[Tensor], np.ndarray]

    def distance(self, images: Tensor) -> Jackknifed:
        """Fréchet distance of images (n, 3, S, S) in [0, 1] from the reference; ValueError for fewer than three."""
        found = self.reference.measure(self.features(images), np.arange(len(images)))
        if found is None:
            raise ValueError(f"a distance needs three images or more, got {len(images)}")
        return found


def features_by(detector: Callable[[Tensor], Tensor]) -> Callable[[Tensor], np.ndarray]:
    """In portions, without gradients."""

    def of(images: Tensor) -> np.ndarray:
        with torch.inference_mode():
            return torch.cat([detector(part) for part in images.split(DRAWN_TOGETHER)]).numpy()

    return of


def drawn_world(side: int, pool: int, count: int, compared: int) -> World:
    """The drawn world at so many pixels: `pool` drawings to train on, `count` held out, `compared` of the reference seeds."""
    from ...detectors.detector import load_detector
    from ...worlds import DRAWN, DRAWN_WORLD, drawings

    world, draw = DRAWN[DRAWN_WORLD], functools.partial(drawings, DRAWN_WORLD, size=side)
    features = features_by(load_detector(DRAWN_WORLD).image_features)
    of_real = features(from_uint8(draw(world.REFERENCE_SEEDS[:compared])))
    training, held_out = draw(world.TRAINING_SEEDS[:pool]), draw(world.HELD_OUT_SEEDS[:count])
    return World("fd_scenes", training, held_out, _reference(of_real), features)


def clothes(folder: Path, pool: int, count: int, compared: int) -> World:
    """Fashion-MNIST at 32 pixels, of the folder of its files; held out and compared with are test images."""
    from ldm_core.data import fashion_mnist

    from ...detectors.fashion import load_fashion_detector

    def pictures(part: str) -> np.ndarray:
        return np.repeat(fashion_mnist.pad(fashion_mnist.load(part, folder)[0], 32)[..., None], 3, axis=3)

    test, features = pictures("test"), features_by(load_fashion_detector().image_features)
    of_real = features(from_uint8(test[count : count + compared]))
    return World("fd_fashion", pictures("train")[:pool], test[:count], _reference(of_real), features)


def _reference(features: np.ndarray) -> FrechetReference:
    return FrechetReference(features.mean(0), np.cov(features, rowvar=False))
