"""Guidance scales against each other: paired differences, each with its error, p value and verdict."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from . import statistics
from .metrics.catalogue import DISTANCE, METRICS
from .score import Distance
from .statistics import Estimate


def differences(table: pd.DataFrame, found: dict[tuple[str, float], Distance], metrics: Sequence[str]) -> pd.DataFrame:
    """Every pair of scales by every metric: paired by prompt and seed, p adjusted (Holm) within a metric."""
    scales = sorted(table["guidance_scale"].unique())
    rows = []
    for metric in metrics:
        compare = _distance_difference if METRICS[metric].kind == DISTANCE else _mean_difference
        source = found if METRICS[metric].kind == DISTANCE else table
        pairs = [pair for a, b in itertools.combinations(scales, 2) if (pair := compare(source, metric, a, b))]
        for pair, p in zip(pairs, statistics.holm([pair["p"] for pair in pairs])):
            rows.append(pair | {"p": p, "verdict": _verdict(pair, p)})
    columns = ["metric", "scale_a", "scale_b", "difference", "se", "low", "high", "p", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def _verdict(pair: dict, p: float) -> str:
    if p >= 1 - statistics.CONFIDENCE:
        return "tied at this n"
    b_wins = (pair["difference"] > 0) == METRICS[pair["metric"]].higher_is_better
    return f"w = {pair['scale_b'] if b_wins else pair['scale_a']:g} is better"


def _distance_difference(found: dict[tuple[str, float], Distance], metric: str, a: float, b: float) -> dict | None:
    one, other = found[metric, a], found[metric, b]
    if not one.left_out or len(one.left_out) != len(other.left_out):
        return None
    parts = np.subtract(other.left_out, one.left_out)  # the same prompts left out of both: a paired difference
    difference, _ = statistics.jackknife(other.whole - one.whole, parts, one.n)
    return _pair(metric, a, b, difference, len(parts) - 1)


def _mean_difference(table: pd.DataFrame, metric: str, a: float, b: float) -> dict | None:
    wide = table.pivot_table(index=["prompt_id", "seed"], columns="guidance_scale", values=metric)
    if a not in wide or b not in wide:
        return None
    change = (wide[b] - wide[a]).dropna()
    prompts = change.index.get_level_values("prompt_id")
    return (
        _pair(metric, a, b, statistics.mean(change, prompts), len(set(prompts)) - 1) if len(set(prompts)) > 1 else None
    )


def _pair(metric: str, a: float, b: float, difference: Estimate, freedom: int) -> dict:
    return {
        "metric": metric, "scale_a": a, "scale_b": b, "difference": difference.value, "se": difference.se,
        "low": difference.low, "high": difference.high, "p": statistics.p_value(difference.value, difference.se, freedom),
    }  # fmt: skip
