"""Guidance sweep: one prompt at many guidance scales, or at many values of any other setting."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from .. import carried, controls, over_time, text_to_image, turns
from ..openings import Opening
from ..session import Session
from ..sweep_axes import AXES, SCALE, SCHEDULE, SEED, Directions, conditions_of, example_of, read_seeds
from ..sweep_checks import cost_words, problems
from ..sweep_drawing import Sweep

# The endpoint's parameters, of which scripts may give the first few by place.
NAMES = (
    "prompt",
    "guidance_scales",
    "seeds",
    "guidance_schedule",
    "steps",
    "model",
    "axis",
    "values",
    "second_axis",
    "second_values",
)
SHARED = (
    "prompt",
    "seeds",
    "guidance_schedule",
    "steps",
    "model",
)  # by the names that tabs have in common: see carried.py
HELD = "of every picture; of several the model's own is taken"
WHAT_IT_IS = (
    "Guidance is how hard the prompt pulls. At every step the model predicts twice, with the prompt and without, and goes "
    "w times the way from one to the other: a small w wanders off, a large one insists and turns gaudy. All pictures here "
    "begin with the same noise, so w is all that differs. Other settings are swept in the same way, two against each other too."
)
# Runs in the browser as soon as Sweep is pressed, so that nothing of an earlier sweep stands beside a new one's refusal.
CLEAR = """() => ['<div class="sweep empty"></div>', '', {__type__: 'update', visible: false, value: null},
    {__type__: 'update', visible: false, value: null}]"""


def build(session: Session, head: gr.Markdown) -> list[Opening]:
    """The tab's inputs, grid and events; gives what it opens with."""
    gr.Markdown(WHAT_IT_IS, elem_classes="what")
    with gr.Row(elem_classes="stage wide"):
        with gr.Column(elem_classes="ask"):
            boxes = _asked(session)
            with gr.Row(elem_classes="buttons"):
                go, stop = gr.Button("Sweep", variant="primary", min_width=96), gr.Button("Stop", min_width=96)
            own = (
                AXES[SCALE].example,
                str(controls.FIRST_SEED),
                session.model.spec.steps,
                session.model.spec.reference,
            )
            cost = gr.Markdown(cost_words(session, *own), elem_classes="cost")
        with gr.Column(elem_classes="shown"):
            status = gr.Markdown(label="Status", elem_id="sweep-status", elem_classes="status")
            grid = gr.HTML('<div class="sweep empty">The pictures appear here side by side.</div>', label="Grid")
            chart = gr.LinePlot(
                x="guidance scale", y="score", color="seed", height=220, visible=False, label="Score", show_label=False
            )
            keep = gr.DownloadButton("Keep all (zip)", visible=False)
        with gr.Column(elem_classes="more"):
            words = controls.vocabulary(session.model.spec)
            boxes |= _advanced(session)
    inputs = [controls.as_given(boxes[name]) for name in NAMES]
    _follow(session, head, boxes, cost, words)
    shown: list[Any] = [grid, status, chart, keep]
    for trigger, public in ((go.click, True), (inputs[0].submit, False)):
        trigger(None, None, shown, js=CLEAR, **controls.QUIET)
        sweeping = trigger(
            handler(session),
            inputs,
            shown,
            api_name="sweep" if public else None,
            api_visibility="public" if public else "private",
            validator=turns.validator(session, functools.partial(problems, session), NAMES),
            **turns.on_device(status),
        )
        sweeping.success(lambda file: gr.DownloadButton(visible=bool(file)), keep, keep, **controls.QUIET)
    stop.click(turns.stopping(session), None, status, **controls.QUIET)
    return [Opening("sweep", shown[:3], lambda: opening(session))] if session.model.spec.embedded else []


def opening(session: Session) -> Iterator[tuple]:
    """A sweep of the settings that the tab opens with."""
    spec = session.model.spec
    prompt, directions = controls.EXAMPLES[spec.world][0], Directions()
    made = conditions_of(session, AXES[SCALE].example, "constant", spec.steps, spec.reference, directions)
    return Sweep(
        session, prompt, made, [controls.FIRST_SEED], spec.reference, directions.across, text_to_image.NAMES
    ).draw()


def _asked(session: Session) -> dict[str, Any]:
    """What is swept, by the names of the endpoint's parameters."""
    offered = [(offer.title, name) for name, offer in AXES.items()]
    return {
        "prompt": controls.prompt_box(session),
        "axis": gr.Dropdown(offered, value=SCALE, label="Sweep", info="across the page"),
        "guidance_scales": gr.Textbox(AXES[SCALE].example, label="Guidance scales", info=AXES[SCALE].hint),
        "values": gr.Textbox("", label="Values", visible=False),
        "second_axis": gr.Dropdown(offered, value=SEED, label="Against", info="down the page"),
        "second_values": gr.Textbox("", label="Values against", visible=False),
        "seeds": gr.Textbox(str(controls.FIRST_SEED), label="Seeds", info="one or several, with commas between"),
    }


