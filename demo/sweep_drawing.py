"""A sweep from noise to zip: drawing, measuring, picturing and packing, one after another."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Sequence

import gradio as gr

from evaluation.generation.axes import Condition
from ldm_core.pictures import LOOP
from ldm_core.pipeline import LatentDiffusion
from ldm_core.sampling import State

from .controls import EXAMPLES
from .prompt_words import prompt_words
from .session import Session
from .sweep_grid import SweepCell, cells_of, grid_html, worded, write_zip
from .sweep_scores import chart_of, measured
from .zero_gpu import lent

PREVIEW_EVERY = 4  # steps


@lent
def draw(
    session: Session, prompt: str, made: list[Condition], seeds: list[int], name: str
) -> Generator[tuple, None, None]:
    """Previews of the cells, then the pictures with what is measured of them, a chart, and a zip: what the page shows."""
    model, began = session.model_of(name), time.perf_counter()
    rows = model.network_rows
    drawn = yield from drawing(model, prompt, made, seeds)
    session.seconds_per_row[name] = (time.perf_counter() - began) / max(1, model.network_rows - rows)
    cells = measured(model.spec.world, prompt, drawn)
    cells = [
        dataclasses.replace(cell, recipe=model.recipe(cell.prompt, cell.seed, cell.condition.settings))
        for cell in cells
    ]
    grid, chart = grid_html(cells), chart_of(cells)
    path = session.scratch.path("sweep.zip")
    write_zip(path, cells, prompt)
    words = f"{len(cells)} pictures, {time.perf_counter() - began:.1f} s. The zip holds each with its recipe, and the scores."
    read = prompt_words(model, prompt, made[0].settings, EXAMPLES[model.spec.world][0])
    yield grid, f"{words} {read}".strip(), chart, str(path)


def drawing(
    model: LatentDiffusion, prompt: str, made: Sequence[Condition], seeds: Sequence[int]
) -> Generator[tuple, None, list[SweepCell]]:
    """Frames for the page while the cells form; returns the finished ones. Conditions that may denoise together do; the
    groups of the others follow one another, each beside the pictures of those before it."""
    cells: list[SweepCell] = []
    progress = Progress(sum((condition.settings.steps or 0) * len(seeds) for condition in made))
    groups = groups_of(made)
    for index, group in enumerate(groups):
        to_come = [condition for later in groups[index + 1 :] for condition in later]
        places = [(condition, seed) for condition in group for seed in seeds]
        states = model.denoise(
            [worded(condition, prompt) for condition, _ in places],
            [seed for _, seed in places],
            settings=[condition.settings for condition, _ in places],
        )
        for state in states:
            words = progress.words(state, len(places), len(groups) > 1)
            frame = gr.skip()
            if (state.step + 1) % PREVIEW_EVERY == 0 and state.step + 1 < state.steps:
                forming = cells_of(model.preview(state.clean), group, seeds, prompt)
                frame = grid_html([*cells, *forming], to_come, preview=True)
            yield frame, words, gr.skip(), gr.skip()
        cells += cells_of(model.decode(state.latent), group, seeds, prompt)
        if to_come:
            yield grid_html(cells, to_come, preview=True), gr.skip(), gr.skip(), gr.skip()
    return cells


def groups_of(made: Sequence[Condition]) -> list[list[Condition]]:
    """Conditions whose images may denoise together, in the order of the first of each."""
    groups: dict[tuple, list[Condition]] = {}
    for condition in made:
        groups.setdefault(tuple(condition.settings[name] for name in LOOP), []).append(condition)
    return list(groups.values())


class Progress:
    """How far a sweep has come, counted in steps of single pictures."""

    def __init__(self, total: int):
        self.total, self.done, self.drawn, self.began = total, 0, 0, time.perf_counter()

    def words(self, state: State, pictures: int, several: bool) -> str:
        """After a step of so many pictures, of several groups or of one."""
        self.done += pictures
        left = (time.perf_counter() - self.began) / self.done * (self.total - self.done)
        first = self.drawn + 1
        if state.step + 1 == state.steps:
            self.drawn += pictures
        which = f"Picture {first} to {first + pictures - 1}: step" if several else "Step"
        which = f"Picture {first}: step" if several and pictures == 1 else which
        return f"{which} {state.step + 1} of {state.steps}, {left:.1f} s left"
