"""Differences of two estimates, paired or not: interval and p value are one statement, alone or among many.

What is better is decided by one thing: whether the interval printed contains 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .intervals import CONFIDENCE, Interval, Share, p_value, share_difference, student
from .statistics import Estimate, Jackknifed, Mean, holm

FEWEST = 3  # prompts, or blocks of them, from which a spread of differences is told
FEW = "fewer than three prompts: nothing known of the spread"
EQUAL = "nothing changes in any prompt"
SAME = "every prompt changes alike: nothing known of the spread"


@dataclass(frozen=True)
class Difference:
    """second - first, its standard error, and its interval as a function of confidence; None where nothing is known of the
    spread, and `note` says why."""

    value: float
    n: int
    se: float | None = None
    interval: Interval | None = None
    note: str = ""

    @property
    def p(self) -> float | None:
        """The error at which its interval just excludes 0."""
        return None if self.interval is None else p_value(self.interval)


def paired_means(first: Mean, second: Mean) -> Difference:
    """Of two means over the same images' twins, in one order, of the same clusters: Student's interval over clusters, or of
    bounded scores the one from both shares' own and their correlation."""
    if len(first.values) != len(second.values) or (first.clusters != second.clusters).any():
        raise ValueError("a paired difference needs the same prompts and seeds on both sides, in one order")
    change = Mean(second.values - first.values, first.clusters)
    n = len(change.values)
    if change.count < FEWEST or not np.isfinite(change.values).all():
        return Difference(change.value, n, note=FEW if change.count < FEWEST else "values that are not finite")
    se = change.variance**0.5
    if not first.is_share:
        return _by_student(change.value, n, se, change.count - 1)
    correlation = _correlation(first.deviations, second.deviations)
    return _by_shares(change.value, n, se, first.share, second.share, correlation, first.scale[1])


def independent_means(first: Mean, second: Mean) -> Difference:
    """Of two means over other prompts each: Welch's interval (1947) over clusters, or of bounded scores from both shares'."""
    value, n = second.value - first.value, len(first.values) + len(second.values)
    if min(first.count, second.count) < FEWEST or not np.isfinite(value):
        return Difference(value, n, note=FEW if np.isfinite(value) else "values that are not finite")
    parts = first.variance, second.variance
    if not first.is_share:
        return _by_student(value, n, sum(parts) ** 0.5, _welch(parts, (first.count - 1, second.count - 1)))
    return _by_shares(value, n, sum(parts) ** 0.5, first.share, second.share, 0.0, first.scale[1])


def independent_values(first: Estimate, second: Estimate) -> Difference:
    """Of two values with their errors alone, of n independent images each: Welch's interval."""
    value, n = second.value - first.value, first.n + second.n
    if first.se is None or second.se is None or min(first.n, second.n) < FEWEST:
        return Difference(value, n, note="no error is known of one of them")
    parts = first.se**2, second.se**2
    return _by_student(value, n, sum(parts) ** 0.5, _welch(parts, (first.n - 1, second.n - 1)))


def paired_statistics(first: Jackknifed, second: Jackknifed) -> Difference:
    """Of two statistics to one reference: the same blocks of prompts are left out of both in turn."""
    value, n = second.whole - first.whole, first.n
    if not np.array_equal(first.sizes, second.sizes):
        raise ValueError("a paired difference needs the same prompts on both sides")
    if min(first.blocks, second.blocks) < FEWEST or not (first.is_known and second.is_known):
        return Difference(value, n, note=FEW)
    if first.kind == "share":
        correlation = _correlation(first.deviations, second.deviations)
        both = first.variance + second.variance - 2 * correlation * (first.variance * second.variance) ** 0.5
        return _by_shares(value, n, max(both, 0.0) ** 0.5, first.share, second.share, correlation, 1.0)
    change = Jackknifed(value, np.subtract(second.left_out, first.left_out), first.sizes, first.prompts)
    return _by_student(value, n, change.variance**0.5, change.blocks - 1)


