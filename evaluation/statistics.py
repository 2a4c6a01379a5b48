"""Estimates with their errors: means over prompts, and statistics of a whole sample by leaving prompts out.

Prompts are the sample: images of one prompt are not independent. How well each interval holds is measured by
`python -m evaluation.calibration`, and stands in docs/calibration.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike
from scipy import stats

from .intervals import Share, student, wilson

SECOND_ORDER_AT_MOST = 0.75  # of the jackknife's variance, lest noise leave nothing of it
Bounds = tuple[float, float]
AT_THIS_N = "the expected value at this n"  # which images more or fewer would shift
ITSELF = "the distance itself, whatever n"


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error and 95 % interval; None where n allows none, and `note` says why.

    `about` says what the interval is about, where that is not the plain value of the population.
    """

    value: float
    n: int
    se: float | None = None
    low: float | None = None
    high: float | None = None
    about: str = ""
    note: str = ""

    def columns(self) -> dict[str, float | int | None]:
        """value, low, high and n, as a table has them."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


@dataclass(frozen=True)
class Mean:
    """The mean of values (n,), of which those of one cluster (images of one prompt) are not independent.

    bounds: between which each value must lie, a property of the metric; the upper may be infinite; None without any.
    """

    values: np.ndarray
    clusters: np.ndarray
    bounds: Bounds | None = None

    @classmethod
    def of(cls, values: ArrayLike, clusters: ArrayLike | None = None, bounds: Bounds | None = None) -> Mean:
        """Clusters by any label; none given, every value is its own. ValueError for values outside the bounds."""
        found = np.asarray(values, np.float64)
        if found.size == 0:
            raise ValueError("values is empty: a mean needs one or more")
        if bounds is not None and ((found < bounds[0] - 1e-9) | (found > bounds[1] + 1e-9)).any():
            raise ValueError(f"values must lie in {list(bounds)}, got {found.min():.4g} to {found.max():.4g}")
        labels = range(len(found)) if clusters is None else clusters
        return cls(found, np.unique(np.asarray(labels), return_inverse=True)[1], bounds)

    @property
    def value(self) -> float:
        return float(self.values.mean())

    @property
    def count(self) -> int:
        """Of clusters."""
        return int(self.clusters.max()) + 1

    @property
    def deviations(self) -> np.ndarray:
        """Of each cluster's sum from what its size makes expected, over n: what the mean owes to it. (clusters,)"""
        return np.bincount(self.clusters, weights=self.values - self.value) / len(self.values)

    @property
    def variance(self) -> float:
        """Of the mean, by its clusters (the linearised ratio estimator; Cochran 1977, section 6.4)."""
        return float(self.count / (self.count - 1) * np.square(self.deviations).sum())

    @property
    def is_share(self) -> bool:
        """Whether values are bounded on both sides."""
        return self.bounds is not None and bool(np.isfinite(self.bounds).all())

    @property
    def scale(self) -> tuple[float, float]:
        """The lower bound and the width between bounds; those of [0, 1] where there are none."""
        low, high = self.bounds or (0.0, 1.0)
        return low, high - low

    @property
    def share(self) -> Share:
        """Of a bounded mean, for Wilson's interval; the scale is that of the bounds."""
        low, width = self.scale
        sizes = np.bincount(self.clusters)
        even = (
            len(self.values) ** 2 / np.square(sizes).sum()
        )  # clusters of one size that would weigh as these do (Kish)
        value = min(max((self.value - low) / width, 0.0), 1.0)
        return Share.of(value, self.variance / width**2, even, self.count - 1)

    def estimate(self) -> Estimate:
        """With Wilson's interval where values are bounded, Student's where not."""
        n = len(self.values)
        if not np.isfinite(self.values).all():
            return Estimate(self.value, n, note="values that are not finite: no interval")
        if self.count < 2:
            return Estimate(self.value, n, note="one prompt: nothing known of the spread")
        se = self.variance**0.5 or None
        if not self.is_share:
            if se is None:
                return Estimate(self.value, n, note="every prompt has the same value: nothing known of the spread")
            low, high = student(self.value, se, self.count - 1)
            return Estimate(self.value, n, se, max(low, self.bounds[0]) if self.bounds else low, high)
        (low, width), ends = self.scale, wilson(self.share)
        return Estimate(self.value, n, se, low + width * ends[0], low + width * ends[1])


def mean(values: ArrayLike, clusters: ArrayLike | None = None, bounds: Bounds | None = None) -> Estimate:
    """The mean of values with its error over clusters (prompts); bounds: between which each value must lie, if any."""
    return Mean.of(values, clusters, bounds).estimate()


