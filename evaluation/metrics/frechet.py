"""The Frechet distance of two sets of features, taken for Gaussians. Float64."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from ..statistics import Jackknifed
from .blocks import Blocks, blocks_of, finite, without_each

IMAGES_PER_DIMENSION = 6  # effective, of both, from which the corrected distance's interval holds: docs/calibration.md
ROUNDING = 1e-5  # of its size: what a covariance kept in float32 may lack to be symmetric or positive


@dataclass(frozen=True)
class Moments:
    """Sums from which mean and covariance follow; adding two is pooling their samples, subtracting is leaving out."""

    n: int
    total: np.ndarray  # (d,)
    products: np.ndarray  # (d, d)

    @classmethod
    def of(cls, features: np.ndarray) -> Moments:
        """Of features (n, d)."""
        features = np.asarray(features, dtype=np.float64)
        return cls(len(features), features.sum(0), features.T @ features)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.n + other.n, self.total + other.total, self.products + other.products)

    def __sub__(self, other: Moments) -> Moments:
        return Moments(self.n - other.n, self.total - other.total, self.products - other.products)

    @property
    def mean(self) -> np.ndarray:
        return self.total / self.n

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased, (d, d)."""
        return (self.products - self.n * np.outer(self.mean, self.mean)) / (self.n - 1)


class FrechetReference:
    """A reference distribution, the root of its covariance taken once.

    Frechet distance of two Gaussians (Dowson & Landau 1982; Heusel et al. 2017, eq. 6):
    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)). With R = S1^(1/2), tr (S1 S2)^(1/2) is the sum of the roots of the
    eigenvalues of R S2 R, which is symmetric: no complex numbers, no iteration, and rank does not matter.
    """

    def __init__(self, mean: np.ndarray, covariance: np.ndarray):
        """ValueError for what is no mean (d,) and covariance (d, d): not finite, not symmetric, a negative variance."""
        self.mean, self.covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
        _check_moments(self.mean, self.covariance)

    def measure(self, features: np.ndarray, prompts: np.ndarray) -> Jackknifed | None:
        """The distance of features (n, d) of these prompts (n,), with what its error needs; None with too few prompts."""
        blocks = blocks_of(prompts)
        if blocks is None:
            return None
        whole, left_out = self.leave_out(features, blocks)
        return Jackknifed(whole, np.array(left_out), np.bincount(blocks), len(np.unique(prompts)))

    def corrects_bias(self, features: np.ndarray, prompts: np.ndarray) -> bool:
        """Whether features (n, d) of these prompts are enough for the bias-corrected distance: six independent images for
        each dimension in which the reference really varies."""
        enough = effective_size(features, prompts) / IMAGES_PER_DIMENSION
        least = (
            np.trace(self.covariance) ** 2 / np.square(self.covariance).sum()
        )  # never more than the effective dimension
        return bool(enough >= least and enough >= self.effective_dimension)

    @functools.cached_property
    def effective_dimension(self) -> float:
        """The participation ratio of the reference's standard deviations: d where all are equal, 1 where one is all."""
        spread = np.sqrt(np.linalg.eigvalsh(self.covariance).clip(0))
        return float(spread.sum() ** 2 / np.square(spread).sum())

    @functools.cached_property
    def root(self) -> np.ndarray:
        """R: seconds of work in 2048 dimensions, so only where it is needed."""
        values, vectors = np.linalg.eigh(self.covariance)
        return (vectors * np.sqrt(values.clip(0))) @ vectors.T

    def leave_out(self, features: np.ndarray, blocks: Blocks) -> tuple[float, list[float]]:
        """The distance of all features (n, d), and with each block left out: a subtraction and one eigenvalue problem."""
        features = finite(features)
        if len(features) < features.shape[1]:
            return self._by_samples(features, blocks)
        whole = Moments.of(features)
        parts = [whole - Moments.of(features[~kept]) for kept in without_each(blocks)]
        return self.distance(whole.mean, whole.covariance), [
            self.distance(part.mean, part.covariance) for part in parts
        ]

    def _by_samples(self, features: np.ndarray, blocks: Blocks) -> tuple[float, list[float]]:
        """The same for fewer samples than dimensions, by a problem of n x n in place of d x d.

        With centred samples X, S2 = X'X / (n - 1), and the eigenvalues of R S2 R that are not zero are those of
        X S1 X' / (n - 1). X S1 X' of what is kept is a part of one product, centred anew.
        """
        products = features @ self.covariance @ features.T

        def of(kept: np.ndarray) -> float:
            part, n = features[kept], int(kept.sum())
            inner = products[np.ix_(kept, kept)]
            rows = inner.mean(0)
            centred = (inner - rows[:, None] - rows[None, :] + rows.mean()) / (n - 1)
            middle = np.sqrt(np.linalg.eigvalsh(centred).clip(0)).sum()
            shift, spread = np.square(self.mean - part.mean(0)).sum(), part.var(0, ddof=1).sum()
            return float(np.maximum(shift + np.trace(self.covariance) + spread - 2 * middle, 0))  # NaN stays NaN

        return of(np.ones(len(features), bool)), [of(kept) for kept in without_each(blocks)]

    def distance(self, mean: np.ndarray, covariance: np.ndarray) -> float:
        """The Frechet distance to a mean (d,) and covariance (d, d)."""
        middle = np.sqrt(np.linalg.eigvalsh(self.root @ covariance @ self.root).clip(0)).sum()
        shift = np.square(self.mean - mean).sum()
        return float(
            np.maximum(shift + np.trace(self.covariance) + np.trace(covariance) - 2 * middle, 0)
        )  # NaN stays NaN


def effective_size(features: np.ndarray, prompts: np.ndarray) -> float:
    """As many independent images as would tell the mean of features (n, d) as exactly as these do, of these prompts."""
    labels = np.unique(prompts, return_inverse=True)[1]
    sizes, n = np.bincount(labels), len(labels)
    if len(sizes) < 2:
        return 1.0
    centred = features - features.mean(0)
    sums = np.zeros((len(sizes), features.shape[1]))
    np.add.at(sums, labels, centred)
    of_mean = len(sizes) / (len(sizes) - 1) * np.square(sums).sum() / n**2
    return float(min(n, np.square(centred).sum() / (n - 1) / of_mean)) if of_mean > 0 else float(n)


def _check_moments(mean: np.ndarray, covariance: np.ndarray) -> None:
    if mean.ndim != 1 or covariance.shape != (mean.size, mean.size):
        raise ValueError(f"mean {mean.shape} and covariance {covariance.shape} do not belong together")
    for name, values in (("mean", mean), ("covariance", covariance)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: {int((~np.isfinite(values)).sum())} values are not finite")
    largest = float(np.abs(np.diagonal(covariance)).max(initial=0.0))
    if np.abs(covariance - covariance.T).max(initial=0.0) > ROUNDING * largest:
        raise ValueError("covariance is not symmetric")
    try:
        np.linalg.cholesky(covariance + (ROUNDING * np.linalg.norm(covariance) + 1e-300) * np.eye(mean.size))
    except np.linalg.LinAlgError:
        raise ValueError("covariance is not positive semidefinite: some variance is negative") from None
