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
        rows = [row for row, wish in enumerate(wishes) if wish is not None]
        if not rows:
            return torch.zeros((), device=lesson.device)
        noise = lesson.noise(len(rows), generator)
        weights = even(*WEIGHTS, len(rows), generator).to(lesson.device)
        drawn = lesson.drawn(noise, weights, lesson.words([captions[row] for row in rows]))
        t = torch.randint(LATEST, (len(rows),), generator=generator).to(lesson.device)
        noisy, _ = diffusion_target(drawn, lesson.noise(len(rows), generator), self.alpha_bars[t], "v_prediction")
        return surprise(self.reader(noisy, t), [wish for wish in wishes if wish is not None]).mean()

    def wishes(self, pictures: list[int], captions: list[str]) -> list[Wish | None]:
        """What each caption asks for; None where that is nothing."""
        asked = [self.corpus.asked(caption) for caption in captions]
        return [
            None if one is None else wish_of(one, self.corpus.scenes[picture]) for picture, one in zip(pictures, asked)
        ]
