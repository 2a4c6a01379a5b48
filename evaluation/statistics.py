"""Error bars: means over prompts, leave-block-out for distances, paired differences between guidance scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES, PORTION = 2000, 100  # of the bootstrap, and how many of them at a time


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error and 95 % interval; None where n allows none."""

    value: float
    n: int
    se: float | None = None
    low: float | None = None
    high: float | None = None


def estimate(value: float, n: int, se: float | None, freedom: int) -> Estimate:
    """With a Student interval of the given degrees of freedom."""
    if se is None or freedom < 1:
        return Estimate(value, n)
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)) * se
    return Estimate(value, n, se, value - reach, value + reach)


def mean(values: Sequence[float], clusters: Sequence[object] | None = None) -> Estimate:
    """The mean of values; those of one cluster (images of one prompt) are not independent, so the clusters are the sample."""
    values = np.asarray(values, np.float64)
    groups = np.unique(np.asarray(clusters if clusters is not None else range(len(values))), return_inverse=True)[1]
    sizes = np.bincount(groups)
    centre = values.mean()
    residuals = np.bincount(groups, weights=values - centre)  # of each cluster's sum
    count = len(sizes)
    se = float(np.sqrt(count / (count - 1) * np.square(residuals).sum()) / len(values)) if count > 1 else None
    return estimate(float(centre), len(values), se, count - 1)


def bootstrap_interval(values: Sequence[float], clusters: Sequence[object]) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of values, whole clusters drawn with replacement (Efron 1979; Field & Welsh
    2007). Seeded, so that a table made again is the same table.
    """
    groups = np.unique(np.asarray(clusters), return_inverse=True)[1]
    sums, sizes = np.bincount(groups, weights=np.asarray(values, np.float64)), np.bincount(groups)
    rng, means = np.random.default_rng(0), []
    for _ in range(RESAMPLES // PORTION):
        drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=PORTION)
        means.append(drawn @ sums / (drawn @ sizes))
    low, high = np.quantile(np.concatenate(means), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def shuffled_blocks(count: int, blocks: int) -> np.ndarray:
    """The jackknife block of each of `count` prompts: as many in each as can be, the same for every guidance scale, so that
    differences are paired.

    By chance, and always the same: prompt files come in some order, and every twentieth prompt of one that goes through
    ten labels in turn would be a block of one label.
    """
    return np.random.default_rng(0).permutation(count) % blocks


def jackknife(whole: float, left_out: Sequence[float], n: int) -> tuple[Estimate, float]:
    """Delete-block jackknife (Quenouille 1956; Tukey 1958): the plain value with its error, and the bias-corrected value."""
    parts, blocks = np.asarray(left_out, np.float64), len(left_out)
    se = float(np.sqrt((blocks - 1) / blocks * np.square(parts - parts.mean()).sum()))
    corrected = blocks * whole - (blocks - 1) * float(parts.mean())
    return estimate(whole, n, se, blocks - 1), corrected


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979): p values that stay honest over many comparisons."""
    order = np.argsort(p_values)
    adjusted, worst = np.empty(len(order)), 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = worst
    return adjusted.tolist()


def p_value(difference: float, se: float, freedom: int) -> float:
    """Two-sided, of no difference."""
    if se == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * stats.t.sf(abs(difference / se), freedom))
