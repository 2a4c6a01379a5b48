"""Confidence intervals in closed form, given what was estimated: Student's, Wilson's for shares, and of their differences.

Which interval holds where is measured: `python -m evaluation.calibration`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import special

CONFIDENCE = 0.95
NEAR_EDGE = 1.4  # of the error allowed, the one-sided part that a beta quantile leaves out near 0 and 1
BORROWED = 0.1  # clusters' worth of the largest variance there can be
LEAST_P = 1e-12
Interval = Callable[[float], tuple[float, float]]  # of a confidence, such as 0.95


@dataclass(frozen=True)
class Share:
    """A mean in [0, 1], as if of `size` independent draws of 0 or 1, its variance known to `freedom` degrees."""

    value: float
    size: float
    freedom: float

    @classmethod
    def of(cls, value: float, variance: float, clusters: float, freedom: float) -> Share:
        """Of a value with its estimated variance, over so many independent clusters (prompts).

        The size is value (1 - value) / variance, the clusters' design effect in it. Near 0 and 1 few clusters show any
        of the rarer kind, and a variance seen in so few is no estimate: it borrows a little from the most there can be,
        that of one draw of 0 or 1 a cluster, and all of it where every cluster agrees.
        """
        most = value * (1 - value)
        if most <= 1e-12:
            return cls(value, clusters, freedom)
        seen = 4 * most * clusters
        shrunk = (seen * variance + BORROWED * most / clusters) / (seen + BORROWED)
        return cls(value, most / shrunk, freedom)


@functools.lru_cache(maxsize=4096)
def quantile(confidence: float, freedom: float) -> float:
    """How many standard errors Student's interval reaches to each side."""
    return float(special.stdtrit(freedom, 0.5 + confidence / 2))


def student(value: float, se: float, freedom: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Student's interval (1908), for a value about normal around the truth."""
    reach = quantile(confidence, freedom) * se
    return value - reach, value + reach


def wilson(share: Share, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval (1927) at the effective size, with Student's quantile: within [0, 1], never of width 0.

    With few draws of the rarer kind it is too short on the side of 0 or 1 (Brown, Cai & DasGupta 2001, section 4.1.1):
    there the bound is at least as far out as a one-sided exact one (Clopper & Pearson 1934).
    """
    p, n, square = share.value, share.size, quantile(confidence, share.freedom) ** 2
    centre = (p + square / (2 * n)) / (1 + square / n)
    reach = math.sqrt(square * (p * (1 - p) / n + square / (4 * n * n))) / (1 + square / n)
    tail = min(NEAR_EDGE * (1 - confidence), 0.5)
    low = min(centre - reach, _exact_low(p, n, tail), p)
    high = max(centre + reach, 1 - _exact_low(1 - p, n, tail), p)
    return (max(low, 0.0) if p > 0 else 0.0), (min(high, 1.0) if p < 1 else 1.0)


def _exact_low(p: float, n: float, tail: float) -> float:
    """The share of which p n or more of n draws have the probability `tail`."""
    return float(special.betaincinv(p * n, (1 - p) * n + 1, tail)) if p * n > 1e-9 else 0.0


def share_difference(
    first: Share, second: Share, correlation: float = 0.0, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """second - first of two shares whose estimates correlate: each one's own interval, squared and added (Newcombe 1998,
    method 10 of both papers; Zou & Donner 2008, eq. 3). Within [-1, 1], and never of width 0."""
    (low_1, high_1), (low_2, high_2) = wilson(first, confidence), wilson(second, confidence)
    difference = second.value - first.value
    down = _added(second.value - low_2, high_1 - first.value, correlation)
    up = _added(high_2 - second.value, first.value - low_1, correlation)
    return max(difference - down, -1.0), min(difference + up, 1.0)


def _added(a: float, b: float, correlation: float) -> float:
    return math.sqrt(max(a * a + b * b - 2 * correlation * a * b, 0.0))


def p_value(interval: Interval) -> float:
    """The error at which an interval just excludes 0: interval and p value are one statement. By bisection; 1e-12 at least."""

    def holds_zero(log_error: float) -> bool:
        low, high = interval(-math.expm1(log_error))
        return low <= 0 <= high

    least, most = math.log(LEAST_P), 0.0
    if holds_zero(most):
        return 1.0
    if not holds_zero(least):
        return LEAST_P
    for _ in range(45):
        middle = (least + most) / 2
        least, most = (middle, most) if holds_zero(middle) else (least, middle)
    return math.exp(most)