def independent_statistics(first: Jackknifed, second: Jackknifed) -> Difference:
    """Of two statistics of samples from other prompts each, to one reference."""
    value, n = second.whole - first.whole, first.n + second.n
    if min(first.blocks, second.blocks) < FEWEST or not (first.is_known and second.is_known):
        return Difference(value, n, note=FEW)
    parts = first.variance, second.variance
    if first.kind == "share":
        return _by_shares(value, n, sum(parts) ** 0.5, first.share, second.share, 0.0, 1.0)
    return _by_student(value, n, sum(parts) ** 0.5, _welch(parts, (first.blocks - 1, second.blocks - 1)))


@dataclass(frozen=True)
class Statement:
    """What a table prints of a difference among others: p adjusted (Holm 1979), and the interval at the confidence of the
    same step, so that it contains 0 exactly where p is 0.05 or more. It is never shorter than the plain 95 % interval."""

    p: float | None
    confidence: float | None
    low: float | None
    high: float | None

    @property
    def is_tied(self) -> bool | None:
        """Whether 0 is in the interval; None where there is none."""
        return None if self.low is None or self.high is None else bool(self.low <= 0 <= self.high)


def statements(differences: Sequence[Difference]) -> list[Statement]:
    """Of differences that are read together: none of their verdicts is false in 95 % of such tables."""
    known = [(index, found.interval) for index, found in enumerate(differences) if found.interval is not None]
    raw = [p_value(interval) for _, interval in known]
    adjusted, stated = holm(raw), [Statement(None, None, None, None)] * len(differences)
    step, rejecting = len(known), True
    for place in np.argsort(raw, kind="stable"):
        index, interval = known[place]
        confidence = 1 - (1 - CONFIDENCE) / step
        low, high = interval(confidence)
        rejecting = rejecting and not low <= 0 <= high
        p = min(adjusted[place], 1 - CONFIDENCE) if rejecting else max(adjusted[place], 1 - CONFIDENCE)
        stated[index] = Statement(p, confidence, low, high)
        step -= rejecting
    return stated


def verdict(
    difference: Difference, statement: Statement, higher_is_better: bool, first: str = "first", second: str = "second"
) -> str:
    """In words which of the two named is better."""
    if difference.note == EQUAL:
        return "tied at this n: nothing changes in any prompt"
    if statement.is_tied is None:
        return f"not known: {difference.note}"
    if statement.is_tied:
        return "tied at this n"
    return f"{second if (difference.value > 0) == higher_is_better else first} is better"


def _by_student(value: float, n: int, se: float, freedom: float) -> Difference:
    if se <= 1e-12 * max(1.0, abs(value)):  # rounding makes it small, not nothing
        return Difference(value, n, note=SAME if value else EQUAL)
    return Difference(value, n, se, lambda confidence: student(value, se, freedom, confidence))


def _by_shares(
    value: float, n: int, se: float, first: Share, second: Share, correlation: float, width: float
) -> Difference:
    """The wider of two on each side: from the shares' own intervals, which is short where both are skewed alike, and Student's,
    which is short where they are skewed unlike, and knows nothing where none changes."""
    freedom = min(first.freedom, second.freedom)

    def interval(confidence: float) -> tuple[float, float]:
        low, high = share_difference(first, second, correlation, confidence)
        least, most = student(value, se, freedom, confidence)
        return max(min(width * low, least), -width), min(max(width * high, most), width)

    return Difference(value, n, se or None, interval)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Of what two values owe to each cluster; 0 where one owes nothing to any."""
    lengths = float(np.sqrt(np.square(first).sum() * np.square(second).sum()))
    return float((first * second).sum() / lengths) if lengths > 0 else 0.0


def _welch(variances: tuple[float, float], freedoms: tuple[int, int]) -> float:
    """Degrees of freedom of a sum of two variances (Satterthwaite 1946)."""
    parts = sum(variance**2 / freedom for variance, freedom in zip(variances, freedoms))
    return sum(variances) ** 2 / parts if parts > 0 else float(sum(freedoms))
