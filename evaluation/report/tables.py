"""summary.csv, and what people read of it: metrics against scales, by category; as text, Markdown and HTML."""

from __future__ import annotations

import html

import pandas as pd

COLUMNS = [
    "model",
    "prompts",
    "category",
    "guidance_schedule",
    "guidance_scale",
    "metric",
    "value",
    "n",
    "se",
    "low",
    "high",
    "higher_is_better",
    "detector",
    "resize",
    "note",
]


def summary_table(rows: list[dict], model: str, prompts: str, schedule: str) -> pd.DataFrame:
    """The rows of summary.csv, tidy: one value each."""
    table = pd.DataFrame(rows)
    table["model"], table["prompts"], table["guidance_schedule"] = model, prompts, schedule
    return table[COLUMNS]


def whole(summary: pd.DataFrame) -> pd.DataFrame:
    """The rows of a summary that have a value and are over all prompts, not over a category of them."""
    return summary[(summary["category"] == "") & summary["value"].notna()]


def at_scales(summary: pd.DataFrame) -> pd.DataFrame:
    """Those of `whole` that belong to a guidance scale."""
    return whole(summary).dropna(subset=["guidance_scale"])


def side_by_side(summary: pd.DataFrame) -> pd.DataFrame:
    """Metrics down, guidance scales across, as text with standard errors; what depends on no scale in `all`."""
    rows = whole(summary)
    text = rows.apply(
        lambda row: digits(row["value"], 4) + (f" ± {digits(row['se'], 2)}" if pd.notna(row["se"]) else ""), axis=1
    )
    across = rows["guidance_scale"].map(lambda scale: "all" if pd.isna(scale) else f"w = {scale:g}")
    order = [name for name in across.drop_duplicates() if name != "all"] + ["all"] * ("all" in set(across))
    table = pd.DataFrame({"metric": rows["metric"], "across": across, "text": text})
    return (
        table.pivot(index="metric", columns="across", values="text")
        .reindex(columns=order)
        .fillna("")
        .loc[list(dict.fromkeys(rows["metric"]))]
    )


def categories(summary: pd.DataFrame) -> pd.DataFrame:
    """Per-image metrics by category of prompts, scales across; empty where the prompts have none."""
    rows = summary[(summary["category"] != "") & summary["value"].notna()]
    rows = rows.assign(
        across=[f"w = {scale:g}" for scale in rows["guidance_scale"]],
        text=[f"{digits(value, 4)} (n = {n})" for value, n in zip(rows["value"], rows["n"])],
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
    """side_by_side as HTML, each metric's best scale marked."""
    table = side_by_side(summary)
    best = {}
    for metric, rows in at_scales(summary).groupby("metric"):
        index = rows["value"].idxmax() if rows["higher_is_better"].iloc[0] else rows["value"].idxmin()
        best[metric] = f"w = {rows.loc[index, 'guidance_scale']:g}"
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
        return '<p class="quiet">none: they need two scales and two prompts</p>'
    return f'<div class="scroll">{table.to_html(index=False, border=0)}</div>'
