"""summary.csv, and what people read of it: metrics against conditions, by category; as text, Markdown and HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..image_set import ImageSet
from ..metrics.rows import COLUMNS

if TYPE_CHECKING:
    from ..metrics.metric import Row

SAME = ("model", "prompts", "guidance_schedule")  # of a run, where they are not swept
ACROSS = 6  # conditions side by side; more go down the page
IN_THE_OPEN = 12  # differences shown whatever their verdict
TIED = "tied"
ARROWS = {True: "↑", False: "↓"}  # which way is better
MOST_PLACES = 6  # behind the point; smaller errors have an exponent


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
    """Those of `whole` that belong to a condition, and are finite: what is drawn and ranked."""
    return whole(summary)[lambda rows: (rows["condition"] != "") & np.isfinite(rows["value"])]


def side_by_side(summary: pd.DataFrame) -> pd.DataFrame:
    """Metrics down, conditions across, as text with standard errors; what depends on no condition in `all`."""
    rows = whole(summary)
    text = [with_error(value, se) for value, se in zip(rows["value"], rows["se"])]
    across = rows["condition"].replace("", "all")
    order = [name for name in across.drop_duplicates() if name != "all"] + ["all"] * ("all" in set(across))
    table = pd.DataFrame({"metric": rows["metric"], "across": across, "text": text})
    return (
        table.pivot(index="metric", columns="across", values="text")
        .reindex(columns=order)
        .fillna("")
        .loc[list(dict.fromkeys(rows["metric"]))]
    )


def with_counts(summary: pd.DataFrame) -> pd.DataFrame:
    """side_by_side with what a reader who copies a row must have: which way is better, and of how many images each is."""
    table, rows = side_by_side(summary), whole(summary)
    higher = dict(zip(rows["metric"], rows["higher_is_better"]))
    counts = rows.groupby("metric")["n"].agg(["min", "max"]).astype(int)
    of = [str(least) if least == most else f"{least} to {most}" for least, most in counts.loc[table.index].to_numpy()]
    named = [f"{metric} {ARROWS[bool(higher[metric])]}" for metric in table.index]
    table = table.set_axis(pd.Index(named, name="metric"))
    table.insert(0, "n", of)
    return table


def as_text(summary: pd.DataFrame) -> str:
    """with_counts for a terminal."""
    return with_counts(summary).to_string() if len(whole(summary)) else "no metric could be computed"


def categories(summary: pd.DataFrame) -> pd.DataFrame:
    """Per-image metrics by category of prompts, conditions across, or down where they are many; empty without categories."""
    rows = summary[(summary["category"] != "") & summary["value"].notna()]
    texts = [f"{digits(value, 4)} (n = {n})" for value, n in zip(rows["value"], rows["n"])]
    rows, order = rows.assign(text=texts), list(dict.fromkeys(rows["condition"]))
    across, down = ("condition", "category") if len(order) <= ACROSS else ("category", "condition")
    table = rows.pivot(index=["metric", down], columns=across, values="text")[list(dict.fromkeys(rows[across]))]
    if down == "condition":
        table = table.reindex(order, level="condition")
    return table.fillna("").reset_index().rename_axis(None, axis=1)


def costs(cost: pd.DataFrame) -> pd.DataFrame:
    """cost.csv to look at: the condition in words, first."""
    rest = [name for name in cost if name not in ("stage", "condition", "guidance_scale", "wording")]
    return rounded(cost[["stage", "condition", *rest]])


def digits(value: float, count: int) -> str:
    """A number with that many digits that count, and never 1.1e+02 for 110."""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.0f}" if round(abs(value)) >= 10**count else f"{value:.{count}g}"


def with_error(value: float, se: float | None, alone: int = 4) -> str:
    """A value to the last digit that its standard error leaves it, of which two count: 0.33 ± 0.21. `alone` is how many
    digits count where no error is known."""
    if se is None or not math.isfinite(se) or se <= 0:
        return digits(value, alone)
    places = max(0, 1 - math.floor(math.log10(se)))
    return f"{value:.{places}f} ± {se:.{places}f}" if places <= MOST_PLACES else f"{value:.3g} ± {se:.2g}"


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """A table to look at: four digits that count, nothing where there is no value."""
    return (
        table.astype(object).map(lambda value: f"{value:.4g}" if isinstance(value, float) else value).replace("nan", "")
    )


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown, a line a row: texts may hold bars and line ends."""
    rows = [table.columns, *table.itertuples(index=False)]
    lines = ["| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(table.columns), *lines[1:]]) + "\n"


def summary_html(summary: pd.DataFrame) -> str:
    """side_by_side as HTML, each metric's best condition marked; conditions down where they are many."""
    table, best = with_counts(summary), _best_conditions(summary)
    marked = {(name, best[name.rsplit(" ", 1)[0]]) for name in table.index if name.rsplit(" ", 1)[0] in best}
    if len(table.columns) > ACROSS:
        table, marked = table.T, {(condition, metric) for metric, condition in marked}
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ["", *table.columns])
    body = "".join(
        f"<tr><td>{html.escape(name)}</td>"
        + "".join(
            f"<td{' class=best' if (name, column) in marked else ''}>{html.escape(cells[column])}</td>"
            for column in table
        )
        + "</tr>"
        for name, cells in table.iterrows()
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _best_conditions(summary: pd.DataFrame) -> dict[str, str]:
    best = {}
    for metric, rows in at_conditions(summary).groupby("metric"):
        index = rows["value"].idxmax() if rows["higher_is_better"].iloc[0] else rows["value"].idxmin()
        best[metric] = rows.loc[index, "condition"]
    return best


def differences_html(differences: pd.DataFrame) -> str:
    """Differences to look at: those with a verdict in the open, all of them under a fold where some are tied."""
    told = readable_differences(differences)
    decided = told[[TIED not in verdict for verdict in differences["verdict"]]]
    if len(told) <= IN_THE_OPEN or not len(told):
        return as_html(told)
    counted = f"{len(told) - len(decided)} of {len(told)} differences are tied at this n."
    shown = as_html(decided) if len(decided) else ""
    return f'<p class="quiet">{counted}</p>{shown}<details><summary>all {len(told)}</summary>{as_html(told)}</details>'


def readable_differences(differences: pd.DataFrame) -> pd.DataFrame:
    """A row per pair of conditions: the metric, the two sides, second minus first with its error and interval, adjusted
    as p is: 0 lies in it where they are tied."""
    table = pd.DataFrame({"metric": differences["metric"]})
    for side in ("a", "b"):
        table["from" if side == "a" else "to"] = differences[f"condition_{side}"]
    errors = zip(differences["difference"], differences["se"])
    table["difference"] = [with_error(value, se, 3) for value, se in errors]
    if "pairing" in differences:
        table["pairing"] = differences["pairing"]
    confidence = differences.get("confidence", pd.Series(float("nan"), differences.index))  # older folders do not say
    ends = zip(differences["low"], differences["high"], confidence)
    table["interval"] = [_interval(*end) for end in ends]
    table["p"] = [f"{p:.3f}" if pd.notna(p) else "" for p in differences["p"]]
    return table.assign(verdict=differences["verdict"])


def _interval(low: float, high: float, confidence: float) -> str:
    """With its confidence, which the number of comparisons decides."""
    if pd.isna(low):
        return ""
    return f"{digits(low, 3)} to {digits(high, 3)}" + (f" ({100 * confidence:.3g} %)" if pd.notna(confidence) else "")


def as_html(table: pd.DataFrame) -> str:
    """A table of differences, categories or costs in HTML; a word where it is empty."""
    if not len(table):
        return '<p class="quiet">none: they need two conditions and two prompts</p>'
    return f'<div class="scroll">{table.to_html(index=False, border=0)}</div>'
