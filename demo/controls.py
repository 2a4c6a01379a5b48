"""Inputs that tabs share; their defaults come from the model."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import gradio as gr

from ldm_core.sampling import SCHEDULERS

from .session import Session

FIRST_SEED = 7
# By the world that a model was made for; a model of none of them gets a prompt that any can draw.
EXAMPLES = {
    "scenes": [
        "a red house on the left and a pine tree on the right, mountains, in a snowy field at night",
        "night sky over a little yellow house by the lake",
        "a purple hot air balloon in the center and clouds, in a desert on a sunny day",
        "a boat with a yellow sail in the center and the sun on the right, on a lake at sunset",
        "a palm tree on the left and an orange house on the right, in a desert at dawn",
    ],
    "fashion": [
        "a photo of an ankle boot", "a handbag", "a photo of a dress", "a sneaker", "a pair of trousers", "a picture of a sweater",
    ],
    "": ["a lighthouse on a cliff at dawn", "a bowl of oranges on a wooden table", "a red bicycle against a white wall"],
}  # fmt: skip
WHAT_IT_DRAWS = {
    "scenes": (
        "This small model was trained on drawn landscapes alone. It knows skies (day, dawn, sunset, night, storm), grounds "
        "(field, snow, desert, lake), houses, pines, palms, boats, balloons, sun, moon, clouds and mountains, eight colours, "
        "and left, center, right. Other words leave it guessing."
    ),
    "fashion": (
        "This small model was trained on the grey pictures of Fashion-MNIST alone: t-shirts, trousers, pullovers, dresses, "
        "coats, sandals, shirts, sneakers, bags and ankle boots, 32 pixels wide. It knows their names and plain synonyms; "
        "colours and other words leave it guessing."
    ),
    "": "",
}


def prompt_box(session: Session) -> gr.Textbox:
    """The prompt, an example already in it."""
    return gr.Textbox(
        EXAMPLES[session.model.spec.world][0], label="Prompt", lines=2, max_length=session.limits.prompt_characters
    )


def seed_row(session: Session) -> gr.Number:
    """The seed with a dice beside it."""
    with gr.Row(elem_classes="seed"):
        seed = gr.Number(FIRST_SEED, label="Seed", precision=0, minimum=0, maximum=session.limits.largest_seed, scale=3)
        dice = gr.Button("New seed", size="sm", scale=1, min_width=96)
    dice.click(lambda: random.randrange(2**32), None, seed, queue=False, api_visibility="private")
    return seed


def advanced(session: Session) -> tuple[gr.Slider, gr.Slider, gr.Textbox, gr.Dropdown]:
    """Guidance scale in the open; steps, negative prompt and scheduler under a fold."""
    spec, limits = session.model.spec, session.limits
    scale = gr.Slider(0, limits.guidance_scale, spec.guidance_scale, step=0.5, label="Guidance scale w",
                      info="0 ignores the prompt, 1 is no guidance, more follows it harder")  # fmt: skip
    with gr.Accordion("Advanced", open=False):
        steps = gr.Slider(1, limits.steps, spec.steps, step=1, label="Steps")
        negative = gr.Textbox("", label="Negative prompt", max_length=limits.prompt_characters)
        scheduler = gr.Dropdown(list(SCHEDULERS)[:-1], value=session.model.scheduler_name, label="Scheduler")
    return scale, steps, negative, scheduler


def validator(problems: Callable[..., list[str]]) -> Callable[..., list]:
    """Runs on the server before the queue, for the page and for scripts alike; `problems` has a text for each input."""
    return lambda *values: [gr.validate(not problem, problem) for problem in problems(*values)]


def in_lane(
    session: Session, problems: list[str], outputs: int, draw: Callable[[], Iterator[tuple]]
) -> Iterator[tuple]:
    """What draw() yields, one visitor at a time; problems and errors are said in words.

    The status is the second of an event's outputs.
    """
    if any(problems):
        raise gr.Error(" ".join(filter(None, problems)), title="Not drawn")
    if session.lane.locked():
        yield gr.skip(), "Another picture is being drawn; yours is next.", *[gr.skip()] * (outputs - 2)
    with session.lane:
        try:
            yield from draw()
        except (ValueError, FloatingPointError) as error:
            raise gr.Error(str(error), title="Not drawn") from None
