"""What a model learns from a reader of its latents: to draw what captions ask for, the gradient through every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from tqdm import tqdm

from ..loading import load
from ..pipeline import LatentDiffusion
from .batch import captions_of
from .corpus import Corpus
from .drawer import Drawer, GuidedDrawer, even
from .latent_reader import LatentReader, load_reader
from .lesson import Lesson
from .losses import diffusion_target
from .trainer import generator_of_step
from .wish import Wish, surprise, wish_of

WEIGHTS = (2.0, 4.5)  # of guidance, between which w is even: those with which what is asked for is drawn best
SURPRISES = 50  # steps, of which the mean surprise at drawings is said
LATEST = 400  # of 1,000 times, up to which noise is put on what is drawn


class WishLesson:
    """Direct reward fine-tuning (DRaFT: Clark et al. 2024, arXiv 2309.17400) of what `drawer` draws.

    What is drawn is noised a little before it is read, so that no pattern too fine for a noised latent to keep can please the
    reader.
    """

    def __init__(self, drawer: Drawer, reader: LatentReader, corpus: Corpus):
        self.drawer, self.corpus, self.reader = drawer, corpus, reader.to(drawer.device)
        self.alpha_bars = drawer.scheduler.alphas_cumprod.to(drawer.device)

    def loss(self, pictures: list[int], captions: list[str], generator: torch.Generator) -> Tensor:
        """The mean surprise of the reader at drawings of captions, each said of a picture of the corpus; those that ask for
        nothing are left out."""
        drawer = self.drawer
        wishes = self.wishes(pictures, captions)
        count = len(wishes)
        if not count:
            return torch.zeros((), device=drawer.device)
        noise = drawer.noise(count, generator)
        weights = even(*WEIGHTS, count, generator).to(drawer.device)
        drawn = drawer.drawn(noise, weights, drawer.words([caption for caption, _ in wishes]))
        t = torch.randint(LATEST, (count,), generator=generator).to(drawer.device)
        noisy, _ = diffusion_target(drawn, drawer.noise(count, generator), self.alpha_bars[t], "v_prediction")
        return surprise(self.reader(noisy, t), [wish for _, wish in wishes]).mean()

    def wishes(self, pictures: list[int], captions: list[str]) -> list[tuple[str, Wish]]:
        """The captions that ask for something, each with what that is."""
        asked = ((picture, caption, self.corpus.asked(caption)) for picture, caption in zip(pictures, captions))
        return [
            (caption, wish_of(scene, self.corpus.scenes[picture]))
            for picture, caption, scene in asked
            if scene is not None
        ]


def check_reader(reader: Path | None, weight: float, weights: Mapping[str, float]) -> None:
    """ValueError unless a reader is given to a recipe that weighs wishes, and to no other; `weights` are those of all recipes."""
    if (reader is not None) != bool(weight):
        with_it = ", ".join(sorted(name for name, each in weights.items() if each))
        raise ValueError(f"--reader goes with a recipe that weighs wishes ({with_it}), and such a recipe needs it")


def pull(loss: Tensor, parameters: Iterable[nn.Parameter], length: float) -> None:
    """Leave the gradient of a loss in the parameters, no longer than `length`.

    Through a chain of guided steps it is fifty times as long as that of denoising, and its length is chance: added up and
    bounded together, what denoising has to say would be lost in it.
    """
    if loss.requires_grad:
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, length)


def judge_of(init: Path | None, reader: Path, device: str) -> tuple[LatentDiffusion, LatentReader]:
    """The model that goes on, and who reads what it draws."""
    if init is None:
        raise ValueError("--reader judges the drawings of a finished model: give it as --init")
    model = load(str(init), device=device, dtype="float32", engine="torch")
    return model, load_reader(reader, model)


def with_wishes(lesson: Lesson, model: LatentDiffusion, reader: LatentReader) -> Callable[[int], Tensor]:
    """The loss of a step, before which what the reader misses in drawings has left its pull in the gradients."""
    config, unet = lesson.config, cast(UNet2DConditionModel, lesson.module["unet"])
    drawer = GuidedDrawer(unet, model, config.wish_steps, lesson.device)
    wishes = WishLesson(drawer, reader, lesson.corpus)
    surprises: list[float] = []
    own = replace(config, batch=config.wish_batch, seed=config.seed + 1)  # other captions and noise than denoising's

    def loss(step: int) -> Tensor:
        pictures, captions = captions_of(lesson.corpus, own, step, len(lesson.latents))
        missed = wishes.loss(pictures, captions, generator_of_step(own, step))
        pull(missed, unet.parameters(), config.wish_pull)
        surprises.append(missed.item())
        if len(surprises) == SURPRISES:
            tqdm.write(f"Surprise of the reader at drawings, {SURPRISES} steps: {np.mean(surprises):.3f}")
            surprises.clear()
        return lesson.loss(step)

    return loss
