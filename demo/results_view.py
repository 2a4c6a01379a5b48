"""A run as the page shows it: its numbers in a table that sorts, its pictures by prompt and condition, one picture large."""

from __future__ import annotations

import functools
import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd
from PIL import Image

from evaluation.report import tables
from evaluation.report.strips import webp_url
from ldm_core.data.photos import open_photo

from .figures import picture_source
from .runs import OpenRun, plain

SMALL, LARGE = 96, 768  # pixels of a side, at the most
ACROSS = 12  # conditions in the grid
ROWS = 200  # conditions in the table


def text(value: object) -> str:
    """A value of a run's files within HTML."""
    return html.escape(plain(value))


@functools.lru_cache(maxsize=8)
def run_html(run: OpenRun, group: str) -> str:
    """The table, and the pictures of a group of prompts. A run is read anew when it changes, and so is another one here."""
    facts = run.run.facts
    notes = "".join(f"<li>{text(note)}</li>" for note in facts.notes)
    return (
        f'<div class="run"><h3>{text(facts.title)}</h3><p>{text(facts.lead)}</p>{_table(run.run.summary)}'
        f"<p>A click on a heading sorts. &uarr; more is better, &darr; less; n: how many images a value is of.</p>"
        f"<ul>{notes}</ul>{_grid(run, run.groups.get(group, []))}</div>"
    )


def _table(summary: pd.DataFrame) -> str:
    category = summary["category"].astype(object).fillna("") if "category" in summary else ""
    rows = tables.whole(summary.assign(category=category))
    if "condition" not in rows:  # of the first house
        scales = rows["guidance_scale"] if "guidance_scale" in rows else pd.Series(math.nan, rows.index)
        rows = rows.assign(condition=[f"w = {scale:g}" if scale == scale else "" for scale in scales])
    rows = rows.assign(condition=rows["condition"].astype(object).fillna(""))
    metrics, conditions = (list(dict.fromkeys(rows[name])) for name in ("metric", "condition"))
    higher = dict(zip(rows["metric"], rows["higher_is_better"]))
    found = {(row.condition, row.metric): row for row in rows.itertuples()}
    names = ["condition", *(f"{metric} {tables.ARROWS[bool(higher[metric])]}" for metric in metrics)]
    head = "".join(f'<th scope="col"><button type="button">{text(name)}</button></th>' for name in names)
    body = "".join(
        f'<tr><th scope="row" data-value="{at}">{text(condition) or "all together"}</th>'
        + "".join(_value(found.get((condition, metric))) for metric in metrics)
        + "</tr>"
        for at, condition in enumerate(conditions[:ROWS])
    )
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="numbers of the run"><table class="sortable">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _value(row: object) -> str:
    if row is None:
        return "<td></td>"
    value, se, count = float(row.value), float(row.se), int(row.n)  # type: ignore[attr-defined]  # a row of a table
    return f'<td data-value="{value:.9g}" title="n = {count}">{html.escape(tables.with_error(value, se))}</td>'


def _grid(run: OpenRun, prompts: Sequence[int]) -> str:
    """The first image of each prompt under each condition, as buttons."""
    conditions = run.run.images.conditions
    first = run.images.reset_index().drop_duplicates(["prompt_id", "condition"])
    place = {
        (row.prompt_id, row.condition): int(row.index)
        for row in first[["prompt_id", "condition", "index"]].itertuples(index=False, name="Place")
    }
    head = "".join(f'<th scope="col">{text(label)}</th>' for label in conditions[:ACROSS])
    body = "".join(
        f'<tr><th scope="row">{text(_prompt_of(run, prompt))}</th>'
        + "".join(f"<td>{_button(run, place.get((prompt, label)))}</td>" for label in conditions[:ACROSS])
        + "</tr>"
        for prompt in prompts
    )
    more = (
        f"<p>{len(conditions) - ACROSS} conditions more are in the table alone.</p>" if len(conditions) > ACROSS else ""
    )
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="pictures of the run"><table class="cells">'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>{more}"
    )


def _prompt_of(run: OpenRun, prompt: int) -> object:
    found = run.images.loc[run.images["prompt_id"] == prompt, "prompt"].iloc[0]
    return f"prompt {prompt}" if found is None or found != found else found


def _button(run: OpenRun, image: int | None) -> str:
    path = None if image is None else run.picture(image)
    if path is None:
        return "<span>not there</span>"
    try:
        with Image.open(path) as picture:
            source = webp_url(picture, SMALL)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return "<span>unreadable</span>"
    row = run.images.iloc[image]
    label = f"{plain(row['prompt'])}, {plain(row['condition'])}"
    return f'<button type="button" data-image="{image}"><img src="{source}" alt="{html.escape(label)}"></button>'


def cell_html(run: OpenRun, image: int, settings: Mapping[str, object], words: str) -> str:
    """One picture with its prompt, its scores, and its settings with a link to the tab that draws it, where it can be drawn
    here; else in words why not."""
    path, row = run.picture(image), run.images.iloc[image]
    if path is None:
        return '<p class="failed">This picture is not in the run\'s folder any more.</p>'
    try:
        source = _large(path)
    except (OSError, ValueError, Image.DecompressionBombError):
        return '<p class="failed">This picture cannot be read.</p>'
    scores = "".join(f"<dt>{text(name)}</dt><dd>{value:.4g}</dd>" for name, value in run.scores(image).items())
    made = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{text(value)}</dd>" for name, value in settings.items() if value != ""
    )
    link = (
        f'<a class="open" href="?{html.escape(urlencode(_as_linked(settings)))}">Open in Draw</a>' if settings else ""
    )
    said = f"<p>{html.escape(words)}</p>" if words else ""
    recipe = f"<details><summary>its recipe</summary><dl>{made}</dl></details>" if settings else ""
    prompt, seed = text(row["prompt"]), text(row["seed"])
    return (
        f'<div class="looked-at"><img src="{source}" alt="{prompt}, large"><div><h4>{prompt}</h4>'
        f"<p>{text(row['condition'])}{f'; seed {seed}' if seed else ''}</p>{_others(run, image)}"
        f"<dl>{scores}</dl>{link}{said}{recipe}</div></div>"
    )


def _large(path: Path) -> str:
    picture = open_photo(path)
    picture.thumbnail((LARGE, LARGE))
    return picture_source(picture)


def _as_linked(settings: Mapping[str, object]) -> dict[str, str]:
    """As page.js writes links."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in settings.items()}


def _others(run: OpenRun, image: int) -> str:
    """Buttons for the images of the same prompt under the same condition, where there are several."""
    row = run.images.iloc[image]
    alike = (run.images["prompt_id"] == row["prompt_id"]) & (run.images["condition"] == row["condition"])
    places = [at for at, same in enumerate(alike) if same]
    if len(places) < 2:
        return ""
    buttons = "".join(
        f'<button type="button" data-image="{at}"{" aria-current=true" if at == image else ""}>{n}</button>'
        for n, at in enumerate(places, 1)
    )
    return f'<p class="others">Images of this prompt: {buttons}</p>'
