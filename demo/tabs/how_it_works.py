"""How it works: a drawing watched from within, the noise that it undoes, what lies between pictures, and why in a latent."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from .. import carried, controls, lesson_endpoints, lessons, turns
from ..cost_view import cost_html
from ..openings import WAITING, Opening
from ..samples import samples
from ..session import Session
from ..uploads import picture_input
from .reconstruct import taken

WATCH = (
    "### Watch it think\n"
    "A drawing begins as pure noise in a small grid of numbers, the latent, and the model takes a little of the noise away at "
    "each step. At every step it guesses the finished picture: at first a blur, since many pictures would do, and sharper as "
    "the noise goes. It guesses twice, with your prompt and without; the difference is the arrow of guidance, and the picture "
    "is pushed w times along it."
)
NOISE = (
    "### The way into noise\n"
    "Training goes the other way: a picture's latent is mixed with more and more noise, and the model learns to take it out. "
    "A schedule says how much noise there is at which time, and here four famous ones spoil the same drawing. Where a "
    "schedule hurries, the model gets few steps to practise."
)
BETWEEN = (
    "### Between two pictures\n"
    "Every noise is a picture that waits to be drawn, and so is every noise between two others. Here the noise goes in an arc "
    "from one seed to the other, and the prompt's numbers in a line. That each stop on the way is a picture too shows that "
    "the model has learned a space of pictures, and no list of them."
)
COST = (
    "### Why in a latent\n"
    "Attention lets each place look at each other place, so its memory grows with the square of the number of places. An "
    "autoencoder that makes a side f times shorter leaves f² times fewer places and f⁴ times less attention. Move the slider: "
    "in pixels a large picture needs more memory than any computer has."
)
FACTORS = (
    "### How small may a latent be?\n"
    "Three autoencoders of this project shrink the same picture 4, 8 and 16 times along a side. The smaller the latent, the "
    "cheaper the drawing, and the more is lost for good: look at small letters and fine lines. The grey squares are the "
    "latent's channels, all that a model would see of the picture."
)
NEXT_SEED = "(p, s) => [p, (s || 0) + 1]"


def build(session: Session, head: gr.Markdown) -> list[Opening]:
    """The tab's five parts."""
    with gr.Column(elem_classes="lessons"):
        prompt, seed, watching = _watching(session, head)
        drawn = [watching, _noising(session, prompt, seed), _between(session)]
        with gr.Column(elem_classes="lesson"):
            gr.Markdown(COST)
            gr.HTML(cost_html(), label="Cost by size", elem_id="cost")
        factors = _factors(session)
    return [*(drawn if session.model.spec.embedded else []), factors]


def _watching(session: Session, head: gr.Markdown) -> tuple[gr.Textbox, gr.Number, Opening]:
    spec = session.model.spec
    example = controls.EXAMPLES[spec.world][0]
    with gr.Column(elem_classes="lesson"):
        gr.Markdown(WATCH)
        view = gr.HTML(WAITING, label="One drawing", elem_id="watch")
        prompt = _prompt_box(example, "Prompt")
        with gr.Row(elem_classes="inputs"):
            seed = _seed_box(session, controls.FIRST_SEED, "Seed")
            scale = controls.scale_slider(session)
        lesson = Lesson(session, "watch", [prompt, seed, scale])
        status = lesson.buttons("Watch", "the same without guidance, w = 1", "(p, s, w) => [p, s, 1]", view, [prompt])
    tab = carried.carry(("prompt", "seed", "guidance_scale"), [prompt, seed, scale], spec.reference)
    carried.name_model(session, tab, head)
    opening = functools.partial(lessons.watch, session, example, controls.FIRST_SEED, spec.guidance_scale)
    return prompt, seed, Opening("watch", [view, status], opening)


def _noising(session: Session, prompt: gr.Textbox, seed: gr.Number) -> Opening:
    with gr.Column(elem_classes="lesson"):
        gr.Markdown(NOISE)
        view = gr.HTML(WAITING, label="The way into noise", elem_id="noising")
        lesson = Lesson(session, "noising", [prompt, seed])
        status = lesson.buttons("Spoil the prompt above", "another seed", NEXT_SEED, view)
    example = controls.EXAMPLES[session.model.spec.world][0]
    return Opening(
        "noising", [view, status], functools.partial(lessons.noise_away, session, example, controls.FIRST_SEED)
    )


