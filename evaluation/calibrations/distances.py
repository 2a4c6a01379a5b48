"""Distances and neighbours of features to a reference, with images of one prompt alike and twins that share a seed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..comparisons import (
    Difference,
    independent_means,
    independent_statistics,
    paired_means,
    paired_statistics,
)
from ..metrics.frechet import FrechetReference
from ..metrics.kernel import KernelReference
from ..metrics.neighbours import NeighbourReference
from ..statistics import AT_THIS_N, Jackknifed, Mean
from .trial import APART, APART_NULL, PAIRED, PAIRED_NULL, Case, Said

WITHIN_PROMPT = 0.5  # correlation of two images of one prompt
ALIKE = 0.5  # of what is left, between twins
Reference = FrechetReference | KernelReference | NeighbourReference


@dataclass(frozen=True)
class World:
    """Gaussian features of reference and generated images, every dimension on its own.

    spread: standard deviations of the reference (d,); a sample's are `wider` times these, its mean `shift` of them off.
    """

    spread: np.ndarray
    shift: float
    narrow: float  # of the dimensions' factors, from ... to, in a fixed order by chance
    wide: float
    heavy: bool = (
        False  # an image's distance from the mean by Student's t with 8 degrees of freedom, variances the same
    )

    @property
    def factors(self) -> np.ndarray:
        return np.random.default_rng(1).permutation(np.linspace(self.narrow, self.wide, len(self.spread)))

    @property
    def mean(self) -> np.ndarray:
        return self.shift * self.spread

    @property
    def deviations(self) -> np.ndarray:
        return self.factors * self.spread

    def features(self, rng: np.random.Generator, of_prompts: np.ndarray, shared: np.ndarray) -> np.ndarray:
        """(prompts * images, d), of what a prompt (P, 1, d) and a seed (P, K, d) have in common with other samples."""
        own = np.sqrt(ALIKE) * shared + np.sqrt(1 - ALIKE) * rng.standard_normal(shared.shape)
        mixed = np.sqrt(WITHIN_PROMPT) * of_prompts + np.sqrt(1 - WITHIN_PROMPT) * own
        if self.heavy:
            mixed = mixed * np.sqrt(6 / rng.chisquare(8, (*shared.shape[:2], 1)))
        return (self.mean + mixed * self.deviations).reshape(-1, len(self.spread))


@dataclass(frozen=True)
class DistanceCase(Case):
    """A statistic of samples of a world, and its difference to that of samples of another."""

    name: str
    make: Callable[[], Reference]
    world: World
    other: World
    truth: Callable[[Any, World], float] | None = None  # of the distance itself, where it can be known
    draws: int = 300

    @functools.cached_property
    def reference(self) -> Reference:
        return self.make()

    @property
    def label(self) -> str:
        return "itself" if self.truth and not isinstance(self.reference, FrechetReference) else AT_THIS_N

    @functools.cached_property
    def truths(self) -> dict[str, float]:
        found = dict(super().truths)
        if self.truth:
            first, second = (self.truth(self.reference, world) for world in (self.world, self.other))
            found |= {"corrected": first}
            if self.label == "itself":
                found |= {"itself": first, PAIRED: second - first, APART: second - first}
        return found

    def trial(self, rng: np.random.Generator, prompts: int, images: int) -> dict[str, Said]:
        labels = np.repeat(np.arange(prompts), images)

        def common() -> tuple[np.ndarray, np.ndarray]:
            d = len(self.world.spread)
            return rng.standard_normal((prompts, 1, d)), rng.standard_normal((prompts, images, d))

        here, there = common(), common()
        features = self.world.features(rng, *here)
        samples = [features, *(world.features(rng, *here) for world in (self.world, self.other))]
        samples += [world.features(rng, *there) for world in (self.world, self.other)]
        measured = [self.reference.measure(sample, labels) for sample in samples]
        first = measured[0]
        if first is None:
            return {}
        said = {self.label: Said.of_estimate(first.estimate())}
        if isinstance(self.reference, FrechetReference) and isinstance(first, Jackknifed):
            enough = self.reference.corrects_bias(features, labels)
            said["corrected"] = (
                Said.of_estimate(first.corrected_estimate()) if enough else Said(first.corrected, None, None, None)
            )
        names, ways = (PAIRED_NULL, PAIRED, APART_NULL, APART), (True, True, False, False)
        for name, paired, second in zip(names, ways, measured[1:]):
            said[name] = Said.of_difference(_difference(first, second, paired))
        return said


def _difference(first: Mean | Jackknifed, second: Mean | Jackknifed | None, paired: bool) -> Difference:
    if isinstance(first, Mean) and isinstance(second, Mean):
        return paired_means(first, second) if paired else independent_means(first, second)
    if isinstance(first, Jackknifed) and isinstance(second, Jackknifed):
        return paired_statistics(first, second) if paired else independent_statistics(first, second)
    raise TypeError("two samples of one size give one kind of statistic")


def frechet_truth(reference: FrechetReference, world: World) -> float:
    """|m1 - m2|^2 and the squared differences of standard deviations, for covariances of the same axes."""
    roots = np.sqrt(np.diagonal(reference.covariance))
    return float(np.square(world.mean - reference.mean).sum() + np.square(roots - world.deviations).sum())


def kernel_truth(reference: KernelReference, world: World) -> float:
    """The kernel distance of a Gaussian to the reference's points: with x.y / d + 1 normal given one of the two, of mean m
    and variance v, the third power's expectation is m^3 + 3 m v."""
    d, mean, variances = len(world.mean), world.mean, np.square(world.deviations)
    points = reference.features
    at = points @ mean / d + 1
    across = (at**3 + 3 * at * (np.square(points) @ variances) / d**2).mean()
    centre, along = mean @ mean / d + 1, np.square(mean) @ variances / d**2
    inner = (np.square(variances).sum() + np.square(mean) @ variances) / d**2
    bent = 2 * np.square(mean) @ np.square(variances) / d**3  # covariance of m and v over the second point
    within = centre**3 + 3 * centre * along + 3 * (centre * inner + bent)
    return float(within + reference.within - 2 * across)


