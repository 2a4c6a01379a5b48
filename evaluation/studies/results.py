"""A study's results as files: tables as CSV, figures as SVG, a self-contained page, the same in Markdown, and study.json."""

from __future__ import annotations

import argparse
import html
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ldm_core.files import write_whole

from ..paths import clean_json, name_alone
from ..report.document import document, svg_file
from ..report.tables import as_html, markdown, rounded
from ..run_folder import write_table
from .study import Outcome, Study

RECORDED = Path(__file__).parent / "results"  # as run, in the repository
FACTS, PAGE, TEXT = "study.json", "index.html", "README.md"
KEPT = ("*.csv", "*.svg", FACTS, TEXT)  # of what is recorded; the page holds the same again
IN_THE_OPEN = 30  # rows of a table that a page shows without being asked


def facts_of(
    study: Study,
    options: argparse.Namespace,
    outcome: Outcome,
    seconds: float,
    command: str,
    machine: Mapping[str, Any],
) -> dict[str, Any]:
    """What study.json holds."""
    values = {
        "name": study.name,
        "claim": study.claim,
        "source": study.source,
        "kind": study.kind,
        "verdict": outcome.verdict,
        "words": outcome.words,
        "notes": list(outcome.notes),
        "options": {one.name: name_alone(getattr(options, one.name.replace("-", "_"))) for one in study.options},
        "seconds": round(seconds),
        "command": command,
    }
    return clean_json(values | dict(machine))


def write_results(out: Path, outcome: Outcome, facts: Mapping[str, Any]) -> None:
    """Every file into a folder, each whole or not at all; numbers in the tables to six digits."""
    for name, table in outcome.tables.items():
        write_table(out / f"{name}.csv", table, "%.6g")
    for name, figure in outcome.figures.items():
        write_whole(out / f"{name}.svg", svg_file(figure))
    write_whole(out / PAGE, page(outcome, facts))
    write_whole(out / TEXT, text(outcome, facts))
    write_whole(out / FACTS, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def record(out: Path, name: str) -> Path:
    """Put a study's small files among those of the repository, in place of what was there; their folder."""
    into = RECORDED / name
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    for path in (path for pattern in KEPT for path in sorted(out.glob(pattern))):
        shutil.copyfile(path, into / path.name)
    return into


def recorded(name: str) -> dict[str, Any] | None:
    """The facts of a study as it was run for the repository; None where it has not been."""
    path = RECORDED / name / FACTS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def page(outcome: Outcome, facts: Mapping[str, Any]) -> str:
    """The whole HTML page, its figures within."""
    said = {name: html.escape(str(facts[name])) for name in ("name", "claim", "source", "kind", "verdict", "words")}
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in outcome.notes)
    about = "".join(f"<dt>{html.escape(key)}</dt><dd>{html.escape(str(value))}</dd>" for key, value in _rest(facts))
    tables = "".join(_table(name, table) for name, table in outcome.tables.items())
    body = (
        f'<h1>{said["claim"]}</h1><p class="lead">{said["source"]}; {said["kind"]} here.</p>'
        f"<h2>The claim {said['verdict']}</h2><p>{said['words']}</p><ul class='quiet'>{notes}</ul>"
        f'<div class="charts">{"".join(outcome.figures.values())}</div>{tables}'
        f"<h2>Circumstances</h2><details><summary>everything needed to repeat it</summary><dl>{about}</dl></details>"
    )
    return document(f"Study: {said['name']}", body)


def _table(name: str, table: pd.DataFrame) -> str:
    shown = as_html(rounded(table))
    if len(table) > IN_THE_OPEN:
        shown = f"<details><summary>{len(table)} rows</summary>{shown}</details>"
    return f"<h2>{html.escape(name)}</h2>{shown}"


def text(outcome: Outcome, facts: Mapping[str, Any]) -> str:
    """The same in Markdown, its figures beside it."""
    parts = [f"# Study: {facts['name']}\n", f"> {facts['claim']}\n", f"{facts['source']}; {facts['kind']} here.\n"]
    parts += [f"**The claim {facts['verdict']}.** {facts['words']}\n"]
    parts += ["".join(f"- {note}\n" for note in outcome.notes)] if outcome.notes else []
    parts += [f"![{name}]({name}.svg)\n" for name in outcome.figures]
    for name, table in outcome.tables.items():
        long = len(table) > IN_THE_OPEN
        parts.append(f"## {name}\n")
        parts.append(f"{len(table)} rows: [{name}.csv]({name}.csv)\n" if long else markdown(rounded(table)))
    parts.append(
        f"As run: `{facts['command']}`, {facts['seconds']} s on {facts['threads']} threads, {facts['date']}.\n"
    )
    return "\n".join(parts)


def _rest(facts: Mapping[str, Any]) -> list[tuple[str, object]]:
    """What the page has not said above, options and versions in lines of their own."""
    above = {"name", "claim", "source", "kind", "verdict", "words", "notes"}
    pairs: list[tuple[str, object]] = []
    for key, value in facts.items():
        if key not in above:
            pairs += value.items() if isinstance(value, Mapping) else [(key, value)]
    return pairs
