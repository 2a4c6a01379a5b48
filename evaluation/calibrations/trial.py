"""What one draw of a simulation says, and what many say together: coverage, bias, error against true spread, verdicts."""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..comparisons import Difference
from ..intervals import CONFIDENCE
from ..statistics import Estimate

PAIRED, PAIRED_NULL, APART, APART_NULL = "paired", "paired, null", "unpaired", "unpaired, null"


@dataclass(frozen=True)
class Said:
    """One estimate of one draw: its value, error and interval, and whether it claimed a difference."""

    value: float
    se: float | None
    low: float | None
    high: float | None
    claims: bool = False

    @classmethod
    def of_estimate(cls, found: Estimate) -> Said:
        return cls(found.value, found.se, found.low, found.high)

    @classmethod
    def of_difference(cls, found: Difference) -> Said:
        """As a table of this one comparison prints it: a difference is claimed where the interval leaves out 0."""
        if found.interval is None:
            return cls(found.value, found.se, None, None)
        low, high = found.interval(CONFIDENCE)
        return cls(found.value, found.se, low, high, not low <= 0 <= high)


class Case(ABC):
    """A world of known truth, and an estimator at work in it."""

    name: str
    draws: int  # of each number of prompts and images

    @abstractmethod
    def trial(self, rng: np.random.Generator, prompts: int, images: int) -> dict[str, Said]:
        """What the estimator says of one draw of so many prompts and images each, by the kind of estimate."""

    @property
    def truths(self) -> dict[str, float]:
        """What each kind of estimate is of; for one that is not here, its mean over all draws."""
        return {PAIRED_NULL: 0.0, APART_NULL: 0.0}


def simulate(
    case: Case, prompts: int, images: int, draws: int, progress: Callable[[int], object] = lambda done: None
) -> list[dict]:
    """A row for each kind of estimate. The same draws each time, whatever else is simulated."""
    said: dict[str, list[Said]] = {}
    for draw in range(draws):
        rng = np.random.default_rng([zlib.crc32(case.name.encode()), prompts, images, draw])
        for kind, found in case.trial(rng, prompts, images).items():
            said.setdefault(kind, []).append(found)
        progress(draw + 1)
    names = {"case": case.name, "prompts": prompts, "images": images, "draws": draws}
    return [names | summary(kind, found, case.truths.get(kind)) for kind, found in said.items()]


def summary(kind: str, found: Sequence[Said], truth: float | None) -> dict:
    """Of many draws: percentages, and what they leave to chance; NaN where nothing was printed.

    printed     the share of draws in which n allowed an interval, in %
    coverage    the share of those whose interval holds the truth, in %; its Monte-Carlo error beside
    bias        mean value minus truth, in true standard deviations (0 by construction, where truth is the mean of draws)
    error       mean printed standard error over true standard deviation
    false       where nothing differs: the share of draws that say it does, in %
    """
    values = np.array([one.value for one in found if math.isfinite(one.value)])
    centre = truth if truth is not None else float(values.mean()) if len(values) else math.nan
    spread = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    printed = [(one.low, one.high) for one in found if one.low is not None and one.high is not None]
    edge = 1e-9 * max(1.0, abs(centre))
    held = [low - edge <= centre <= high + edge for low, high in printed]
    share = float(np.mean(held)) if printed else math.nan
    errors = [one.se for one in found if one.low is not None and one.se is not None]
    return {
        "estimate": kind,
        "truth": centre,
        "printed": 100 * len(printed) / len(found),
        "coverage": 100 * share,
        "coverage_error": 100 * math.sqrt(share * (1 - share) / len(printed)) if printed else math.nan,
        "bias": (float(values.mean()) - centre) / spread if spread else math.nan,
        "error": float(np.mean(errors)) / spread if errors and spread else math.nan,
        "width": float(np.mean([high - low for low, high in printed])) if printed else math.nan,
        "false": 100 * float(np.mean([one.claims for one in found])) if kind in (PAIRED_NULL, APART_NULL) else math.nan,
    }
