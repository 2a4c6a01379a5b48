"""Distances between two sets of features: Frechet and kernel. Float64 throughout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
        values, vectors = np.linalg.eigh(self.covariance)
        self.root = (vectors * np.sqrt(values.clip(0))) @ vectors.T

    def distance(self, mean: np.ndarray, covariance: np.ndarray) -> float:
        """The Frechet distance to a mean (d,) and covariance (d, d)."""
        middle = np.sqrt(np.linalg.eigvalsh(self.root @ covariance @ self.root).clip(0)).sum()
        shift = np.square(self.mean - mean).sum()
        return float(max(0.0, shift + np.trace(self.covariance) + np.trace(covariance) - 2 * middle))


class KernelReference:
    """A reference sample (m, d), its own part of the kernel distance computed once."""

    def __init__(self, features: np.ndarray):
        self.features = np.asarray(features, np.float64)
        self.within = _mean_of_pairs(self.features)

    def distance(self, features: np.ndarray) -> float:
        """Unbiased squared MMD to features (n, d), kernel (x.y / d + 1)^3 (Binkowski et al. 2018).

        Its expectation is zero for equal distributions, so small negative values are right.
        """
        features = np.asarray(features, np.float64)
        return float(_mean_of_pairs(features) + self.within - 2 * _kernel(features, self.features).mean())


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_of_pairs(x: np.ndarray) -> float:
    """The mean kernel over all pairs of different rows."""
    values = _kernel(x, x)
    return (values.sum() - np.trace(values)) / (len(x) * (len(x) - 1))
