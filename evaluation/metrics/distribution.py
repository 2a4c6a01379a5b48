"""How far two sets of features are apart: Frechet and kernel distance; fidelity and diversity by neighbours. Float64."""

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


class NeighbourReference:
    """A reference sample (m, d) with balls to each point's k-th neighbour, and one of four statistics of a sample:

    precision, recall   the share of one sample inside the other's balls (Kynkaanniemi et al. 2019)
    density, coverage   the same, robust to outliers among the generated (Naeem et al. 2020, eqs. 4 and 5)
    """

    def __init__(self, features: np.ndarray, statistic: str, neighbours: int = 5):
        self.features, self.statistic, self.neighbours = np.asarray(features, np.float64), statistic, neighbours
        self.radii = _radii(self.features, neighbours)

    def distance(self, features: np.ndarray) -> float:
        """The statistic of features (n, d); NaN with too few of them for their own balls."""
        features = np.asarray(features, np.float64)
        apart = _distances(self.features, features)  # (m, n)
        if self.statistic == "precision":
            return float((apart <= self.radii[:, None]).any(0).mean())
        if self.statistic == "density":
            return float((apart <= self.radii[:, None]).sum(0).mean() / self.neighbours)
        if self.statistic == "coverage":
            return float((apart.min(1) <= self.radii).mean())
        if len(features) <= self.neighbours:
            return float("nan")
        return float((apart <= _radii(features, self.neighbours)[None, :]).any(1).mean())


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    squares = np.square(x).sum(1)[:, None] + np.square(y).sum(1)[None, :] - 2 * x @ y.T
    return np.sqrt(squares.clip(0))


def _radii(features: np.ndarray, neighbours: int) -> np.ndarray:
    """Distance of each point to its k-th nearest other point."""
    return np.partition(_distances(features, features), neighbours, axis=1)[:, neighbours]
