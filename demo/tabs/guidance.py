"""Guidance sweep: one prompt at many guidance scales, all cells denoising together."""

from __future__ import annotations

import dataclasses
import functools
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import pandas as pd
import torch
from PIL import Image

from evaluation.detectors.detector import Detector, load_detector
from evaluation.generation.axes import parse_scales
from ldm_core.images import from_pil
from ldm_core.settings import SamplingSettings

from .. import controls, over_time
from ..session import Session, size_text
from ..sweep_grid import SweepCell, cells_of, distance, grid_html, saturation, write_zip

NAMES = ("prompt", "guidance_scales", "seeds", "guidance_schedule", "steps", "model")  # the endpoint's parameters
PREVIEW_EVERY = 4  # steps
ALIGNMENT = {"scenes": ("clip_scenes", "scenes"), "fashion": ("fashion_accuracy", "fashion")}  # metric, detector
WHAT_IT_IS = (
    "Guidance is how hard the prompt pulls. At every step the model predicts twice, with the prompt and without, and goes "
    "w times the way from one to the other: a small w wanders off, a large one insists and turns gaudy. All pictures here "
    "begin with the same noise, so w is all that differs."
)


def build(session: Session) -> None:
    """The tab's inputs, grid and events."""
    spec = session.model.spec
    gr.Markdown(WHAT_IT_IS)
    with gr.Row(elem_classes="stage"):
        with gr.Column(scale=7):
            grid = gr.HTML('<div class="sweep empty">The pictures appear here side by side.</div>')
            status = gr.Markdown()
            chart = gr.LinePlot(x="guidance scale", y="score", color="seed", height=220, visible=False)
            keep = gr.DownloadButton("Keep all (zip)", visible=False)
        with gr.Column(scale=4):
            prompt = controls.prompt_box(session)
            scales = gr.Textbox("1,2,4,8", label="Guidance scales", max_length=100, info="1,2,4,8 or 1-8(1) or 1-8[4]")
            seeds = gr.Textbox("7", label="Seeds", max_length=60, info="one or several, with commas between")
            with gr.Row():
                go, stop = gr.Button("Sweep", variant="primary", min_width=96), gr.Button("Stop", min_width=96)
            cost = gr.Markdown(cost_words(session, "1,2,4,8", "7", spec.steps, spec.reference))
            with gr.Accordion("Advanced", open=False):
                schedule = over_time.choice()
                curve = gr.HTML(over_time.curve_svg("constant"))
                steps = gr.Slider(1, session.limits.steps, spec.steps, step=1, label="Steps")
                model = gr.Dropdown(list(session.specs), value=spec.reference, label="Model")
    for trigger in (scales.change, seeds.change, steps.change, model.change):
        trigger(lambda *values: cost_words(session, *values), [scales, seeds, steps, model], cost, **controls.QUIET)
    model.input(functools.partial(choose_model, session), model, [prompt, steps], **controls.QUIET)
    schedule.change(over_time.curve_svg, schedule, curve, **controls.QUIET)
    sweeping = go.click(
        handler(session),
        [prompt, scales, seeds, schedule, steps, model],
        [grid, status, chart, keep],
        api_name="sweep",
        validator=controls.validator(session, functools.partial(problems, session), NAMES),
        concurrency_id="device",
        concurrency_limit=1,
        show_progress="minimal",
        show_progress_on=[status],
    )
    sweeping.success(
        lambda *values: [gr.DownloadButton(visible=True), cost_words(session, *values)],
        [scales, seeds, steps, model],
        [keep, cost],
        **controls.QUIET,
    )
    stop.click(
        controls.stopped(session, "Stopped; the cells stay as they are."),
        None,
        status,
        cancels=[sweeping],
        api_visibility="private",
        queue=False,
    )


def problems(
    session: Session,
    prompt: object,
    guidance_scales: object,
    seeds: object,
    guidance_schedule: object,
    steps: Any,
    model: object,
) -> dict[str, str]:
    """What is wrong with a visitor's settings, in words by their names; empty where nothing is."""
    name = model if isinstance(model, str) and model in session.specs else session.model.spec.reference
    spec = session.specs[name]
    size, own = (spec.width, spec.height), session.schedulers(name)[0]
    found = session.problems(prompt, "", 0, steps, 1.0, own, guidance_schedule, size_text(size), model)
    for asked, read, value in (("guidance_scales", read_scales, guidance_scales), ("seeds", read_seeds, seeds)):
        try:
            read(session, value)
        except ValueError as error:
            found[asked] = str(error)
    if not found:
        pictures = len(read_scales(session, guidance_scales)) * len(read_seeds(session, seeds))
        if pictures > session.limits.cells:
            found["guidance_scales"] = f"Scales times seeds may be {session.limits.cells} pictures at the most."
        elif words := session.too_much(size, steps, pictures):
            found["steps"] = words
    return found


def choose_model(session: Session, name: str) -> list[object]:
    """Another model's own prompt and steps."""
    if name not in session.specs:
        raise gr.Error(f"The model must be one of {', '.join(session.specs)}.", title="Not chosen")
    found = controls.defaults_of(session, name)
    return [found["prompt"], found["steps"]]


def read_scales(session: Session, text: object) -> list[float]:
    """Guidance scales within the page's limit."""
    if not isinstance(text, str):
        raise ValueError("The guidance scales must be text like 1,2,4,8.")
    scales = list(parse_scales(text))
    if max(scales) > session.limits.guidance_scale:
        raise ValueError(f"Guidance scales may be {session.limits.guidance_scale:g} at the most.")
    return scales


