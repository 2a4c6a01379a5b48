"""A sweep from noise to zip: drawing, measuring, picturing and packing, one after another."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import gradio as gr

from evaluation.generation.axes import Condition
from ldm_core.pictures import LOOP
from ldm_core.pipeline import LatentDiffusion
from ldm_core.sampling import State

from .controls import EXAMPLES
from .prompt_words import prompt_words
from .recall import link_of
from .session import Session
from .sweep_grid import SweepCell, cells_of, grid_html, worded, write_zip
from .sweep_scores import EXPLAINED, chart_of, measured
from .zero_gpu import lent

PREVIEW_EVERY = 4  # steps


@dataclass
class Sweep:
    """What is drawn, and what of it is done."""

    session: Session
    prompt: str
    made: list[Condition]
    seeds: list[int]
    name: str  # of a model on offer
    across: str  # what of the settings goes across the page
    form: Sequence[str]  # the inputs of the first tab, by name, in which pictures can be opened
    cells: list[SweepCell] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)

    @lent
    def draw(self) -> Generator[tuple, None, None]:
        """Previews of the cells, then the pictures with what is measured of them, a chart, and a zip: what the page shows."""
        model = self.session.model_of(self.name)
        rows, self.began = model.network_rows, time.perf_counter()
        yield from self._drawing(model)
        seconds = time.perf_counter() - self.began
        self.session.seconds_per_row[self.name] = seconds / max(1, model.network_rows - rows)
        yield self._finished(f"{_pictures(len(self.cells))}, {seconds:.1f} s.")

    def stopped(self) -> tuple:
        """What the page shows where Stop was pressed: what is done is measured and packed as ever."""
        if not self.cells:
            words = "Stopped before a picture was done; the previews stay as they are."
            return gr.skip(), words, gr.skip(), gr.skip()
        of = len(self.made) * len(self.seeds)
        return self._finished(f"Stopped: {len(self.cells)} of {_pictures(of)} are done.")

    def _finished(self, said: str) -> tuple:
        """Scores, chart and zip of the pictures that are done."""
        model = self.session.model_of(self.name)
        cells = []
        for cell in measured(model.spec.world, self.prompt, self.cells, self.across):
            recipe = model.recipe(cell.prompt, cell.seed, cell.condition.settings)
            link = link_of(self.session, self.form, recipe)
            cells.append(dataclasses.replace(cell, recipe=recipe, link=link))
        path = self.session.scratch.path("sweep.zip")
        write_zip(path, cells, self.prompt, self.across)
        read = prompt_words(model, self.prompt, self.made[0].settings, EXAMPLES[model.spec.world][0])
        words = f"{said} The zip holds each with its recipe, and the scores. {read}".strip()
        grid = grid_html(cells, across=self.across, explained=EXPLAINED)
        return grid, words, chart_of(cells, self.across), str(path)

    def _drawing(self, model: LatentDiffusion) -> Generator[tuple, None, None]:
        """Frames for the page while the cells form. Conditions that may denoise together do; the groups of the others follow
        one another, each beside the pictures of those before it."""
        progress = Progress(sum((condition.settings.steps or 0) * len(self.seeds) for condition in self.made))
        groups = groups_of(self.made)
        for index, group in enumerate(groups):
            to_come = [(one, seed) for later in groups[index + 1 :] for one in later for seed in self.seeds]
            places = [(condition, seed) for condition in group for seed in self.seeds]
            states = model.denoise(
                [worded(condition, self.prompt) for condition, _ in places],
                [seed for _, seed in places],
                settings=[condition.settings for condition, _ in places],
            )
            for state in states:
                words = progress.words(state, len(places), len(groups) > 1)
                frame = gr.skip()
                if (state.step + 1) % PREVIEW_EVERY == 0 and state.step + 1 < state.steps:
                    forming = cells_of(model.preview(state.clean), group, self.seeds, self.prompt)
                    frame = grid_html([*self.cells, *forming], to_come, preview=True, across=self.across)
                yield frame, words, gr.skip(), gr.skip()
            self.cells += cells_of(model.decode(state.latent), group, self.seeds, self.prompt)
            if to_come:
                yield grid_html(self.cells, to_come, preview=True, across=self.across), *[gr.skip()] * 3


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


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
