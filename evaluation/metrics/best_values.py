"""Variants of something, each at its best value of another setting, against a plain one at its own: paired, Holm-adjusted.

The best values are chosen on one half of the captions and compared on the other: what was chosen by chance has no second
chance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .differences import with_verdicts
from .evidence import Evidence

if TYPE_CHECKING:
    from .metric import Metric


def half_of(evidence: Evidence, place: int) -> Evidence:
    """The images of the captions at even (0) or odd (1) places."""
    return part_of(evidence, (evidence.images.table["prompt_id"] % 2 == place).to_numpy())


def part_of(evidence: Evidence, kept: np.ndarray) -> Evidence:
    """The images where a mask (n,) says so."""
    part = dataclasses.replace(evidence.images, table=evidence.images.table[kept].reset_index(drop=True))
    features = {name: values[kept] for name, values in evidence.features.items()}
    return Evidence(part, features, evidence.references, evidence.detectors)


def by_condition(evidence: Evidence, metrics: Sequence[Metric]) -> pd.DataFrame:
    """A row for each metric and condition, over all captions: what summary.csv holds of them."""
    found = pd.DataFrame([row for metric in metrics for row in metric.rows(evidence)])
    named = found["metric"].isin([metric.name for metric in metrics])  # not what is corrected for bias
    return found[named & (found["category"] == "") & found["value"].notna()].reset_index(drop=True)


def best_values(found: pd.DataFrame, axis: str, tuned: str) -> pd.DataFrame:
    """Of the rows of by_condition the best by each metric for each variant on an axis; `tuned` is the axis it was chosen on."""
    signed = found["value"].where(found["higher_is_better"].astype(bool), -found["value"])
    best = signed.groupby([found["metric"], found[axis]], sort=False).idxmax()
    return found.loc[best, ["metric", axis, tuned, "value", "condition"]].reset_index(drop=True)


def best_differences(
    evidence: Evidence, metrics: Sequence[Metric], best: pd.DataFrame, axis: str, tuned: str, plain: str
) -> pd.DataFrame:
    """Each variant at its best minus the plain one at its own, paired by caption and seed, Holm-adjusted within a metric."""
    found = by_condition(evidence, metrics).set_index(["metric", "condition"])["value"]
    rows = []
    for metric in metrics:
        own = best[best["metric"] == metric.name].set_index(axis)
        if plain not in own.index:
            continue
        base, pairs = own.loc[plain], []
        for variant, row in own.drop(index=plain).iterrows():
            apart = metric.between(evidence, base["condition"], evidence, row["condition"])
            if apart is not None:
                values = [found.get((metric.name, one["condition"]), float("nan")) for one in (row, base)]
                known = {"metric": metric.name, axis: variant, tuned: row[tuned], f"{tuned} of {plain}": base[tuned]}
                pairs.append((known | {"value": values[0], f"value of {plain}": values[1]}, apart))
        rows += with_verdicts(pairs, metric, [(plain, str(known[axis])) for known, _ in pairs])
    return pd.DataFrame(rows)
