"""The Frechet distance of two sets of features, taken for Gaussians. Float64."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from .blocks import Blocks, without_each


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
        self.mean, self.covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)

    @functools.cached_property
    def root(self) -> np.ndarray:
        """R: seconds of work in 2048 dimensions, so only where it is needed."""
        values, vectors = np.linalg.eigh(self.covariance)
        return (vectors * np.sqrt(values.clip(0))) @ vectors.T

    def leave_out(self, features: np.ndarray, blocks: Blocks) -> tuple[float, list[float]]:
        """The distance of all features (n, d), and with each block left out: a subtraction and one eigenvalue problem."""
        if len(features) < features.shape[1]:
            return self._by_samples(np.asarray(features, np.float64), blocks)
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
            return float(max(0.0, shift + np.trace(self.covariance) + spread - 2 * middle))

        return of(np.ones(len(features), bool)), [of(kept) for kept in without_each(blocks)]

    def distance(self, mean: np.ndarray, covariance: np.ndarray) -> float:
        """The Frechet distance to a mean (d,) and covariance (d, d)."""
        middle = np.sqrt(np.linalg.eigvalsh(self.root @ covariance @ self.root).clip(0)).sum()
        shift = np.square(self.mean - mean).sum()
        return float(max(0.0, shift + np.trace(self.covariance) + np.trace(covariance) - 2 * middle))
