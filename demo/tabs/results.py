"""Results: the runs of a folder that the start names, or an example, sorted, and looked into picture by picture."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from ldm_core.recipe import read_png

from .. import controls, recall
from ..openings import WAITING, Opening
from ..results_view import cell_html, run_html
from ..runs import OpenRun, Runs, plain
from ..session import Session
from ..text_to_image import NAMES

WHAT_IT_IS = (
    "What `python -m evaluation.run` has found: each metric under each condition with its standard error, and the pictures "
    "behind the numbers. A click on a picture shows it large, with its prompt, its scores and the settings that make it again."
)
EXAMPLE = Path(__file__).parents[1] / "example"  # a run that ships
OF_THE_EXAMPLE = (
    "This is an example that ships with the project, `scenes` on six prompts at three scales. The server's own runs are shown "
    "where the start names their folder: `python -m demo.app --results runs`, or `LDM_RESULTS`; no other file of it is."
)
CLICK = """element.addEventListener('click', (event) => {
    const cell = event.target.closest('[data-image]');
    if (cell) trigger('cell', { image: Number(cell.dataset.image) });
});"""
SHOW = "() => document.querySelector('#cell')?.scrollIntoView({ block: 'nearest' })"


def build(session: Session, head: gr.Markdown) -> list[Opening]:
    """The tab's inputs, view and events; gives what it opens with."""
    runs = session.runs or Runs(EXAMPLE)
    gr.Markdown(WHAT_IT_IS if session.runs else f"{WHAT_IT_IS}\n\n{OF_THE_EXAMPLE}", elem_classes="what")
    names = runs.names()
    groups = _groups(runs, names[0])
    with gr.Row(elem_classes="inputs", elem_id="results-inputs"):
        chosen = gr.Dropdown(names, value=names[0], label="Run", visible=len(names) > 1)
        group = gr.Dropdown(groups, value=groups[0], label="Prompts", visible=len(groups) > 1)
        again = gr.Button("Read again", min_width=96, size="sm")
    status = gr.Markdown(label="Status", elem_id="results-status", elem_classes="status")
    cell = gr.HTML("", label="The picture", elem_id="cell", js_on_load=CLICK)
    view = gr.HTML(WAITING, label="The run", elem_id="run", js_on_load=CLICK)
    controls.as_given(chosen), controls.as_given(group)
    shown = [view, status, group, cell]
    gr.on([chosen.input, again.click], functools.partial(opened, runs), chosen, shown, **controls.QUIET)
    group.input(functools.partial(opened, runs), [chosen, group], shown, **controls.QUIET)
    for pictures in (view, cell):
        looking = pictures.cell(picture_of(session, runs), chosen, cell, **controls.QUIET)
        looking.then(None, None, None, js=SHOW, **controls.QUIET)
    return [Opening("results", [view, status], functools.partial(_first, runs, names[0]), words="", read=True)]


def _first(runs: Runs, name: str) -> Iterator[tuple]:
    yield opened(runs, name)[:2]


def _groups(runs: Runs, name: str) -> list[str]:
    try:
        return list(runs.open(name).groups) or ["all prompts"]
    except ValueError:  # it is said when the tab is opened
        return ["all prompts"]


def opened(runs: Runs, name: object, group: object = "") -> tuple[Any, ...]:
    """A run's view by its name and a group of its prompts; in one sentence what is wrong with it."""
    try:
        run = runs.open(name)
        groups = run.groups
        shown = group if isinstance(group, str) and group in groups else next(iter(groups), "")
        view = _view(run, shown)
    except ValueError as error:
        return "", str(error), gr.Dropdown(visible=False), ""
    return view, "", gr.Dropdown(list(groups), value=shown, visible=len(groups) > 1), ""


def _view(run: OpenRun, group: str) -> str:
    try:
        return run_html(run, group)
    except Exception:  # noqa: BLE001  # the edge: tables that are read, and hold what no run has written
        raise ValueError(f"The run {run.name} cannot be shown: a table of it is damaged.") from None


def picture_of(session: Session, runs: Runs) -> Callable[[object, gr.EventData], str]:
    """What shows the picture that was clicked on."""

    def show(name: object, event: gr.EventData) -> str:
        return looked_at(session, runs, name, getattr(event, "image", None))

    return show


def looked_at(session: Session, runs: Runs, name: object, image: object) -> str:
    """A picture by its run and its place in it; in a sentence where there is none."""
    try:
        run = runs.open(name)
        if not isinstance(image, int) or isinstance(image, bool) or not 0 <= image < len(run.images):
            return '<p class="failed">There is no such picture in this run.</p>'
        return cell_html(run, image, *settings_of(session, run, image))
    except ValueError as error:
        return f'<p class="failed">{html.escape(str(error))}</p>'


def settings_of(session: Session, run: OpenRun, image: int) -> tuple[dict[str, object], str]:
    """The inputs of the tab that draws, as the picture's recipe sets them; empty, and in words why, where it cannot be."""
    path = run.picture(image)
    if path is None:
        return {}, ""
    try:
        read_png(path)
    except ValueError:
        return {}, "This picture carries no recipe, so it cannot be drawn again here."
    try:
        *values, words = recall.restore(session, NAMES, str(path))
    except gr.Error as error:
        return {}, plain(f"It cannot be drawn again here. {error.message}")
    found = dict(zip(NAMES, values))
    if (
        found["model"] == session.model.spec.reference
    ):  # it may be a folder of the server; a link without it means the same
        del found["model"]
    said = str(words).removeprefix("Restored").lstrip(",. ")
    return found, (said[:1].upper() + said[1:]).replace("Press Draw", "Press Draw there", 1)
