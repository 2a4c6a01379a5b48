"""Paired differences, each with its error, p value and verdict: conditions against each other, or two runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from ..comparisons import (
    Difference,
    independent_means,
    independent_statistics,
    paired_means,
    paired_statistics,
    statements,
    verdict,
)
from ..image_set import ImageSet
from ..statistics import Bounds, Jackknifed, Mean, Sample
from .metric import Metric, Row

if TYPE_CHECKING:
    from .distance import DistanceEstimate
    from .evidence import Evidence

COLUMNS = ["difference", "se", "low", "high", "confidence", "p", "verdict"]
PAIRED, UNPAIRED = "paired", "unpaired"
PLACES = ["axis", "value_a", "value_b", "condition_a", "condition_b"]


def differences(evidence: Evidence, metrics: Sequence[Metric], or_unpaired: bool = False) -> pd.DataFrame:
    """Every two conditions that differ on one axis alone, by every metric: paired by prompt and seed, p and interval
    adjusted (Holm) within a metric. scale_a and scale_b are the two sides' guidance scales, where the set has them.

    With `or_unpaired` conditions need not share prompts and seeds: where they do not, the two errors add in squares, and
    `pairing` in place of the scales says which it was.
    """
    images, rows = evidence.images, []
    scales, sides = {} if or_unpaired else _scales(images), list(neighbours(images))
    for metric in metrics:
        pairs = []
        for axis, a, b in sides:
            paired = metric.between(evidence, a, evidence, b)
            difference = _independent(metric, evidence, a, b) if paired is None and or_unpaired else paired
            if difference is not None:
                known: Row = {"scale_a": scales[a], "scale_b": scales[b]} if scales else {}
                known |= {"pairing": UNPAIRED if paired is None else PAIRED} if or_unpaired else {}
                places = (axis, images.values(a)[axis], images.values(b)[axis], a, b)
                pairs.append(({"metric": metric.name} | known | dict(zip(PLACES, places)), difference))
        rows += with_verdicts(pairs, metric, [(known["condition_a"], known["condition_b"]) for known, _ in pairs])
    first = ["metric", *(["scale_a", "scale_b"] if scales else [])]
    return pd.DataFrame(rows, columns=[*first, *COLUMNS, *(["pairing"] if or_unpaired else []), *PLACES])


def _independent(metric: Metric, evidence: Evidence, a: str, b: str) -> Difference | None:
    """b - a; None where a side has no value or no error."""
    one, other = metric.sample(evidence, a), metric.sample(evidence, b)
    return None if one is None or other is None else unpaired(one, other)


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


def of_means(first: pd.Series, second: pd.Series, bounds: Bounds | None = None) -> Difference | None:
    """second - first of per-image scores indexed by prompt and seed; images of one prompt are not independent.

    None where images have no seed to be paired by, or the two sides have fewer than two prompts in common.
    """
    if not (_pairable(first) and _pairable(second)):
        return None
    both = pd.concat([first, second], axis=1, join="inner").dropna()
    prompts = both.index.get_level_values("prompt_id")
    if len(set(prompts)) < 2:
        return None
    return paired_means(*(Mean.of(both.iloc[:, side], prompts, bounds) for side in (0, 1)))


def _pairable(scores: pd.Series) -> bool:
    return scores.index.is_unique and not scores.index.get_level_values("seed").hasnans


def of_distances(first: DistanceEstimate, second: DistanceEstimate) -> Difference | None:
    """second - first of distances to one reference: the same prompts are left out of both in turn."""
    return None if first.prompts != second.prompts else _between(first.sample, second.sample, True)


def unpaired(first: Sample, second: Sample) -> Difference | None:
    """second - first of samples of other prompts or seeds: their errors add in squares."""
    return _between(first, second, False)


def _between(first: Sample | None, second: Sample | None, paired: bool) -> Difference | None:
    if isinstance(first, Mean) and isinstance(second, Mean):
        return paired_means(first, second) if paired else independent_means(first, second)
    if isinstance(first, Jackknifed) and isinstance(second, Jackknifed):
        return paired_statistics(first, second) if paired else independent_statistics(first, second)
    return None


def with_verdicts(
    pairs: Sequence[tuple[Row, Difference]], metric: Metric, names: Sequence[tuple[str, str]]
) -> list[Row]:
    """What is known of each pair, with its difference, and in words which of the two named is better.

    p is adjusted for the number of pairs (Holm), and low and high are the interval at the confidence that this leaves: 0 is
    in it exactly where p is 0.05 or more, and where it is they are tied.
    """
    rows = []
    found = [difference for _, difference in pairs]
    for (known, difference), stated, two in zip(pairs, statements(found), names):
        numbers = {"difference": difference.value, "se": difference.se, "low": stated.low, "high": stated.high}
        words = verdict(difference, stated, metric.higher_is_better, *two)
        rows.append(known | numbers | {"confidence": stated.confidence, "p": stated.p, "verdict": words})
    return rows
