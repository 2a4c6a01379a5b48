"""Inputs that tabs share; their defaults come from the model."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import gradio as gr

from ldm_core.pipeline import LatentDiffusion
from ldm_core.registry import ModelSpec
from ldm_core.substitution import TABLES

from . import over_time
from .session import COUNTS, RULES_OFFERED, Session, size_text, sizes

FIRST_SEED = 7
MORE = "several have seeds one after another, and are drawn together"
Box = TypeVar("Box", bound=gr.components.Component)
QUIET: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}  # of events that only tidy the page
# By the world that a model was made for; a model of none of them gets a prompt that any can draw.
EXAMPLES = {
    "everyday": [
        "a red house under a rainbow in a green meadow",
        "a man riding a brown horse on the beach at sunset",
        "a black cat sleeping on a blue bed",
        "a woman in a yellow dress holding a red umbrella in the rain",
        "three sheep and a house in the snow",
    ],
    "fashion": [
        "a photo of an ankle boot",
        "a handbag",
        "a photo of a dress",
        "a sneaker",
        "a pair of trousers",
        "a picture of a sweater",
    ],
    "": [
        "a lighthouse on a cliff at dawn",
        "a bowl of oranges on a wooden table",
        "a red bicycle against a white wall",
    ],
}
WHAT_IT_DRAWS = {
    "everyday": (
        "This small model was trained on drawings of everyday things alone: people, animals, vehicles, buildings, trees, "
        "furniture and small objects, one to three of each, in ten colours, beside, on, above or in front of each other, riding "
        "and holding, in a field, snow, a desert, a street, a room, by a lake or on a beach, from dawn to night. For other "
        "things it draws the nearest that it knows, and says so."
    ),
    "fashion": (
        "This small model was trained on the grey pictures of Fashion-MNIST alone: t-shirts, trousers, pullovers, dresses, "
        "coats, sandals, shirts, sneakers, bags and ankle boots, 32 pixels wide. It knows their names and plain synonyms; "
        "colours and other words leave it guessing."
    ),
    "": "",
}


@dataclass(frozen=True)
class Settings:
    """The inputs that decide a picture, by the names and in the order of the endpoint's parameters."""

    prompt: gr.Textbox
    negative_prompt: gr.Textbox
    seed: gr.Number
    steps: gr.Slider
    guidance_scale: gr.Slider
    scheduler: gr.Dropdown
    guidance_schedule: gr.Dropdown
    size: gr.Dropdown
    model: gr.Dropdown
    guidance_rule: gr.Dropdown
    substitute: gr.Checkbox
    pictures: gr.Radio

    @property
    def inputs(self) -> list[gr.components.Component]:
        return [getattr(self, part.name) for part in dataclasses.fields(self)]


def as_given(box: Box) -> Box:
    """An input whose value comes as a visitor or a script gave it: gradio would turn 1.5 into 2 and true into text, and answer
    what is out of bounds without a reason. `problems` look at it instead."""
    box.preprocess = _same  # type: ignore[method-assign]  # gradio offers no other way
    return box


def _same(payload: object) -> object:
    return payload


def header(spec: ModelSpec, model: LatentDiffusion) -> str:
    """The page's title and the chosen model, in Markdown."""
    device = f", on {model.device}" if model.device.type != "cpu" else ""
    return (
        f"# Latent diffusion\nModel `{spec.name}`: {spec.description or spec.source}, "
        f"{spec.width} x {spec.height} pixels{device}."
    )


def prompt_box(session: Session) -> gr.Textbox:
    """The prompt, an example already in it. No length is cut off in the browser: what is too long is said."""
    return as_given(
        gr.Textbox(
            EXAMPLES[session.model.spec.world][0],
            label="Prompt",
            lines=1,  # of more, Enter would begin a new line
            max_lines=4,
            info="Enter draws, Shift + Enter begins a new line",
            elem_classes="prompt",
        )
    )


def vocabulary(spec: ModelSpec) -> gr.Markdown:
    """What the model knows, always in sight."""
    return gr.Markdown(WHAT_IT_DRAWS[spec.world], elem_classes="vocabulary", visible=bool(WHAT_IT_DRAWS[spec.world]))


def prompts_to_try(session: Session, prompt: gr.Textbox) -> gr.Dataset:
    """Prompts that a click puts into the box."""
    shown = gr.Dataset(
        components=[prompt],
        samples=_samples(session.model.spec),
        label="Prompts to try",
        show_label=True,
        elem_id="prompts-to-try",
    )
    shown.click(lambda sample: sample[0], shown, prompt, queue=False, api_visibility="private")
    return shown


