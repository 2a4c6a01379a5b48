"""Paired differences, each with its error, p value and verdict: conditions against each other, or two runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import statistics
from ..image_set import ImageSet
from ..statistics import Estimate
from .metric import Metric, Row, Sample

if TYPE_CHECKING:
    from .distance import DistanceEstimate
    from .evidence import Evidence

COLUMNS = ["difference", "se", "low", "high", "p", "verdict"]
PLACES = ["axis", "value_a", "value_b", "condition_a", "condition_b"]


def differences(evidence: Evidence, metrics: Sequence[Metric]) -> pd.DataFrame:
    """Every two conditions that differ on one axis alone, by every metric: paired by prompt and seed, p adjusted (Holm)
    within a metric. scale_a and scale_b are the two sides' guidance scales, where the set has them."""
    images, rows = evidence.images, []
    scales = _scales(images)
    for metric in metrics:
        pairs = []
        for axis, a, b in neighbours(images):
            difference = metric.between(evidence, a, evidence, b)
            if difference is not None:
                known = {"scale_a": scales[a], "scale_b": scales[b]} if scales else {}
                sides = (images.values(a)[axis], images.values(b)[axis], a, b)
                pairs.append({"metric": metric.name} | known | difference | dict(zip(PLACES, (axis, *sides))))
        rows += with_verdicts(pairs, metric, [(pair["condition_a"], pair["condition_b"]) for pair in pairs])
    first = ["metric", *(["scale_a", "scale_b"] if scales else [])]
    return pd.DataFrame(rows, columns=[*first, *COLUMNS, *PLACES])


def neighbours(images: ImageSet) -> Iterator[tuple[str, str, str]]:
    """(axis, condition, condition): every two conditions that differ on one axis alone."""
    known = {condition: images.values(condition) for condition in images.conditions}
    for axis in images.axes:
        for a, b in itertools.combinations(known, 2):
            if [name for name in images.axes if known[a][name] != known[b][name]] == [axis]:
                yield axis, a, b


def _scales(images: ImageSet) -> dict[str, float]:
    if "guidance_scale" not in images.table:
        return {}
    first = images.table.drop_duplicates("condition")
    return dict(zip(first["condition"], first["guidance_scale"]))


def of_means(first: pd.Series, second: pd.Series) -> Row | None:
    """second - first of per-image scores indexed by prompt and seed; images of one prompt are not independent.

    The interval is the bootstrap's over prompts, p that of Student's t with an error over prompts. None where images have
    no seed to be paired by, or the two sides have fewer than two prompts in common.
    """
    if not (_pairable(first) and _pairable(second)):
        return None
    change = (second - first).dropna()
    prompts = change.index.get_level_values("prompt_id")
    if len(set(prompts)) < 2:
        return None
    low, high = statistics.bootstrap_interval(change, prompts)
    return _with_p(statistics.mean(change, prompts), len(set(prompts)) - 1) | {"low": low, "high": high}


def _pairable(scores: pd.Series) -> bool:
    return scores.index.is_unique and not scores.index.get_level_values("seed").hasnans


def of_distances(first: DistanceEstimate, second: DistanceEstimate) -> Row | None:
    """second - first of distances to one reference: the same prompts are left out of both in turn."""
    if not first.left_out or first.prompts != second.prompts:
        return None
    parts = np.subtract(second.left_out, first.left_out)
    difference, _ = statistics.jackknife(second.whole - first.whole, parts, first.n)
    return _with_p(difference, len(parts) - 1)


def unpaired(first: Sample, second: Sample) -> Row:
    """second - first of independent samples: their errors add in squares, with Welch's (1947) degrees of freedom."""
    change, parts = second.value - first.value, (first, second)
    if any(part.se is None for part in parts):
        return {"difference": change, "se": None, "low": None, "high": None, "p": 1.0}
    squares = [float(part.se or 0) ** 2 for part in parts]
    total = sum(squares)
    weights = sum(square**2 / max(1, part.freedom) for square, part in zip(squares, parts))
    freedom = int(total**2 / weights) if weights else min(part.freedom for part in parts)
    n = min(part.n for part in parts)
    return _with_p(statistics.estimate(change, n, total**0.5, max(1, freedom)), max(1, freedom))


def _with_p(difference: Estimate, freedom: int) -> Row:
    p = statistics.p_value(difference.value, difference.se, freedom)
    return {"difference": difference.value, "se": difference.se, "low": difference.low, "high": difference.high, "p": p}


def with_verdicts(pairs: list[dict[str, Any]], metric: Metric, names: Sequence[tuple[str, str]]) -> list[Row]:
    """The pairs with p adjusted for their number (Holm), and in words which of the two named is better."""
    adjusted = statistics.holm([pair["p"] for pair in pairs])
    return [
        pair | {"p": p, "verdict": _verdict(pair["difference"], p, metric.higher_is_better, *two)}
        for pair, p, two in zip(pairs, adjusted, names)
    ]


def _verdict(difference: float, p: float, higher_is_better: bool, first: str, second: str) -> str:
    if p >= 1 - statistics.CONFIDENCE:
        return "tied at this n"
    return f"{second if (difference > 0) == higher_is_better else first} is better"
