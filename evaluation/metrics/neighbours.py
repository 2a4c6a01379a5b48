"""Fidelity and diversity of one set of features beside another, by nearest neighbours. Float64.

Every pair of images is looked at: time goes with the square of their number, memory with the number itself (blocks.PAIRS).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..statistics import Jackknifed, Mean
from .blocks import BLOCKS, Blocks, blocks_of, finite, portions, without_each, without_pairs
from .metric import NEIGHBOURS


class NeighbourReference:
    """A reference sample (m, d) with balls to each point's k-th neighbour, and one of four statistics of a sample:

    precision, recall   the share of one sample inside the other's balls (Kynkaanniemi et al. 2019), k = 3
    density, coverage   the same, robust to outliers among the generated (Naeem et al. 2020, eqs. 4 and 5), k = 5

    precision and density are means over the generated images; recall and coverage depend on how many those are.
    """

    def __init__(self, features: np.ndarray, statistic: str, neighbours: int | None = None):
        self.features, self.statistic = finite(features, "reference"), statistic
        self.neighbours = NEIGHBOURS[statistic] if neighbours is None else neighbours
        self.squares = _squares(self.features)
        self.radii = _radii(self.features, self.neighbours)

    def measure(self, features: np.ndarray, prompts: np.ndarray) -> Mean | Jackknifed | None:
        """The statistic of features (n, d) of these prompts (n,), with what its error needs; None with too few prompts."""
        if self.statistic in ("precision", "density"):
            bounds = (0.0, 1.0 if self.statistic == "precision" else float("inf"))
            return Mean.of(self._fidelity(finite(features)).astype(float), prompts, bounds)
        blocks = blocks_of(prompts)
        if blocks is None:
            return None
        count = int(blocks.max()) + 1
        both = without_pairs(blocks) if count == BLOCKS else []  # from fewer, what pairs add is too poorly known
        whole, *others = self._of_kept(features, blocks, [*without_each(blocks), *both])
        left_out, pairs = np.array(others[:count]), np.array(others[count:]) if both else None
        return Jackknifed(whole, left_out, np.bincount(blocks), len(np.unique(prompts)), "share", pairs)

    def distance(self, features: np.ndarray) -> float:
        """The statistic of features (n, d); NaN with too few of them, or of the reference, for balls."""
        return self.leave_out(features, np.zeros(len(features), int))[0]

    def leave_out(self, features: np.ndarray, blocks: Blocks) -> tuple[float, list[float]]:
        """The statistic of all features (n, d), and with each block left out, in one pass over all pairs."""
        whole, *without = self._of_kept(features, blocks, without_each(blocks))
        return whole, without

    def _of_kept(self, features: np.ndarray, blocks: Blocks, choices: list[np.ndarray]) -> list[float]:
        """Of all features (n, d), and of each choice of whole blocks of them; NaN where one is empty."""
        features = finite(features)
        kept = [np.ones(len(features), bool), *choices]
        if len(self.features) <= self.neighbours:  # no point has a k-th neighbour, so no ball
            return [float("nan")] * len(kept)
        if self.statistic == "coverage":
            return list(map(float, self._coverage(features, blocks, kept)))
        if self.statistic == "recall":
            return list(map(float, self._recall(features, blocks, kept)))
        values = self._fidelity(features)
        return [float(values[chosen].mean()) for chosen in kept]

    def _fidelity(self, features: np.ndarray) -> np.ndarray:
        """What each of the features (n, d) adds: whether it lies in any of the reference's balls, or in how many of k."""
        if len(self.features) <= self.neighbours:
            return np.full(len(features), np.nan)
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
        for part in portions(len(features), len(self.features)):
            yield part, _distances(self.features, self.squares, features[part])


def _squares(features: np.ndarray) -> np.ndarray:
    """|x|^2 of each row."""
    return np.concatenate([np.square(features[part]).sum(1) for part in portions(*features.shape)] or [np.zeros(0)])


def _distances(x: np.ndarray, squares: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of all x to a portion of points y: (len(x), len(y)), worked in place."""
    apart = squares[:, None] + np.square(y).sum(1)[None, :]
    apart -= x @ (2 * y).T
    return np.sqrt(apart.clip(0, out=apart), out=apart)


def _radii(features: np.ndarray, neighbours: int) -> np.ndarray:
    """Distance of each point to its k-th nearest other point."""
    every = np.zeros(len(features), int)
    return _radii_of_kept(features, every, [every == 0], neighbours)[0]


def _radii_of_kept(features: np.ndarray, blocks: Blocks, kept: list[np.ndarray], neighbours: int) -> np.ndarray:
    """The same (S, n) among each of S choices of whole blocks: of each block only a point's k nearest can matter."""
    radii = np.full((len(kept), len(features)), np.nan)
    chosen_blocks, squares = [np.unique(blocks[chosen]) for chosen in kept], _squares(features)
    for part in portions(len(features), len(features)):
        apart = _distances(features, squares, features[part])
        nearest = [_smallest(apart[blocks == block], neighbours + 1) for block in range(blocks.max() + 1)]
        for row, chosen in enumerate(chosen_blocks):
            candidates = np.concatenate([nearest[block] for block in chosen])
            if len(candidates) > neighbours:  # the point itself is the first
                radii[row, part] = np.partition(candidates, neighbours, axis=0)[neighbours]
    return radii


def _smallest(values: np.ndarray, count: int) -> np.ndarray:
    """The `count` smallest of each column (or all, where there are no more), in any order."""
    return np.partition(values, count - 1, axis=0)[:count] if len(values) > count else values
