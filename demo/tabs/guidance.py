"""Guidance sweep: one prompt at many guidance scales, or at many values of any other setting."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import gradio as gr

from evaluation.generation.axes import Condition

from .. import controls, over_time, turns
from ..openings import Opening
from ..session import Session, size_text
from ..sweep_axes import AXES, SCALE, SCHEDULE, axis_of, conditions_of, example_of, held_scale, read_scales, read_seeds
from ..sweep_drawing import draw

# The endpoint's parameters, of which scripts may give the first few by place.
NAMES = ("prompt", "guidance_scales", "seeds", "guidance_schedule", "steps", "model", "axis", "values")
HELD = "of every picture; of several the model's own is taken"
WHAT_IT_IS = (
    "Guidance is how hard the prompt pulls. At every step the model predicts twice, with the prompt and without, and goes "
    "w times the way from one to the other: a small w wanders off, a large one insists and turns gaudy. All pictures here "
    "begin with the same noise, so w is all that differs. Other settings are swept in the same way."
)
# Runs in the browser as soon as Sweep is pressed, so that nothing of an earlier sweep stands beside a new one's refusal.
CLEAR = """() => ['<div class="sweep empty"></div>', '', {__type__: 'update', visible: false, value: null},
    {__type__: 'update', visible: false, value: null}]"""


def build(session: Session, head: gr.Markdown) -> list[Opening]:
    """The tab's inputs, grid and events; gives what it opens with."""
    gr.Markdown(WHAT_IT_IS, elem_classes="what")
    with gr.Row(elem_classes="stage wide"):
        with gr.Column(elem_classes="ask"):
            inputs, go, stop = _inputs(session, head)
        with gr.Column(elem_classes="shown"):
            status = gr.Markdown(label="Status", elem_id="sweep-status", elem_classes="status")
            grid = gr.HTML('<div class="sweep empty">The pictures appear here side by side.</div>', label="Grid")
            chart = gr.LinePlot(
                x="guidance scale", y="score", color="seed", height=220, visible=False, label="Score", show_label=False
            )
            keep = gr.DownloadButton("Keep all (zip)", visible=False)
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
    made = conditions_of(session, AXES[SCALE].example, "constant", spec.steps, spec.reference, SCALE, "")
    return draw(session, controls.EXAMPLES[spec.world][0], made, [controls.FIRST_SEED], spec.reference)


def _inputs(session: Session, head: gr.Markdown) -> tuple[list[Any], gr.Button, gr.Button]:
    """The inputs in the order of NAMES, and the two buttons; what the sweep will cost follows them."""
    spec = session.model.spec
    prompt = controls.prompt_box(session)
    axis = gr.Dropdown([(offer.title, name) for name, offer in AXES.items()], value=SCALE, label="Sweep")
    values = gr.Textbox("", label="Values", visible=False)
    scales = gr.Textbox(AXES[SCALE].example, label="Guidance scales", info=AXES[SCALE].hint)
    seeds = gr.Textbox("7", label="Seeds", info="one or several, with commas between")
    with gr.Row(elem_classes="buttons"):
        go, stop = gr.Button("Sweep", variant="primary", min_width=96), gr.Button("Stop", min_width=96)
    cost = gr.Markdown(cost_words(session, AXES[SCALE].example, "7", spec.steps, spec.reference), elem_classes="cost")
    words = controls.vocabulary(spec)
    with gr.Accordion("Advanced", open=False):
        schedule = over_time.choice()
        curve = gr.HTML(over_time.curve_svg("constant"), label="Guidance over time")
        steps = gr.Slider(1, session.limits.steps, spec.steps, step=1, label="Steps")
        model = gr.Dropdown(list(session.specs), value=spec.reference, label="Model")
    for box in (axis, values, scales, seeds, schedule, steps, model):
        controls.as_given(box)
    priced: list[Any] = [scales, seeds, steps, model, axis, values]
    gr.on(
        [each.change for each in priced],
        lambda *given: cost_words(session, *given),
        priced,
        cost,
        **controls.QUIET,
    )
    model.input(functools.partial(choose_model, session), model, [prompt, steps, words, head], **controls.QUIET)
    gr.on(
        [axis.input, model.input],
        functools.partial(choose_axis, session),
        [axis, model],
        [scales, values, steps, schedule],
        **controls.QUIET,
    )
    schedule.change(over_time.curve_svg, schedule, curve, **controls.QUIET)
    return [prompt, scales, seeds, schedule, steps, model, axis, values], go, stop