def read_seeds(session: Session, text: object) -> list[int]:
    """Seeds with commas between, each once."""
    if not isinstance(text, str) or not re.fullmatch(r"\s*\d{1,10}(\s*,\s*\d{1,10})*\s*", text):
        raise ValueError("The seeds must be whole numbers with commas between, like 7 or 7, 8.")
    seeds = list(dict.fromkeys(int(part) for part in text.split(",")))
    if max(seeds) > session.limits.largest_seed:
        raise ValueError(f"A seed may be {session.limits.largest_seed} at the most.")
    return seeds


def cost_words(session: Session, scales: object, seeds: object, steps: float, model: str) -> str:
    """What a sweep will cost, before it starts."""
    try:
        chosen, count = read_scales(session, scales), len(read_seeds(session, seeds))
        rows = sum(1 if scale in (0, 1) else 2 for scale in chosen) * count * int(steps)
    except (ValueError, TypeError) as error:
        return str(error)
    images = len(chosen) * count
    pictures = f"{images} picture{'s' if images > 1 else ''}"
    known = session.seconds_per_row.get(model)
    return f"{pictures}, about {rows * known:.0f} s" if known else pictures


def handler(session: Session) -> Callable[..., Iterator]:
    """The endpoint /sweep."""

    def sweep(
        prompt: str,
        guidance_scales: str = "1,2,4,8",
        seeds: str = "7",
        guidance_schedule: str = "constant",
        steps: int = session.model.spec.steps,
        model: str = session.model.spec.reference,
        request: gr.Request | None = None,
    ) -> Iterator[tuple]:
        found = problems(session, prompt, guidance_scales, seeds, guidance_schedule, steps, model)

        def chosen() -> Iterator[tuple]:
            settings = SamplingSettings.of(steps=int(steps), **over_time.OVER_TIME[guidance_schedule])
            scales, each = read_scales(session, guidance_scales), read_seeds(session, seeds)
            return draw(session, prompt, scales, each, settings, model)

        yield from controls.in_lane(session, found, 4, chosen, request)

    return sweep


def draw(
    session: Session, prompt: str, scales: list[float], seeds: list[int], settings: SamplingSettings, name: str
) -> Iterator[tuple]:
    """Previews of all cells together, then the pictures with what is measured of them, and a zip."""
    model, began = session.model_of(name), time.perf_counter()
    rows = model.network_rows
    each = [scale for scale in scales for _ in seeds]
    for state in model.denoise(prompt, seeds * len(scales), each, settings=settings):
        words = controls.step_words(state, began)
        if (state.step + 1) % PREVIEW_EVERY == 0 and state.step + 1 < state.steps:
            cells = cells_of(model.preview(state.clean), scales, seeds)
            yield grid_html(cells, prompt, preview=True), words, gr.skip(), gr.skip()
        else:
            yield gr.skip(), words, gr.skip(), gr.skip()
    session.seconds_per_row[name] = (time.perf_counter() - began) / max(1, model.network_rows - rows)
    cells = measured(model.spec.world, prompt, cells_of(model.decode(state.latent), scales, seeds))
    cells = [
        dataclasses.replace(
            cell, recipe=model.recipe(prompt, cell.seed, settings.replaced(guidance_scale=cell.guidance_scale))
        )
        for cell in cells
    ]
    path = session.scratch.path("sweep.zip")
    write_zip(path, cells, prompt)
    words = f"{len(cells)} pictures, {time.perf_counter() - began:.1f} s. The zip holds each with its recipe, and the scores."
    yield grid_html(cells, prompt), words, chart_of(cells), str(path)


def measured(world: str, prompt: str, cells: list[SweepCell]) -> list[SweepCell]:
    """The cells with their alignment score (where the model's world has one), saturation, and change from the last scale."""
    scores = alignment(world, prompt, [cell.picture for cell in cells])
    before: dict[int, Image.Image] = {}
    done = []
    for index, cell in enumerate(cells):
        values = {name: found[index] for name, found in scores.items()} | {"saturation": saturation(cell.picture)}
        if cell.seed in before:
            values["change"] = distance(cell.picture, before[cell.seed])
        before[cell.seed] = cell.picture
        done.append(dataclasses.replace(cell, scores=values))
    return done


@functools.cache
def _detector(name: str) -> Detector:
    return load_detector(name)


def alignment(world: str, prompt: str, pictures: list[Image.Image]) -> dict[str, list[float]]:
    """How well each picture fits the prompt, by the detector of the model's world, or by CLIP where it is at hand."""
    if not prompt:
        return {}
    metric, name = ALIGNMENT.get(world, ("clip_score", "clip"))
    try:
        detector = _detector(name)
    except ValueError:  # CLIP's weights are not on this machine
        return {}
    images = torch.stack([from_pil(picture) for picture in pictures])
    return {metric: detector.extract(images, [prompt] * len(pictures))[1][metric]}


def chart_of(cells: list[SweepCell]) -> gr.LinePlot:
    """Alignment against guidance scale, a line a seed; saturation where there is no alignment score."""
    name = next(iter(cells[0].scores))
    table = pd.DataFrame(
        {
            "guidance scale": [cell.guidance_scale for cell in cells],
            "score": [cell.scores[name] for cell in cells],
            "seed": [f"seed {cell.seed}" for cell in cells],
        }
    )
    return gr.LinePlot(table, visible=len({cell.guidance_scale for cell in cells}) > 1, y_title=name)