def _advanced(session: Session) -> dict[str, Any]:
    """What all pictures of a sweep share, under a fold."""
    spec = session.model.spec
    with gr.Accordion("Advanced", open=False):
        schedule = over_time.choice()
        curve = gr.HTML(over_time.curve_svg("constant"), label="Guidance over time")
        steps = gr.Slider(1, session.limits.steps, spec.steps, step=1, label="Steps")
        model = gr.Dropdown(list(session.specs), value=spec.reference, label="Model")
    schedule.change(over_time.curve_svg, schedule, curve, **controls.QUIET)
    return {"guidance_schedule": schedule, "steps": steps, "model": model}


def _follow(session: Session, head: gr.Markdown, boxes: dict[str, Any], cost: gr.Markdown, words: gr.Markdown) -> None:
    """Inputs that change with others, and the cost, which changes with all."""
    prompt, scales, seeds, schedule, steps, model, axis, values, against, against_values = (
        boxes[name] for name in NAMES
    )
    priced = [scales, seeds, steps, model, axis, values, schedule, against, against_values, prompt]
    gr.on([each.change for each in priced], functools.partial(cost_words, session), priced, cost, **controls.QUIET)
    model.input(functools.partial(choose_model, session), model, [prompt, steps, words, head], **controls.QUIET)
    gr.on(
        [axis.input, model.input],
        functools.partial(choose_axis, session),
        [axis, model, against],
        [scales, values, steps, schedule],
        **controls.QUIET,
    )
    against.input(
        functools.partial(choose_against, session),
        [axis, model, against],
        [scales, against_values, steps, schedule],
        **controls.QUIET,
    )
    tab = carried.carry(SHARED, [prompt, seeds, schedule, steps, model])
    carried.name_model(session, tab, head, model)
    model.change(functools.partial(fit_model, session), model, [words, head], **controls.QUIET)


def choose_model(session: Session, name: str) -> list[object]:
    """Another model's own prompt, steps and words."""
    if name not in session.specs:
        raise gr.Error(f"The model must be one of {', '.join(session.specs)}.", title="Not chosen")
    found = controls.defaults_of(session, name)
    return [found[key] for key in ("prompt", "steps", "words", "header")]


def fit_model(session: Session, name: object) -> list[object]:
    """The words of a model that came with a visitor from another tab, and the header."""
    if not isinstance(name, str) or name not in session.specs:
        return [gr.skip()] * 2
    found = controls.defaults_of(session, name)
    return [found["words"], found["header"]]


def choose_axis(session: Session, axis: str, model: str, against: str = SEED) -> list[object]:
    """The inputs for another axis across: examples of its values, and what is overruled out of reach."""
    _check_axes(session, axis, model, against)
    own = AXES[SCALE]
    if axis == SCALE:
        scales = gr.Textbox(own.example, label="Guidance scales", info=own.hint, visible=True)
    else:
        scale = f"{session.specs[model].guidance_scale:g}"
        scales = gr.Textbox(scale, label="Guidance scale", info=HELD, visible=against != SCALE)
    return [scales, _values_box(session, axis, model, axis not in (SCALE, SEED)), *_in_reach(axis, against)]


def choose_against(session: Session, axis: str, model: str, against: str) -> list[object]:
    """The inputs for another axis down the page; what was typed for the one across stays."""
    _check_axes(session, axis, model, against)
    scales = gr.skip() if axis == SCALE else gr.Textbox(visible=against != SCALE)
    return [scales, _values_box(session, against, model, against != SEED), *_in_reach(axis, against)]


def _check_axes(session: Session, axis: str, model: str, against: str) -> None:
    if axis not in AXES or against not in AXES or model not in session.specs:
        raise gr.Error(f"The sweep must be of one of {', '.join(AXES)}.", title="Not chosen")


def _values_box(session: Session, axis: str, model: str, shown: bool) -> gr.Textbox:
    """The input for an axis's values, with an example; hidden and empty where they stand elsewhere."""
    offer = AXES[axis]
    if not shown:
        return gr.Textbox("", visible=False)
    return gr.Textbox(example_of(session, axis, model), label=f"Values: {offer.title}", info=offer.hint, visible=True)


def _in_reach(*swept: str) -> tuple[gr.Slider, gr.Dropdown]:
    """Steps and schedule, which a sweep of them overrules."""
    return gr.Slider(interactive="steps" not in swept), gr.Dropdown(interactive=SCHEDULE not in swept)


def handler(session: Session) -> Callable[..., Iterator]:
    """The endpoint /sweep."""

    def sweep(
        prompt: str,
        guidance_scales: str = "1,2,4,8",
        seeds: str = "7",
        guidance_schedule: str = "constant",
        steps: int = session.model.spec.steps,
        model: str = session.model.spec.reference,
        axis: str = SCALE,
        values: str = "",
        second_axis: str = SEED,
        second_values: str = "",
        request: gr.Request | None = None,
    ) -> Iterator[tuple]:
        directions = Directions(axis, values, second_axis, second_values)
        found = problems(session, prompt, guidance_scales, seeds, guidance_schedule, steps, model, *directions)

        @functools.cache
        def asked() -> Sweep:
            made = conditions_of(session, guidance_scales, guidance_schedule, steps, model, directions)
            return Sweep(
                session, prompt, made, read_seeds(session, seeds), model, directions.across, text_to_image.NAMES
            )

        yield from turns.in_lane(session, found, 4, lambda: asked().draw(), request, lambda: asked().stopped())

    return sweep
