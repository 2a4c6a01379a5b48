"""Ways that were all measured on the same images: each minus one of them, paired, Holm-adjusted within a measure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from ..comparisons import Difference


def summarise(
    table: pd.DataFrame,
    by: Sequence[str],
    measures: Iterable[str],
    unit: str | None = None,
    bounds: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """A row for each combination of `by` and each measure: the mean over those images that have one, with its 95 % interval.

    Values with the same `unit`, a column, are not independent; `bounds` are those of every measure.
    """
    import pandas as pd

    from ..statistics import mean

    rows = []
    for values, part in table.groupby(list(by), sort=False):
        for measure in measures:
            if len(known := part[measure].dropna()):
                clusters = None if unit is None else part.loc[known.index, unit]
                rows.append(dict(zip(by, values)) | {"measure": measure} | mean(known, clusters, bounds).columns())
    return pd.DataFrame(rows)


def differences(
    table: pd.DataFrame, ways: Sequence[str], plain: str, measures: Mapping[str, bool], unit: str = "image"
) -> pd.DataFrame:
    """Of a table with a row for each way and image: each way minus `plain`; measures say whether higher is better.

    Intervals and p are adjusted for the number of ways within a measure.
    """
    import pandas as pd

    from ..comparisons import paired_means
    from ..metrics.differences import with_verdicts
    from ..metrics.metric import ImageScore
    from ..statistics import Mean

    sides = {way: part.set_index(unit).sort_index() for way, part in table.groupby("way", sort=False)}
    rows: list[dict[str, object]] = []
    for measure, higher in measures.items():
        pairs: list[tuple[dict[str, object], Difference]] = []
        for way in ways:
            one, other = Mean.of(sides[plain][measure]), Mean.of(sides[way][measure])
            known: dict[str, object] = {"measure": measure, "way": way, "value": other.value, "plain": one.value}
            pairs.append((known, paired_means(one, other)))
        metric = ImageScore(name=measure, higher_is_better=higher)
        rows += with_verdicts(pairs, metric, [(plain, way) for way in ways])
    return pd.DataFrame(rows)


def interval(row: pd.Series, digits: int = 2) -> str:
    """A difference and its interval in words."""
    known = row["low"] is not None and row["low"] == row["low"]
    ends = f" [{row['low']:+.{digits}f}, {row['high']:+.{digits}f}]" if known else ""
    return f"{row['difference']:+.{digits}f}{ends}"
