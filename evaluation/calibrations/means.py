"""Means over prompts: shares near the edge, skewed and heavy-tailed scores, all with prompts of unequal difficulty.

One number u of each prompt says how hard it is, for every image of it and on both sides of a pair; an image's own
luck is shared by its twins too, as far as a common seed makes them alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from ..comparisons import independent_means, paired_means
from ..statistics import Bounds, Mean
from .trial import APART, APART_NULL, PAIRED, PAIRED_NULL, Case, Said

ALIKE = 0.5  # correlation of what is random of an image and of its twin
CONCENTRATION = 8.0  # of the Beta distribution of prompts' difficulties around the mean
ATOMS = 5  # things that are right or wrong in one image
Score = Callable[
    [np.ndarray, np.ndarray, float], np.ndarray
]  # of difficulty (P, 1) and luck (P, K), both uniform; mean


@dataclass(frozen=True)
class MeanCase(Case):
    """The mean of one score at `mean`, and its difference to the same score at `other`."""

    name: str
    score: Score
    mean: float
    other: float
    bounds: Bounds | None = None
    draws: int = 1000

    @property
    def truths(self) -> dict[str, float]:
        apart = self.other - self.mean
        return super().truths | {"mean": self.mean, PAIRED: apart, APART: apart}

    def trial(self, rng: np.random.Generator, prompts: int, images: int) -> dict[str, Said]:
        hard, luck = rng.random((prompts, 1)), rng.standard_normal((prompts, images))
        first = self._mean(rng, hard, luck, self.mean)
        again, changed = self._mean(rng, hard, luck, self.mean), self._mean(rng, hard, luck, self.other)
        hard, luck = rng.random((prompts, 1)), rng.standard_normal((prompts, images))  # other prompts
        apart, apart_changed = self._mean(rng, hard, luck, self.mean), self._mean(rng, hard, luck, self.other)
        return {
            "mean": Said.of_estimate(first.estimate()),
            PAIRED_NULL: Said.of_difference(paired_means(first, again)),
            PAIRED: Said.of_difference(paired_means(first, changed)),
            APART_NULL: Said.of_difference(independent_means(first, apart)),
            APART: Said.of_difference(independent_means(first, apart_changed)),
        }

    def _mean(self, rng: np.random.Generator, hard: np.ndarray, luck: np.ndarray, mean: float) -> Mean:
        own = rng.standard_normal(luck.shape)
        mixed = special.ndtr(np.sqrt(ALIKE) * luck + np.sqrt(1 - ALIKE) * own)
        scores = self.score(hard, mixed, mean)
        return Mean(scores.ravel(), np.repeat(np.arange(len(hard)), luck.shape[1]), self.bounds)


def chances(hard: np.ndarray, mean: float) -> np.ndarray:
    """Of each prompt, by its difficulty: Beta around the mean."""
    return special.betaincinv(CONCENTRATION * mean, CONCENTRATION * (1 - mean), hard).clip(1e-12, 1 - 1e-12)


def atoms(hard: np.ndarray, luck: np.ndarray, mean: float) -> np.ndarray:
    """Of five things in an image, the share that is right."""
    chance = np.broadcast_to(chances(hard, mean), luck.shape)
    steps = special.bdtr(np.arange(ATOMS), ATOMS, chance[..., None])  # the binomial's distribution function
    return (luck[..., None] > steps).sum(-1) / ATOMS


def binary(hard: np.ndarray, luck: np.ndarray, mean: float) -> np.ndarray:
    """Right or wrong, in the ball or out of it."""
    return (luck < chances(hard, mean)).astype(float)


def continuous(hard: np.ndarray, luck: np.ndarray, mean: float) -> np.ndarray:
    """In [0, 1] and skewed: Beta around the prompt's own mean."""
    chance = chances(hard, mean)
    return special.betaincinv(3 * chance, 3 * (1 - chance), luck)


def normal(hard: np.ndarray, luck: np.ndarray, mean: float) -> np.ndarray:
    """As a CLIP score is: prompts differ more than images of one."""
    return mean + 2 * special.ndtri(hard) + special.ndtri(luck)


def skewed(hard: np.ndarray, luck: np.ndarray, mean: float) -> np.ndarray:
    """As a PSNR is: a gamma distribution of prompts (skewness 1), and one of images."""
    return mean + (special.gammaincinv(4, hard) - 4) + (special.gammaincinv(4, luck) - 4) / 2


def heavy(hard: np.ndarray, luck: np.ndarray, mean: float) -> np.ndarray:
    """Heavy tails: Student's t with four degrees of freedom, of prompts and of images."""
    return mean + special.stdtrit(4, hard) + special.stdtrit(4, luck)


UNIT = (0.0, 1.0)
CASES: tuple[Case, ...] = (
    MeanCase("share of 5 things, 0.80", atoms, 0.8, 0.9, UNIT),
    MeanCase("share of 5 things, 0.95", atoms, 0.95, 0.85, UNIT),
    MeanCase("share of 5 things, 0.99", atoms, 0.99, 0.95, UNIT),
    MeanCase("right or wrong, 0.50", binary, 0.5, 0.7, UNIT),
    MeanCase("right or wrong, 0.80", binary, 0.8, 0.9, UNIT),
    MeanCase("right or wrong, 0.95", binary, 0.95, 0.85, UNIT),
    MeanCase("right or wrong, 0.99", binary, 0.99, 0.95, UNIT),
    MeanCase("skewed in [0, 1], 0.80", continuous, 0.8, 0.9, UNIT),
    MeanCase("skewed in [0, 1], 0.95", continuous, 0.95, 0.85, UNIT),
    MeanCase("unbounded, normal", normal, 30.0, 30.5),
    MeanCase("unbounded, skewed", skewed, 30.0, 31.0),
    MeanCase("unbounded, heavy tails", heavy, 30.0, 31.0),
)