def _between(session: Session) -> Opening:
    first, second = controls.EXAMPLES[session.model.spec.world][:2]
    seeds = controls.FIRST_SEED, controls.FIRST_SEED + 1
    with gr.Column(elem_classes="lesson"):
        gr.Markdown(BETWEEN)
        view = gr.HTML(WAITING, label="Between two pictures", elem_id="between")
        with gr.Row(elem_classes="inputs"):
            prompts = [_prompt_box(first, "From the prompt"), _prompt_box(second, "To the prompt")]
        with gr.Row(elem_classes="inputs"):
            boxes = [_seed_box(session, seeds[0], "From the seed"), _seed_box(session, seeds[1], "To the seed")]
        lesson = Lesson(session, "between", [*prompts, *boxes])
        status = lesson.buttons("Draw them", "one prompt, two seeds", "(p, q, s, t) => [p, p, s, t]", view, prompts)
    return Opening("between", [view, status], functools.partial(lessons.between, session, first, second, *seeds))


def _factors(session: Session) -> Opening:
    found = samples(session)
    card, other = found["test card"], next(iter(found))  # a photograph
    with gr.Column(elem_classes="lesson"):
        gr.Markdown(FACTORS)
        view = gr.HTML(WAITING, label="Three sizes of latent", elem_id="factors")
        photo = picture_input(value=card, label="Photo", height=180, elem_id="factor-photo")
        lesson = Lesson(session, "factors", [photo])
        status = lesson.buttons("Shrink it", f"{other} in place of the test card", lambda: found[other], view)
    photo.upload(functools.partial(taken, session), photo, [photo, status], **controls.QUIET)
    return Opening("factors", [view, status], functools.partial(lessons.by_factor, session, card))


def _prompt_box(text: str, label: str) -> gr.Textbox:
    return controls.as_given(gr.Textbox(text, label=label, lines=1, max_lines=3, scale=3, min_width=220))


def _seed_box(session: Session, value: int, label: str) -> gr.Number:
    most = session.limits.largest_seed
    return controls.as_given(gr.Number(value, label=label, precision=0, minimum=0, maximum=most, min_width=110))


@dataclass(frozen=True)
class Lesson:
    """One part of the tab: its endpoint by name, and the inputs in the order of the endpoint's parameters."""

    session: Session
    endpoint: str
    inputs: Sequence[gr.components.Component]

    def buttons(
        self,
        go: str,
        suggestion: str,
        changed: str | Callable[[], str],
        view: gr.HTML,
        submitting: Sequence[gr.Textbox] = (),
    ) -> gr.Markdown:
        """Draw, try this, stop; and the status, which it gives. `changed` is what the suggestion makes of the inputs: a script
        for the browser, or what gives the file of another picture."""
        with gr.Row(elem_classes="buttons"):
            start = gr.Button(go, variant="primary", min_width=96)
            trying = gr.Button(f"Try this: {suggestion}", min_width=96, elem_classes="try")
            stop = gr.Button("Stop", min_width=72)
        names, problems = lesson_endpoints.NAMES[self.endpoint], lesson_endpoints.problems
        status = gr.Markdown(label="Status", elem_id=f"{self.endpoint}-status", elem_classes="status")
        drawing: dict[str, Any] = dict(
            fn=lesson_endpoints.HANDLERS[self.endpoint](self.session),
            inputs=list(self.inputs),
            outputs=[view, status],
            validator=turns.validator(self.session, functools.partial(problems, self.session, names), names),
            **turns.on_device(status),
        )
        start.click(**drawing, api_name=self.endpoint)
        if submitting:
            gr.on([box.submit for box in submitting], **drawing, api_visibility="private")
        if isinstance(changed, str):
            trying.click(None, list(self.inputs), list(self.inputs), js=changed, **controls.QUIET)
            trying.click(**drawing, js=changed, api_visibility="private")
        else:
            chosen = trying.click(changed, None, self.inputs[0], **controls.QUIET)
            chosen.success(**drawing, api_visibility="private")
        stop.click(turns.stopping(self.session), None, status, **controls.QUIET)
        return status