def _frechet(spread: np.ndarray) -> Callable[[], FrechetReference]:
    return lambda: FrechetReference(np.zeros(len(spread)), np.diag(np.square(spread)))


def _points(count: int, d: int, falling: float) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((count, d)) * _falling(d, falling)


def _falling(d: int, power: float) -> np.ndarray:
    """Standard deviations of d dimensions, the variance of the i-th 1 / i^power."""
    return np.arange(1, d + 1) ** (-power / 2)


@functools.cache
def scenes_spread() -> np.ndarray:
    """The standard deviations of the drawn world's own reference, along its axes (64,)."""
    from ..detectors.everyday.detector import WEIGHTS

    with np.load(WEIGHTS.parent / "reference.npz") as stored:
        values = np.linalg.eigvalsh(np.cov(stored["features"].astype(np.float64).T))
    return np.sqrt(values.clip(1e-6))


def cases() -> tuple[Case, ...]:
    """Made when asked for: one reads a reference from disk."""
    level, drawn, mild = np.ones(16), scenes_spread(), _falling(16, 1)
    even = np.ones(8)
    near, wide = (
        (World(even, 0.0, 0.6, 0.8), World(even, 0.3, 0.6, 0.8)),
        (World(even, 0.2, 0.9, 1.3), World(even, 0.5, 0.9, 1.3)),
    )
    return (
        DistanceCase(
            "frechet, scenes",
            _frechet(drawn),
            World(drawn, 0.2, 0.7, 1.3),
            World(drawn, 0.4, 0.7, 1.3),
            frechet_truth,
        ),
        DistanceCase(
            "frechet, isotropic",
            _frechet(level),
            World(level, 0.2, 0.7, 1.3),
            World(level, 0.4, 0.7, 1.3),
            frechet_truth,
        ),
        DistanceCase(
            "frechet, heavy tails",
            _frechet(mild),
            World(mild, 0.2, 0.7, 1.3, True),
            World(mild, 0.4, 0.7, 1.3, True),
            frechet_truth,
        ),
        DistanceCase(
            "kernel",
            lambda: KernelReference(_points(300, 16, 1)),
            World(mild, 0.5, 0.8, 1.2),
            World(mild, 0.8, 0.8, 1.2),
            kernel_truth,
        ),
        DistanceCase(
            "kernel, equal",
            lambda: KernelReference(_points(300, 16, 1)),
            World(mild, 0.0, 1.0, 1.0),
            World(mild, 0.3, 1.0, 1.0),
            kernel_truth,
        ),
        DistanceCase(
            "cmmd",
            lambda: KernelReference(_points(300, 16, 1), "cmmd"),
            World(mild, 0.5, 0.8, 1.2),
            World(mild, 0.8, 0.8, 1.2),
        ),
        *(
            DistanceCase(
                statistic, functools.partial(NeighbourReference, _points(300, 8, 0), statistic), *worlds, draws=150
            )
            for statistic, worlds in (("precision", wide), ("recall", near), ("density", wide), ("coverage", near))
        ),
    )