@dataclass(frozen=True)
class Jackknifed:
    """A statistic of a whole sample of n images of so many prompts, and what it is without each block of prompts.

    sizes    images in each block (B,)
    pairs    for shares of many blocks: the statistic without block b and the next (the first, after the last), (B,)
    kind     "distance": unbounded; "share": in [0, 1]
    """

    whole: float
    left_out: np.ndarray  # (B,)
    sizes: np.ndarray
    prompts: int
    kind: Literal["distance", "share"] = "distance"
    pairs: np.ndarray | None = None

    @property
    def value(self) -> float:
        return self.whole

    @property
    def n(self) -> int:
        return int(np.sum(self.sizes))

    @property
    def blocks(self) -> int:
        return len(self.left_out)

    @property
    def is_known(self) -> bool:
        """Whether an error can be had: two blocks, and finite without any of them."""
        others = self.left_out if self.pairs is None else self.pairs
        return self.blocks > 1 and bool(np.isfinite([self.whole, *self.left_out, *others]).all())

    @property
    def pseudo_values(self) -> np.ndarray:
        """(B,): their spread is the statistic's. Blocks need not be of one size (Busing, Meijer & van der Leeden 1999)."""
        ratio = self.n / np.asarray(self.sizes)
        return ratio * self.whole - (ratio - 1) * np.asarray(self.left_out)

    @property
    def corrected(self) -> float:
        """Without the part of the bias that goes with 1 / n (Quenouille 1956)."""
        kept = 1 - np.asarray(self.sizes) / self.n
        return self.blocks * self.whole - float((kept * self.left_out).sum())

    @property
    def deviations(self) -> np.ndarray:
        """(B,): the sum of their squares is the statistic's variance (Tukey 1958; Busing et al. 1999, eq. 8)."""
        ratio = self.n / np.asarray(self.sizes)
        return (self.pseudo_values - self.corrected) / np.sqrt((ratio - 1) * self.blocks)

    @property
    def variance(self) -> float:
        """Of the statistic. The jackknife counts twice what pairs of blocks add to it together (Efron & Stein 1981, eq.
        3.9): for shares, where that is much, half of it is taken off, which simulation finds about right."""
        variance = float(np.square(self.deviations).sum())
        if self.pairs is None:
            return variance
        return variance - min(self._of_pairs(), SECOND_ORDER_AT_MOST * variance) / 2

    def _of_pairs(self) -> float:
        """The variance that pairs of blocks add together, from every block and its next."""
        second = self.whole - self.left_out - np.roll(self.left_out, -1) + self.pairs
        products = np.stack(
            [np.ones(self.blocks), self.sizes * np.roll(self.sizes, -1)], 1
        )  # larger blocks, larger bias
        second = second - products @ np.linalg.lstsq(products, second, rcond=None)[0]
        return self.blocks / 2 * float(np.square(second).sum())

    @property
    def share(self) -> Share:
        """For Wilson's interval, where it is one."""
        return Share.of(self.whole, self.variance, self.prompts, self.blocks - 1)

    def estimate(self, about: str = AT_THIS_N) -> Estimate:
        """The plain value, with Student's interval or, of a share, Wilson's."""
        if not self.is_known:
            return Estimate(self.whole, self.n, about=about, note="too few images to leave any out: no interval")
        se = self.variance**0.5 or None
        if self.kind == "share":
            return Estimate(self.whole, self.n, se, *wilson(self.share), about)
        if se is None:
            return Estimate(self.whole, self.n, about=about, note="nothing changes without any prompt: no interval")
        return Estimate(self.whole, self.n, se, *student(self.whole, se, self.blocks - 1), about)

    def corrected_estimate(self) -> Estimate:
        """Of a distance whose bias goes with 1 / n: the corrected value, its interval about the distance itself."""
        se = self.variance**0.5
        return Estimate(self.corrected, self.n, se, *student(self.corrected, se, self.blocks - 1), ITSELF)


Sample = Mean | Jackknifed


def jackknife(whole: float, left_out: npt.ArrayLike, n: int) -> tuple[Estimate, float]:
    """Delete-block jackknife of n values in blocks of one size: the plain value with its error, and the bias-corrected."""
    parts = np.asarray(left_out, np.float64)
    found = Jackknifed(whole, parts, np.full(len(parts), n / len(parts)), len(parts))
    return found.estimate(), found.corrected


def shuffled_blocks(count: int, blocks: int) -> np.ndarray:
    """The jackknife block of each of `count` prompts: as many in each as can be, the same for every guidance scale, so that
    differences are paired.

    By chance, and always the same: prompt files come in some order, and every twentieth prompt of one that goes through
    ten labels in turn would be a block of one label.
    """
    return np.random.default_rng(0).permutation(count) % blocks


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979): p values that stay honest over many comparisons."""
    order = np.argsort(p_values, kind="stable")
    adjusted, worst = np.empty(len(order)), 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = worst
    return adjusted.tolist()


def p_value(difference: float, se: float, freedom: float) -> float | None:
    """Two-sided, of no difference, by Student's t; None where se is 0: nothing is known of the spread."""
    return float(2 * stats.t.sf(abs(difference / se), freedom)) if se > 0 else None
