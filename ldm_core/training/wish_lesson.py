"""What a model learns from a reader of its latents: to draw what captions ask for, the gradient through every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
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
from .drawer import Drawer, FinishedDrawer, GuidedDrawer, check_finisher, even
from .latent_reader import LatentReader, load_reader
from .lesson import Lesson
from .losses import diffusion_target
from .trainer import generator_of_step
from .wish import Wish, surprise, wish_of

WEIGHTS = (2.0, 4.5)  # of guidance, between which w is even: those with which what is asked for is drawn best
SURPRISES = 50  # steps, of which the mean surprise at drawings is said
LATEST = 400  # of 1,000 times, up to which noise is put on what is drawn
HEARD = 8  # captions of which one is drawn
# Of those that are drawn, the most that tell of two things side by side, of another relation, of several kinds by themselves. What
# is drawn well already keeps the rest: where relations took ten of sixteen, the counts of single things got worse.
SHARES = {"beside": 3 / 16, "related": 4 / 16, "several": 4 / 16}
# How often the other relations go wrong in drawings, roughly: the hardest are learned first.
WRONG = {"holding": 0.25, "in front of": 0.25, "on": 0.25, "riding": 0.1, "above": 0.1}


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
        wishes = self.wishes(pictures, captions)
        return self.surprises(wishes, generator).mean() if wishes else torch.zeros((), device=self.drawer.device)

    def surprises(self, wishes: list[tuple[str, Wish]], generator: torch.Generator) -> Tensor:
        """Of the reader at a drawing of each caption, (B,)."""
        drawer, count = self.drawer, len(wishes)
        noise = drawer.noise(count, generator)
        weights = even(*WEIGHTS, count, generator).to(drawer.device)
        drawn = drawer.drawn(noise, weights, drawer.words([caption for caption, _ in wishes]))
        t = torch.randint(LATEST, (count,), generator=generator).to(drawer.device)
        noisy, _ = diffusion_target(drawn, drawer.noise(count, generator), self.alpha_bars[t], "v_prediction")
        return surprise(self.reader(noisy, t), [wish for _, wish in wishes])

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


@dataclass(frozen=True)
class Judge:
    """The model that goes on, who reads what it draws, and a few-step model of it that finishes drawings, or None."""

    model: LatentDiffusion
    reader: LatentReader
    finisher: LatentDiffusion | None = None


def judge_of(init: Path | None, reader: Path | None, turbo: str | None, steps: int, device: str) -> Judge | None:
    """As the options --init, --reader and --turbo name them, to draw in so many steps; None without a reader. ValueError where
    one needs another, or does not fit it."""
    if reader is None:
        if turbo is not None:
            raise ValueError("--turbo finishes drawings for a reader: give it as --reader")
        return None
    if init is None:
        raise ValueError("--reader judges the drawings of a finished model: give it as --init")
    model = load(str(init), device=device, dtype="float32", engine="torch")
    finisher = None if turbo is None else load(turbo, device=device, dtype="float32", engine="torch")
    if finisher is not None:
        check_finisher(model, finisher, steps)
    return Judge(model, load_reader(reader, model), finisher)


def harder(wishes: list[tuple[str, Wish]], count: int) -> list[tuple[str, Wish]]:
    """So many of the wishes, in their order: as SHARES says of those that are hard to draw, the rest of a single kind."""
    sorts: dict[str, list[int]] = {sort: [] for sort in (*SHARES, "single")}
    for at, (_, wish) in enumerate(wishes):
        sorts[_sort_of(wish)].append(at)
    sorts["related"].sort(key=lambda at: -max(WRONG[name] for name in wishes[at][1].relations))
    chosen = [at for sort, share in SHARES.items() for at in sorts[sort][: round(share * count)]]
    chosen += sorts["single"][: count - len(chosen)]
    return [wishes[at] for at in sorted(chosen)]


def _sort_of(wish: Wish) -> str:
    if "next to" in wish.relations:
        return "beside"
    if wish.relations:
        return "related"
    return "several" if len({wanted.kinds for wanted in wish.wanted}) > 1 else "single"


def with_wishes(lesson: Lesson, judge: Judge) -> Callable[[int], Tensor]:
    """The loss of a step, before which what the reader misses in drawings has left its pull in the gradients: the mean of
    sqrt(1 + surprise), by which what is almost right counts for more than what is hopeless."""
    config, unet = lesson.config, cast(UNet2DConditionModel, lesson.module["unet"])
    wishes = WishLesson(drawer_of(unet, judge, config.wish_steps, lesson.device), judge.reader, lesson.corpus)
    latest: list[float] = []
    # Other captions and noise than denoising's, and all that they say.
    own = replace(
        config,
        batch=HEARD * config.wish_batch,
        seed=config.seed + 1,
        caption_dropout=0.0,
        attribute_dropout=0.0,
        beside=0.0,
    )

    def loss(step: int) -> Tensor:
        heard = wishes.wishes(*captions_of(lesson.corpus, own, step, len(lesson.latents)))
        chosen = harder(heard, config.wish_batch)
        if chosen:
            missed = wishes.surprises(chosen, generator_of_step(own, step))
            pull((1 + missed).sqrt().mean(), unet.parameters(), config.wish_pull)
            latest.append(missed.mean().item())
        if len(latest) == SURPRISES:
            tqdm.write(f"Surprise of the reader at drawings, {SURPRISES} steps: {np.mean(latest):.3f}")
            latest.clear()
        return lesson.loss(step)

    return loss


def drawer_of(unet: UNet2DConditionModel, judge: Judge, steps: int, device: str) -> Drawer:
    """Who draws while the U-Net is taught."""
    if judge.finisher is None:
        return GuidedDrawer(unet, judge.model, steps, device)
    return FinishedDrawer(unet, judge.model, judge.finisher, steps, device)
