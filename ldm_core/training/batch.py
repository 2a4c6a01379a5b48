"""A batch of stage 2 and of what comes after it: latents, captions and noise, all of which depend on the step alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from . import losses, wording
from .config import ControlConfig, DenoiserConfig, TurboConfig
from .corpus import Corpus
from .trainer import generator_of_step


@dataclass(frozen=True)
class Batch:
    """B latents with what is said of them, on the device of training."""

    clean: Tensor  # latents (B, C, h, w)
    noise: Tensor  # N(0, 1), of the same shape
    captions: list[str]  # "" where the caption was dropped
    pictures: list[int]  # their places in the corpus
    generator: torch.Generator  # on the CPU: what else the step draws

    def noised(self, alpha_bars: Tensor, time_sampling: str, prediction_type: str) -> tuple[Tensor, Tensor, Tensor]:
        """Times t (B,), the latents at these times, and what the network is to say of them, both (B, C, h, w)."""
        t = losses.timesteps(len(self.clean), len(alpha_bars), time_sampling, self.generator).to(self.clean.device)
        return t, *losses.diffusion_target(self.clean, self.noise, alpha_bars[t], prediction_type)


def captions_of(
    corpus: Corpus, config: DenoiserConfig | ControlConfig | TurboConfig, step: int, pictures: int
) -> tuple[list[int], list[str]]:
    """The places of a step's pictures among the first `pictures`, and what is said of them, a share of it dropped.

    Where the recipe asks for things side by side, the first pictures show them."""
    rng = np.random.default_rng((config.seed, step))
    chosen = rng.integers(pictures, size=config.batch)
    dropped = rng.random(config.batch) < config.caption_dropout
    if isinstance(config, DenoiserConfig) and config.beside and corpus.beside:
        count = round(config.beside * config.batch)
        chosen[:count] = rng.choice(corpus.beside, count)
    captions = ["" if drop else corpus.caption(int(i), step) for i, drop in zip(chosen, dropped)]
    if config.attribute_dropout:
        settings = (corpus.colours, corpus.nouns, config.attribute_dropout, rng)
        captions = [wording.less_one_attribute(text, *settings) for text in captions]
    return chosen.tolist(), captions


def batch_of(
    latents: np.ndarray, corpus: Corpus, config: DenoiserConfig | ControlConfig, step: int, device: str
) -> Batch:
    """The batch of a step, a share of its captions dropped."""
    chosen, captions = captions_of(corpus, config, step, len(latents))
    generator = generator_of_step(config, step)
    clean = torch.from_numpy(latents[chosen]).float()
    noise = torch.randn(clean.shape, generator=generator)  # on the CPU: the same on every device
    return Batch(clean.to(device), noise.to(device), captions, chosen, generator)