def problems(
    session: Session,
    prompt: Any,
    guidance_scales: object,
    seeds: object,
    guidance_schedule: Any,
    steps: Any,
    model: Any,
    axis: Any = SCALE,
    values: object = "",
) -> dict[str, str]:
    """What is wrong with a visitor's settings, in words by their names; empty where nothing is."""
    name = model if isinstance(model, str) and model in session.specs else session.model.spec.reference
    spec = session.specs[name]
    size, own = (spec.width, spec.height), session.schedulers(name)[0]
    found = session.problems(prompt, "", 0, steps, 1.0, own, guidance_schedule, size_text(size), model)
    readers: dict[str, Callable[[], object]] = {
        "guidance_scales": lambda: read_scales(session, guidance_scales),
        "seeds": lambda: read_seeds(session, seeds),
    }
    if not isinstance(axis, str) or axis not in AXES:
        found["axis"] = f"The sweep must be of one of {', '.join(AXES)}."
    elif not found and not (axis == SCALE and values == ""):
        readers["values"] = lambda: axis_of(session, guidance_scales, name, axis, values, prompt)
    for asked, read in readers.items():
        try:
            read()
        except ValueError as error:
            found[asked] = str(error)
    if not found:
        made = conditions_of(session, guidance_scales, guidance_schedule, steps, name, axis, values)
        found = too_many(
            session, made, len(read_seeds(session, seeds)), size, "values" if values else "guidance_scales"
        )
    return found


def too_many(
    session: Session, made: Sequence[Condition], seeds: int, size: tuple[int, int], asked: str
) -> dict[str, str]:
    """In words by the name of an input, where a sweep is more than one request may be: each cell counts by its own steps."""
    if len(made) * seeds > session.limits.cells:
        return {asked: f"Values times seeds may be {session.limits.cells} pictures at the most."}
    words = session.too_much(size, sum(condition.settings.steps or 0 for condition in made), seeds)
    return {"steps": words} if words else {}


def choose_model(session: Session, name: str) -> list[object]:
    """Another model's own prompt, steps and words."""
    if name not in session.specs:
        raise gr.Error(f"The model must be one of {', '.join(session.specs)}.", title="Not chosen")
    found = controls.defaults_of(session, name)
    return [found[key] for key in ("prompt", "steps", "words", "header")]


def choose_axis(session: Session, axis: str, model: str) -> list[object]:
    """The inputs for another axis: examples of its values, and what it overrules out of reach."""
    if axis not in AXES or model not in session.specs:
        raise gr.Error(f"The sweep must be of one of {', '.join(AXES)}.", title="Not chosen")
    offer, own = AXES[axis], AXES[SCALE]
    if axis == SCALE:
        boxes = [gr.Textbox(own.example, label="Guidance scales", info=own.hint), gr.Textbox("", visible=False)]
    else:
        scale = f"{session.specs[model].guidance_scale:g}"
        boxes = [
            gr.Textbox(scale, label="Guidance scale", info=HELD),
            gr.Textbox(example_of(session, axis, model), label=f"Values: {offer.title}", info=offer.hint, visible=True),
        ]
    return [*boxes, gr.Slider(interactive=axis != "steps"), gr.Dropdown(interactive=axis != SCHEDULE)]


def cost_words(
    session: Session, scales: object, seeds: object, steps: float, model: str, axis: str = SCALE, values: object = ""
) -> str:
    """What a sweep will cost, before it starts; or why it may not."""
    try:
        made, count = (
            conditions_of(session, scales, "constant", steps, model, axis, values),
            len(read_seeds(session, seeds)),
        )
        spec = session.specs[model]
        if refused := too_many(session, made, count, (spec.width, spec.height), "values"):
            return " ".join(refused.values())
        held = "" if axis == SCALE else f" at w = {held_scale(session, scales, model):g}"
    except (ValueError, TypeError) as error:
        return str(error)
    rows = count * sum(_rows(condition) for condition in made)
    pictures = f"{len(made) * count} picture{'s' if len(made) * count > 1 else ''}{held}"
    known = session.seconds_per_row.get(model)
    return f"{pictures}, about {rows * known:.0f} s" if known else pictures


def _rows(condition: Condition) -> int:
    """Network rows of one picture, the guidance on all the time."""
    return (1 if condition.guidance_scale in (0, 1) else 2) * (condition.settings.steps or 0)


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
        request: gr.Request | None = None,
    ) -> Iterator[tuple]:
        found = problems(session, prompt, guidance_scales, seeds, guidance_schedule, steps, model, axis, values)

        def chosen() -> Generator[tuple, None, None]:
            made = conditions_of(session, guidance_scales, guidance_schedule, steps, model, axis, values)
            return draw(session, prompt, made, read_seeds(session, seeds), model)

        yield from turns.in_lane(session, found, 4, chosen, request, "Stopped; the cells stay as they are.")

    return sweep
