"""Paired differences, each with its error, p value and verdict: guidance scales against each other, or two runs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from .. import statistics
from ..catalogue import DISTANCE, METRICS
from ..statistics import Estimate
from .scoring import Distance

PAIR = ["prompt_id", "seed"]  # what one image shares with its twin
COLUMNS = ["difference", "se", "low", "high", "p", "verdict"]


def differences(table: pd.DataFrame, found: dict[tuple[str, float], Distance], metrics: Sequence[str]) -> pd.DataFrame:
    """Every pair of scales by every metric: paired by prompt and seed, p adjusted (Holm) within a metric."""
    scales = sorted(table["guidance_scale"].unique())
    by_scale = {scale: part.set_index(PAIR) for scale, part in table.groupby("guidance_scale")}
    rows = []
    for metric in metrics:
        pairs = []
        for a, b in itertools.combinations(scales, 2):
            if METRICS[metric].kind == DISTANCE:
                difference = of_distances(found[metric, a], found[metric, b])
            else:
                difference = of_means(by_scale[a][metric], by_scale[b][metric])
            if difference is not None:
                pairs.append({"metric": metric, "scale_a": a, "scale_b": b} | difference)
        names = [(f"w = {pair['scale_a']:g}", f"w = {pair['scale_b']:g}") for pair in pairs]
        rows += with_verdicts(pairs, metric, names)
    return pd.DataFrame(rows, columns=["metric", "scale_a", "scale_b", *COLUMNS])


def of_means(first: pd.Series, second: pd.Series) -> dict | None:
    """second - first of per-image scores indexed by prompt and seed; images of one prompt are not independent.

    Interval and p are Student's, with an error over prompts.
    """
    change = (second - first).dropna()
    prompts = change.index.get_level_values("prompt_id")
    if len(set(prompts)) < 2:
        return None
    return _with_p(statistics.mean(change, prompts), len(set(prompts)) - 1)


def of_distances(first: Distance, second: Distance) -> dict | None:
    """second - first of distances to one reference: the same prompts are left out of both in turn."""
    if not first.left_out or len(first.left_out) != len(second.left_out):
        return None
    parts = np.subtract(second.left_out, first.left_out)
    difference, _ = statistics.jackknife(second.whole - first.whole, parts, first.n)
    return _with_p(difference, len(parts) - 1)


def _with_p(difference: Estimate, freedom: int) -> dict:
    p = statistics.p_value(difference.value, difference.se, freedom)
    return {"difference": difference.value, "se": difference.se, "low": difference.low, "high": difference.high, "p": p}


def with_verdicts(pairs: list[dict], metric: str, names: Sequence[tuple[str, str]]) -> list[dict]:
    """The pairs with p adjusted for their number (Holm), and in words which of the two named is better."""
    adjusted = statistics.holm([pair["p"] for pair in pairs])
    return [
        pair | {"p": p, "verdict": _verdict(pair["difference"], p, METRICS[metric].higher_is_better, *two)}
        for pair, p, two in zip(pairs, adjusted, names)
    ]


def _verdict(difference: float, p: float, higher_is_better: bool, first: str, second: str) -> str:
    if p >= 1 - statistics.CONFIDENCE:
        return "tied at this n"
    return f"{second if (difference > 0) == higher_is_better else first} is better"
