"""What a few-step model learns from a reader of its latents: to draw what captions ask for, the gradient through every step."""

from __future__ import annotations

import torch
from torch import Tensor

from ..schedulers import make_scheduler
from .corpus import Corpus
from .latent_reader import LatentReader
from .losses import diffusion_target
from .turbo_lesson import TurboLesson, even
from .wish import Wish, surprise, wish_of

WEIGHTS = (2.0, 4.5)  # of guidance, between which w is even: those with which what is asked for is drawn best
LATEST = 500  # of 1,000 times, up to which noise is put on what is drawn


class WishLesson:
    """Direct reward fine-tuning (DRaFT: Clark et al. 2024, arXiv 2309.17400) of what `lesson` teaches to draw.

    What is drawn is noised a little before it is read, so that no pattern too fine for a noised latent to keep can please the reader.
    """

    def __init__(self, lesson: TurboLesson, reader: LatentReader, corpus: Corpus):
        self.lesson, self.corpus, self.reader = lesson, corpus, reader.to(lesson.device)
        scheduler = make_scheduler(lesson.model.scheduler_config, "ddim")
        self.alpha_bars = scheduler.alphas_cumprod.to(lesson.device)

    def loss(self, pictures: list[int], captions: list[str], generator: torch.Generator) -> Tensor:
        """The mean surprise of the reader at drawings of captions, each said of a picture of the corpus; those that ask for
        nothing are left out."""
        lesson = self.lesson
        wishes = self.wishes(pictures, captions)
        count = len(wishes)
        if not count:
            return torch.zeros((), device=lesson.device)
        noise = lesson.noise(count, generator)
        weights = even(*WEIGHTS, count, generator).to(lesson.device)
        drawn = lesson.drawn(noise, weights, lesson.words([caption for caption, _ in wishes]))
        t = torch.randint(LATEST, (count,), generator=generator).to(lesson.device)
        noisy, _ = diffusion_target(drawn, lesson.noise(count, generator), self.alpha_bars[t], "v_prediction")
        return surprise(self.reader(noisy, t), [wish for _, wish in wishes]).mean()

    def wishes(self, pictures: list[int], captions: list[str]) -> list[tuple[str, Wish]]:
        """The captions that ask for something, each with what that is."""
        asked = ((picture, caption, self.corpus.asked(caption)) for picture, caption in zip(pictures, captions))
        return [
            (caption, wish_of(scene, self.corpus.scenes[picture]))
            for picture, caption, scene in asked
            if scene is not None
        ]
