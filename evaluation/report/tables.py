"""summary.csv, and what people read of it: metrics against conditions, by category; as text, Markdown and HTML."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..image_set import ImageSet

if TYPE_CHECKING:
    from ..metrics.metric import Row

COLUMNS = ["metric", "value", "n", "se", "low", "high", "higher_is_better", "detector", "resize", "note"]
SAME = ("model", "prompts", "guidance_schedule")  # of a run, where they are not swept


def summary_table(rows: Sequence[Row], same: Mapping[str, Any], images: ImageSet) -> pd.DataFrame:
    """The rows of summary.csv, tidy: one value each. `same` holds what is the same for all of them; an axis of the set has
    a column, and so has the guidance scale wherever the images have one."""
    table = pd.DataFrame(rows)
    for name, value in same.items():
        table[name] = value if name not in table else table[name].fillna(value)
    kept = images.table.drop_duplicates("condition").set_index("condition")
    if "guidance_scale" in kept and "guidance_scale" not in table:
        table["guidance_scale"] = table["condition"].map(kept["guidance_scale"])
    axes = [name for name in dict.fromkeys(["guidance_scale", *images.axes]) if name not in same]
    for name in axes:
        if name not in table:  # no row has a condition
            table[name] = float("nan")
    first = [name for name in ("model", "prompts") if name in same]
    schedule = [name for name in ("guidance_schedule",) if name in same]
    return table[[*first, "category", *schedule, *axes, *COLUMNS, "condition"]]


def whole(summary: pd.DataFrame) -> pd.DataFrame:
    """The rows of a summary that have a value and are over all prompts, not over a category of them."""
    return summary[(summary["category"] == "") & summary["value"].notna()]


def at_conditions(summary: pd.DataFrame) -> pd.DataFrame:
    """Those of `whole` that belong to a condition."""
    return whole(summary)[lambda rows: rows["condition"] != ""]


def side_by_side(summary: pd.DataFrame) -> pd.DataFrame:
    """Metrics down, conditions across, as text with standard errors; what depends on no condition in `all`."""
    rows = whole(summary)
    text = rows.apply(
        lambda row: digits(row["value"], 4) + (f" ± {digits(row['se'], 2)}" if pd.notna(row["se"]) else ""), axis=1
    )
    across = rows["condition"].replace("", "all")
    order = [name for name in across.drop_duplicates() if name != "all"] + ["all"] * ("all" in set(across))
    table = pd.DataFrame({"metric": rows["metric"], "across": across, "text": text})
    return (
        table.pivot(index="metric", columns="across", values="text")
        .reindex(columns=order)
        .fillna("")
        .loc[list(dict.fromkeys(rows["metric"]))]
    )


def categories(summary: pd.DataFrame) -> pd.DataFrame:
    """Per-image metrics by category of prompts, conditions across; empty where the prompts have none."""
    rows = summary[(summary["category"] != "") & summary["value"].notna()]
    rows = rows.assign(
        across=rows["condition"], text=[f"{digits(value, 4)} (n = {n})" for value, n in zip(rows["value"], rows["n"])]
    )
    order = list(dict.fromkeys(rows["across"]))
    return (
        rows.pivot(index=["metric", "category"], columns="across", values="text")[order]
        .fillna("")
        .reset_index()
        .rename_axis(None, axis=1)
    )


def digits(value: float, count: int) -> str:
    """A number with that many digits that count, and never 1.1e+02 for 110."""
    return f"{value:.0f}" if round(abs(value)) >= 10**count else f"{value:.{count}g}"


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """A table to look at: four digits that count, nothing where there is no value."""
    return (
        table.astype(object).map(lambda value: f"{value:.4g}" if isinstance(value, float) else value).replace("nan", "")
    )


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in [table.columns, *table.itertuples(index=False)]]
    return "\n".join([lines[0], "|" + " --- |" * len(table.columns), *lines[1:]]) + "\n"


def summary_html(summary: pd.DataFrame) -> str:
    """side_by_side as HTML, each metric's best condition marked."""
    table = side_by_side(summary)
    best = {}
    for metric, rows in at_conditions(summary).groupby("metric"):
        index = rows["value"].idxmax() if rows["higher_is_better"].iloc[0] else rows["value"].idxmin()
        best[metric] = rows.loc[index, "condition"]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ["", *table.columns])
    body = "".join(
        f"<tr><td>{html.escape(metric)}</td>"
        + "".join(
            f"<td{' class=best' if best.get(metric) == name else ''}>{html.escape(cells[name])}</td>" for name in table
        )
        + "</tr>"
        for metric, cells in table.iterrows()
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def as_html(table: pd.DataFrame) -> str:
    """A table of differences, categories or costs in HTML; a word where it is empty."""
    if not len(table):
        return '<p class="quiet">none: they need two conditions and two prompts</p>'
    return f'<div class="scroll">{table.to_html(index=False, border=0)}</div>'
