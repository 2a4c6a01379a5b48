"""One row of summary.csv."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..statistics import Estimate
from .metric import Metric, Row

# Of summary.csv, after those that say where a row belongs; `resize` is the run's to add. Another is a line here and one below.
COLUMNS = ["metric", "value", "n", "se", "low", "high", "higher_is_better", "detector", "resize", "note"]


def row(
    metric: Metric,
    estimate: Estimate | None,
    values: Mapping[str, Any] | None = None,
    condition: str = "",
    category: str = "",
    note: str = "",
    name: str = "",
) -> Row:
    """A metric's estimate (None: not computed) under a condition, given by its value on each axis; `name` where the row is
    not called as the metric is. What is the same for the whole run and the detector's own words are added later."""
    found = estimate or Estimate(float("nan"), 0)
    return {
        **(values or {}),
        "condition": condition,
        "category": category,
        "metric": name or metric.name,
        "value": found.value,
        "n": found.n,
        "se": found.se,
        "low": found.low,
        "high": found.high,
        "higher_is_better": metric.higher_is_better,
        "detector": metric.detector,
        "note": "; ".join(filter(None, [note, found.note, found.about and f"interval about {found.about}"])),
    }


def not_computed(metric: Metric, why: str, values: Mapping[str, Any] | None = None, condition: str = "") -> Row:
    """The row of a metric that has no value, with the reason."""
    return row(metric, None, values, condition, note=f"not computed: {why}")
