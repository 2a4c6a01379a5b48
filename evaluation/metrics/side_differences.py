"""Differences between conditions that need not share their prompts and seeds: paired where they do, else of independent samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from .differences import COLUMNS, PLACES, neighbours, unpaired, with_verdicts
from .metric import Metric, Row

if TYPE_CHECKING:
    from .evidence import Evidence

PAIRED, UNPAIRED = "paired", "unpaired"


def side_differences(evidence: Evidence, metrics: Sequence[Metric]) -> pd.DataFrame:
    """Every two conditions that differ on one axis alone, by every metric, p adjusted (Holm) within a metric.

    `pairing` says whether images were compared with their twins; unpaired, the two errors add in squares (Welch 1947).
    """
    images, rows = evidence.images, []
    for metric in metrics:
        pairs: list[Row] = []
        for axis, a, b in neighbours(images):
            sides = (images.values(a)[axis], images.values(b)[axis], a, b)
            if found := _difference(metric, evidence, a, b):
                pairs.append({"metric": metric.name} | found | dict(zip(PLACES, (axis, *sides))))
        rows += with_verdicts(pairs, metric, [(pair["condition_a"], pair["condition_b"]) for pair in pairs])
    return pd.DataFrame(rows, columns=["metric", *COLUMNS, "pairing", *PLACES])


def _difference(metric: Metric, evidence: Evidence, a: str, b: str) -> Row | None:
    """b - a; None where a side has no value or no error."""
    paired = metric.between(evidence, a, evidence, b)
    if paired is not None:
        return paired | {"pairing": PAIRED}
    one, other = metric.sample(evidence, a), metric.sample(evidence, b)
    return None if one is None or other is None else unpaired(one, other) | {"pairing": UNPAIRED}
