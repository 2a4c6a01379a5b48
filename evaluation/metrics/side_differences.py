"""Differences between conditions that need not share their prompts and seeds: paired where they do, else of independent samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from .differences import COLUMNS, PLACES, neighbours, unpaired, with_verdicts
from .metric import Metric

if TYPE_CHECKING:
    from ..comparisons import Difference
    from .evidence import Evidence

PAIRED, UNPAIRED = "paired", "unpaired"


def side_differences(evidence: Evidence, metrics: Sequence[Metric]) -> pd.DataFrame:
    """Every two conditions that differ on one axis alone, by every metric, p and interval adjusted (Holm) within a metric.

    `pairing` says whether images were compared with their twins; unpaired, the two errors add in squares.
    """
    images, rows = evidence.images, []
    sides = list(neighbours(images))
    for metric in metrics:
        pairs = []
        for axis, a, b in sides:
            paired = metric.between(evidence, a, evidence, b)
            difference = paired or _independent(metric, evidence, a, b)
            if difference is not None:
                places = dict(zip(PLACES, (axis, images.values(a)[axis], images.values(b)[axis], a, b)))
                pairs.append(({"metric": metric.name, "pairing": PAIRED if paired else UNPAIRED} | places, difference))
        rows += with_verdicts(pairs, metric, [(known["condition_a"], known["condition_b"]) for known, _ in pairs])
    return pd.DataFrame(rows, columns=["metric", *COLUMNS, "pairing", *PLACES])


def _independent(metric: Metric, evidence: Evidence, a: str, b: str) -> Difference | None:
    """b - a; None where a side has no value or no error."""
    one, other = metric.sample(evidence, a), metric.sample(evidence, b)
    return None if one is None or other is None else unpaired(one, other)