def _samples(spec: ModelSpec) -> list[list[str]]:
    return [[text] for text in EXAMPLES[spec.world]]


def seed_row(session: Session) -> gr.Number:
    """The seed with a dice beside it."""
    with gr.Row(elem_classes="seed"):
        seed = as_given(
            gr.Number(
                FIRST_SEED,
                label="Seed",
                precision=0,
                minimum=0,
                maximum=session.limits.largest_seed,
                scale=3,
                info="the same seed and settings give the same picture",
            )
        )
        dice = gr.Button("New seed", size="sm", scale=1, min_width=96)
    dice.click(lambda: random.randrange(2**32), None, seed, queue=False, api_visibility="private")
    return seed


def scale_slider(session: Session) -> gr.Slider:
    """The guidance scale, and what it is."""
    return as_given(
        gr.Slider(
            0,
            session.limits.guidance_scale,
            session.model.spec.guidance_scale,
            step=0.25,
            label="Guidance scale w",
            info="how hard the prompt pulls: 0 ignores it, 1 leaves the model free, more insists",
        )
    )


def how_many() -> gr.Radio:
    """How many pictures a click draws."""
    choice = as_given(gr.Radio([(str(count), count) for count in COUNTS], value=1, label="Pictures a click", info=MORE))
    choice.api_info = lambda: {"type": "integer", "enum": list(COUNTS), "description": MORE}  # type: ignore[method-assign]  # gradio offers no other way
    return choice


def advanced(session: Session, prompt: gr.Textbox, seed: gr.Number, scale: gr.Slider, pictures: gr.Radio) -> Settings:
    """All else, to be put under a fold."""
    spec, limits = session.model.spec, session.limits
    model = gr.Dropdown(list(session.specs), value=spec.reference, label="Model")
    offered = [size_text(each) for each in sizes(spec)]
    size = gr.Dropdown(offered, value=offered[0], label="Size", info="the first is the one that it was trained at")
    steps = gr.Slider(
        1, limits.steps, spec.steps, step=1, label="Steps", info="more take longer and are a little finer"
    )
    negative = gr.Textbox("", label="Negative prompt", info="what to steer away from", lines=1, max_lines=4)
    known = session.schedulers(spec.reference)
    scheduler = gr.Dropdown(known, value=known[0], label="Scheduler")
    schedule, rule = over_time.choice(), rule_choice()
    nearest = gr.Checkbox(
        True,
        label="Draw the nearest known thing for one it does not know, and say so",
        visible=any(each.world in TABLES for each in session.specs.values()),
    )
    for box in (model, size, steps, negative, scheduler, schedule, rule):
        as_given(box)
    size.api_info = _any_of({name: [size_text(each) for each in sizes(own)] for name, own in session.specs.items()})  # type: ignore[method-assign]  # gradio offers no other way
    scheduler.api_info = _any_of({name: session.schedulers(name) for name in session.specs})  # type: ignore[method-assign]  # gradio offers no other way
    return Settings(prompt, negative, seed, steps, scale, scheduler, schedule, size, model, rule, nearest, pictures)


def _any_of(offered: dict[str, list[str]]) -> Callable[[], dict[str, object]]:
    """What the endpoints' description says of an input whose choices are the chosen model's."""
    words = "; ".join(f"of {name}: {', '.join(choices)}" for name, choices in offered.items())
    known = list(dict.fromkeys(choice for choices in offered.values() for choice in choices))
    return lambda: {"type": "string", "enum": known, "description": words}


def rule_choice() -> gr.Dropdown:
    """How the predictions with and without the prompt are combined."""
    words = "how the predictions with and without the prompt become one; they differ most at a large w"
    return gr.Dropdown(list(RULES_OFFERED), value="cfg", label="Guidance rule", info=words)


def defaults_of(session: Session, name: str) -> dict[str, object]:
    """What the inputs are set to when a model is chosen, by the name of the setting; and its own words and prompts."""
    spec, known = session.specs[name], session.schedulers(name)
    offered = [size_text(each) for each in sizes(spec)]
    return {
        "prompt": EXAMPLES[spec.world][0],
        "steps": spec.steps,
        "guidance_scale": spec.guidance_scale,
        "size": gr.Dropdown(choices=offered, value=offered[0]),
        "header": header(spec, session.model),
        "words": gr.Markdown(WHAT_IT_DRAWS[spec.world], visible=bool(WHAT_IT_DRAWS[spec.world])),
        "prompts": gr.Dataset(samples=_samples(spec)),
        "scheduler": gr.Dropdown(choices=known, value=known[0]),
    }
