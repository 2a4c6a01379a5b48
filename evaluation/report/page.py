"""Two reports of a run: report.html in one self-contained file, and report.md."""

from __future__ import annotations

import functools
import html
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..generation.cost import outside_networks
from ..paths import portable
from ..run_facts import RunFacts
from ..set_facts import SetFacts
from . import charts, paper, tables
from .document import document
from .explorer import explorer
from .pareto import ParetoFront, find_front


@dataclass(frozen=True)
class Results:
    """What a run has found: its tables as the CSV files hold them, and the facts of run.json."""

    summary: pd.DataFrame
    images: pd.DataFrame
    differences: pd.DataFrame
    cost: pd.DataFrame
    facts: RunFacts | SetFacts
    axes: tuple[str, ...] = ("guidance_scale",)

    @functools.cached_property
    def front(self) -> ParetoFront | None:
        return find_front(self.summary)


# How the tables are read; the charts and the bold print are of report.html alone.
READING = "↑: more is better, ↓: less; n: images that each value is of. A value has the digits that its standard error leaves it."
CHARTS = (
    "Bold is the best value of its metric, which need not be better beyond chance: the differences below say that. Bars in the "
    "charts are 95 % intervals."
)
SIGN = "A difference is the second condition minus the first."


def markdown(results: Results) -> str:
    """The report for a terminal or a pull request."""
    facts, by_category = results.facts, tables.categories(results.summary)
    parts = [f"# {facts.title}\n", facts.lead + "\n", *([f"`{facts.command}`\n"] if facts.command else [])]
    parts += [tables.markdown(tables.with_counts(results.summary).reset_index()), READING + "\n"]
    parts += ["".join(f"- {note}\n" for note in remarks(results))]
    if len(by_category):
        parts += ["## By category\n", tables.markdown(by_category)]
    if len(results.differences):
        parts += [
            "## Differences between conditions\n",
            SIGN + "\n",
            tables.markdown(tables.readable_differences(results.differences)),
        ]
    parts += ["## Cost\n", tables.markdown(tables.costs(results.cost)), _outside(results.cost) + "\n"]
    parts += ["## Methods\n", paper.methods(facts) + "\n", "## LaTeX\n", f"```latex\n{_latex(results)}\n```"]
    return "\n".join(parts) + "\n"


def page(out: Path, results: Results) -> str:
    """The whole HTML page."""
    facts = results.facts
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in remarks(results))
    protocol = "".join(
        f"<dt>{html.escape(str(k))}</dt><dd>{html.escape(str(v))}</dd>" for k, v in _flat(facts.to_json())
    )
    pictures = explorer(out, results.images, results.axes, facts.same_settings(results.axes))
    body = (
        f'<h1>{html.escape(facts.title)}</h1><p class="lead">{html.escape(facts.lead)}</p>'
        f"<p class='quiet'><code>{html.escape(facts.command)}</code></p>"
        f"<h2>Conditions side by side</h2>{tables.summary_html(results.summary)}"
        f"<p class='quiet'>{READING} {CHARTS}</p><ul class='quiet'>{notes}</ul>"
        f'<div class="charts">{"".join(_charts(results))}</div>'
        f"{_category_section(results.summary)}<h2>Pictures</h2>{pictures}"
        f"<h2>Differences between conditions</h2><p class='quiet'>{SIGN}</p>{tables.differences_html(results.differences)}"
        f"<h2>Cost</h2>{tables.as_html(tables.costs(results.cost))}<p class='quiet'>{html.escape(_outside(results.cost))}</p>"
        f"<h2>For a paper</h2><details><summary>methods, in a paragraph</summary><pre>{html.escape(paper.methods(facts))}</pre></details>"
        f"<details><summary>the table as LaTeX</summary><pre>{html.escape(_latex(results))}</pre></details>"
        f"<h2>Protocol</h2><details><summary>everything needed to repeat this run</summary><dl>{protocol}</dl></details>"
    )
    return document(html.escape(facts.title), body)


def remarks(results: Results) -> list[str]:
    """What a reader must know before using the numbers."""
    summary, facts = results.summary, results.facts
    notes = list(facts.notes)
    for name, count in facts.truncated_by_detectors.items():
        if count:
            notes.append(
                f"{count} prompts are longer than {facts.detectors[name]['name']} reads; it scored what it read of them."
            )
    if flat := facts.flat_images:
        notes.append(
            f"{len(flat)} images are of one colour all over, {flat[0]} among them: look at them before the numbers."
        )
    if results.front:
        notes.append(results.front.words())
    return notes + _noted(summary[summary["note"] != ""]) + measured_as(facts)


def terminal(summary: pd.DataFrame, facts: RunFacts | SetFacts) -> str:
    """The values side by side, why others could not be computed, and what all are measured by."""
    absent = summary[summary["value"].isna()]
    return "\n".join([tables.as_text(summary), *_noted(absent), *measured_as(facts)])


def _noted(summary: pd.DataFrame) -> list[str]:
    """Each note of some rows once, after the metrics that it is of."""
    once = summary.drop_duplicates(["metric", "note"])
    return [f"{', '.join(rows['metric'])}: {note}" for note, rows in once.groupby("note", sort=False)]


def measured_as(facts: RunFacts | SetFacts) -> list[str]:
    """In words, what a number cannot be compared without: the constants of each metric, and every reference."""
    alike: dict[str, list[str]] = {}
    for metric, constants in facts.constants.items():
        if constants:
            alike.setdefault(", ".join(f"{name} {value}" for name, value in constants.items()), []).append(metric)
    found = [f"{', '.join(metrics)}: {words}" for words, metrics in alike.items()]
    return found + [f"reference of {name}: {portable(known['words'])}" for name, known in facts.references.items()]


def _outside(cost: pd.DataFrame) -> str:
    """How the table of costs is read."""
    together = (cost["stage"] == "images").sum() > 1
    shared = "Conditions that were drawn together share their seconds by the network rows that each needs by itself. "
    took = f"{outside_networks(cost):.1%} of {cost['seconds'].sum():.0f} s went into anything but the networks, start-up apart."
    return (shared if together else "") + took


def _latex(results: Results) -> str:
    summary, facts = results.summary, results.facts
    better = dict(zip(summary["metric"], summary["higher_is_better"]))
    counted = tables.with_counts(summary).set_axis(tables.side_by_side(summary).index)
    return paper.latex(counted, better, f"{facts.title}: {facts.prompt_count} prompts.")


def _category_section(summary: pd.DataFrame) -> str:
    table = tables.categories(summary)
    return f"<h2>By category</h2>{tables.as_html(table)}" if len(table) else ""


def _charts(results: Results) -> list[str]:
    rows = tables.whole(results.summary)
    ceilings = rows[rows["condition"] == ""].set_index("metric")["value"]
    axis = max(results.axes, key=lambda name: results.images[name].nunique()) if results.axes else "condition"
    others = [name for name in results.axes if name != axis]
    return [
        *([charts.front_chart(results.front)] if results.front else []),
        *(
            charts.chart(
                rows, metric, bool(rows["higher_is_better"].iloc[0]), ceilings.get(f"{metric}_ceiling"), axis, others
            )
            for metric, rows in tables.at_conditions(results.summary).groupby("metric", sort=False)
        ),
    ]


def _flat(facts: dict, prefix: str = "") -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    for key, value in facts.items():
        if key == "unseen_words":  # hundreds, each with its count: a line of words, not a line each
            value = ", ".join(value)
        pairs += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return pairs
