"""How far two sets of features are apart: Frechet and kernel distance; fidelity and diversity by neighbours. Float64."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

ROWS = 2_000  # of a kernel matrix at a time
WIDTH = 10.0  # of cmmd's Gaussian; |x - y|^2 = 2 - 2 x.y for features of length one

Blocks = np.ndarray  # (n,) of integers: which jackknife block each sample belongs to


def without_each(blocks: Blocks) -> list[np.ndarray]:
    """For each block, which samples are in the others; none where there is but one block."""
    count = int(blocks.max()) + 1
    return [blocks != block for block in range(count)] if count > 1 else []


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


class KernelReference:
    """A reference sample (m, d), and the squared maximum mean discrepancy to it (Gretton et al. 2012).

    kernel   x.y / d + 1 to the third, unbiased: the kernel distance of Binkowski et al. 2018. Its expectation is zero
             for equal distributions, so small negative values are right.
    cmmd     a Gaussian of width 10 on features of length one, times 1000, every pair counted, a sample with itself too,
             as its authors do (Jayasumana et al. 2024).
    """

    def __init__(self, features: np.ndarray, statistic: str = "kernel"):
        self.statistic = statistic
        self.features = self._prepared(features)
        every = np.zeros(len(self.features), int)
        self.within = self._mean_within(
            self._sums(self.features, self.features, every, every)[0, 0], len(self.features)
        )

    def distance(self, features: np.ndarray) -> float:
        """To features (n, d)."""
        return self.leave_out(features, np.zeros(len(features), int))[0]

    def leave_out(self, features: np.ndarray, blocks: Blocks) -> tuple[float, list[float]]:
        """The distance of all features (n, d), and with each block left out: every pair of blocks is summed once."""
        features, counts = self._prepared(features), np.bincount(blocks)
        within = self._sums(features, features, blocks, blocks)
        across = self._sums(features, self.features, blocks, np.zeros(len(self.features), int))[:, 0]

        def of(kept: np.ndarray) -> float:
            n = int(counts[kept].sum())
            mean_across = across[kept].sum() / (n * len(self.features))
            value = self._mean_within(within[np.ix_(kept, kept)].sum(), n) + self.within - 2 * mean_across
            return float(1000 * value if self.statistic == "cmmd" else value)

        every = np.arange(len(counts))
        return of(every), [of(np.delete(every, block)) for block in every] if len(every) > 1 else []

    def _prepared(self, features: np.ndarray) -> np.ndarray:
        features = np.asarray(features, np.float64)
        return features / np.linalg.norm(features, axis=1, keepdims=True) if self.statistic == "cmmd" else features

    def _mean_within(self, total: float, n: int) -> float:
        return total / n**2 if self.statistic == "cmmd" else total / (n * (n - 1))

    def _sums(self, x: np.ndarray, y: np.ndarray, x_blocks: Blocks, y_blocks: Blocks) -> np.ndarray:
        """Kernel values summed over each pair of blocks; rows in portions, for memory. The unbiased kind leaves out i = i."""
        of_x, of_y = (np.eye(blocks.max() + 1)[blocks] for blocks in (x_blocks, y_blocks))
        total = np.zeros((of_x.shape[1], of_y.shape[1]))
        for start in range(0, len(x), ROWS):
            part = slice(start, start + ROWS)
            values = self._kernel(x[part], y)
            if x is y and self.statistic == "kernel":
                values[np.arange(len(values)), np.arange(start, start + len(values))] = 0
            total += of_x[part].T @ values @ of_y
        return total

    def _kernel(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        products = x @ y.T
        return np.exp((products - 1) / WIDTH**2) if self.statistic == "cmmd" else (products / x.shape[1] + 1) ** 3


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
        return self.leave_out(features, np.zeros(len(features), int))[0]

    def leave_out(self, features: np.ndarray, blocks: Blocks) -> tuple[float, list[float]]:
        """The statistic of all features (n, d), and with each block left out, in one pass over all pairs."""
        features = np.asarray(features, np.float64)
        kept = [np.ones(len(features), bool), *without_each(blocks)]
        if self.statistic == "coverage":
            shares = self._coverage(features, blocks, kept)
        elif self.statistic == "recall":
            shares = self._recall(features, blocks, kept)
        else:
            values = self._fidelity(features)
            shares = [values[chosen].mean() for chosen in kept]
        whole, *without = map(float, shares)
        return whole, without

    def _fidelity(self, features: np.ndarray) -> np.ndarray:
        """What each of the features (n, d) adds: whether it lies in any of the reference's balls, or in how many of k."""
        inside = [(apart <= self.radii[:, None]).sum(0) for _, apart in self._pairs(features)]
        balls = np.concatenate(inside)
        return balls > 0 if self.statistic == "precision" else balls / self.neighbours

    def _coverage(self, features: np.ndarray, blocks: Blocks, kept: list[np.ndarray]) -> list[float]:
        covered = np.zeros((blocks.max() + 1, len(self.features)), bool)  # by block: it has a point in the ball
        for part, apart in self._pairs(features):
            inside = apart <= self.radii[:, None]
            for block in np.unique(blocks[part]):
                covered[block] |= inside[:, blocks[part] == block].any(1)
        return [covered[np.unique(blocks[chosen])].any(0).mean() for chosen in kept]

    def _recall(self, features: np.ndarray, blocks: Blocks, kept: list[np.ndarray]) -> list[float]:
        radii = _radii_of_kept(features, blocks, kept, self.neighbours)
        found = np.zeros((len(kept), len(self.features)), bool)
        for part, apart in self._pairs(features):
            for row, chosen in enumerate(kept):
                found[row] |= (apart <= np.where(chosen[part], radii[row, part], -1)[None, :]).any(1)
        return [
            points.mean() if chosen.sum() > self.neighbours else float("nan") for points, chosen in zip(found, kept)
        ]

    def _pairs(self, features: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Distances (m, rows) of the reference to the features, a portion of them at a time, for memory."""
        return ((part, _distances(self.features, features[part])) for part in _portions(len(features)))


def _portions(count: int) -> Iterator[slice]:
    return (slice(start, start + ROWS) for start in range(0, count, ROWS))


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    squares = np.square(x).sum(1)[:, None] + np.square(y).sum(1)[None, :] - 2 * x @ y.T
    return np.sqrt(squares.clip(0))


def _radii(features: np.ndarray, neighbours: int) -> np.ndarray:
    """Distance of each point to its k-th nearest other point."""
    every = np.zeros(len(features), int)
    return _radii_of_kept(features, every, [every == 0], neighbours)[0]


def _radii_of_kept(features: np.ndarray, blocks: Blocks, kept: list[np.ndarray], neighbours: int) -> np.ndarray:
    """The same (S, n) among each of S choices of whole blocks: of each block only a point's k nearest can matter."""
    radii = np.full((len(kept), len(features)), np.nan)
    chosen_blocks = [np.unique(blocks[chosen]) for chosen in kept]
    for part in _portions(len(features)):
        apart = _distances(features, features[part])
        nearest = [_smallest(apart[blocks == block], neighbours + 1) for block in range(blocks.max() + 1)]
        for row, chosen in enumerate(chosen_blocks):
            candidates = np.concatenate([nearest[block] for block in chosen])
            if len(candidates) > neighbours:  # the point itself is the first
                radii[row, part] = np.partition(candidates, neighbours, axis=0)[neighbours]
    return radii


def _smallest(values: np.ndarray, count: int) -> np.ndarray:
    """The `count` smallest of each column (or all, where there are no more), in any order."""
    return np.partition(values, count - 1, axis=0)[:count] if len(values) > count else values
