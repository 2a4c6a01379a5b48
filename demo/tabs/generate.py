"""The tab "Draw": inputs, the picture and what is done when; what draws is text_to_image."""

from __future__ import annotations

import functools

import gradio as gr
from gradio.context import Context

from .. import carried, controls, links, recall, turns
from ..session import Session
from ..text_to_image import NAMES, alt_of, handler, opening, problems
from ..uploads import picture_input

FEW_STEPS = 4  # of a model that draws while one types
# What choosing a model sets.
CHOSEN = ("prompt", "steps", "guidance_scale", "size", "words", "prompts", "scheduler", "header")
SHOWN = 384  # pixels: previews and results are enlarged in the browser, never in the file
OPENED = "An example, drawn as the page began; your picture takes its place."


def build(session: Session, head: gr.Markdown) -> None:
    """The tab's inputs, picture and events."""
    with gr.Row(elem_classes="stage"):
        with gr.Column(elem_classes="ask"):
            prompt = controls.prompt_box(session)
            with gr.Row(elem_classes="buttons"):
                go, stop = gr.Button("Draw", variant="primary", min_width=96), gr.Button("Stop", min_width=72)
                link = gr.Button("Link", min_width=72)
            as_typed = typing_switch(session)
        with gr.Column(elem_classes="shown"):
            shown = _shown(session)
        with gr.Column(elem_classes="more"):
            words = controls.vocabulary(session.model.spec)
            prompts = controls.prompts_to_try(session, prompt)
            seed, pictures, scale = controls.seed_row(session), controls.how_many(), controls.scale_slider(session)
            with gr.Accordion("Advanced", open=False):
                settings = controls.advanced(session, prompt, seed, scale, pictures)
            with gr.Accordion("Go on from a picture made here", open=False):
                earlier = picture_input(
                    height=140, label="A PNG from this page: its settings come back", elem_id="earlier"
                )
    _, status, _ = shown
    _draw_when_asked(session, settings, shown, go, as_typed)
    link.click(None, settings.inputs, status, js=links.browser("copy", NAMES), **controls.QUIET)
    stop.click(turns.stopping(session), None, status, **controls.QUIET)
    filled = [*settings.inputs, status, head, words]
    earlier.upload(functools.partial(recall.dropped, session, NAMES), earlier, filled, **controls.QUIET)
    _bring_back(session, settings, filled)
    _follow(session, head, settings, words, prompts)


def _shown(session: Session) -> tuple[gr.Image, gr.Markdown, gr.Gallery]:
    """What a drawing fills: its first picture, words, and all pictures where they are several."""
    first = opening(session)
    picture = gr.Image(
        first,
        label="Picture",
        format="png",
        interactive=False,
        buttons=["download", "fullscreen"],
        height=SHOWN + 40,
        elem_id="picture",
        alt_text=alt_of(controls.EXAMPLES[session.model.spec.world][0]),
    )
    several = gr.Gallery(
        label="All pictures",
        format="png",
        interactive=False,
        columns=2,
        height="auto",
        object_fit="contain",
        buttons=["download", "fullscreen"],
        elem_id="pictures",
    )
    status = gr.Markdown(OPENED if first else "", label="Status", elem_id="status", elem_classes="status")
    gr.HTML(links.KEPT, label="Drawn before")
    return picture, status, several


def _draw_when_asked(
    session: Session,
    settings: controls.Settings,
    shown: tuple[gr.Image, gr.Markdown, gr.Gallery],
    go: gr.Button,
    as_typed: gr.Button,
) -> None:
    """A click, Enter, and with the switch on a pause in typing draw."""
    picture, status, _ = shown
    drawing = functools.partial(
        gr.on,
        fn=handler(session),
        inputs=settings.inputs,
        outputs=list(shown),
        validator=turns.validator(session, functools.partial(problems, session), NAMES),
        **turns.on_device(status),
    )
    prompt = settings.prompt
    asked = drawing([go.click], api_name="generate"), drawing([prompt.submit], api_visibility="private")
    # One picture, of the newest words alone, and none of them goes among those drawn before.
    typed = drawing(
        [as_typed.click],
        fn=handler(session, while_typing=True),
        inputs=settings.inputs[:-1],
        validator=turns.validator(session, functools.partial(problems, session), NAMES[:-1]),
        trigger_mode="always_last",
        api_visibility="private",
    )
    for drawn in (*asked, typed):
        drawn.success(lambda text: gr.Image(alt_text=alt_of(text)), prompt, picture, **controls.QUIET)
    for drawn in asked:
        drawn.success(None, None, None, js=links.browser("keep", NAMES), **controls.QUIET)
    gr.on([go.click, prompt.submit], None, settings.inputs, None, js=links.browser("asked", NAMES), **controls.QUIET)


def _follow(
    session: Session, head: gr.Markdown, settings: controls.Settings, words: gr.Markdown, prompts: gr.Dataset
) -> None:
    """Inputs that change with the model, and go with a visitor from tab to tab."""
    settings.model.input(
        functools.partial(choose_model, session),
        settings.model,
        [
            settings.prompt,
            settings.steps,
            settings.guidance_scale,
            settings.size,
            words,
            prompts,
            settings.scheduler,
            head,
        ],
        **controls.QUIET,
    )
    tab = carried.carry(NAMES, settings.inputs)
    carried.name_model(session, tab, head, settings.model)
    settings.model.change(
        functools.partial(fit_model, session),
        [settings.model, settings.size, settings.scheduler],
        [settings.size, settings.scheduler, words, prompts, head],
        **controls.QUIET,
    )


def _bring_back(session: Session, settings: controls.Settings, filled: list[gr.components.Component]) -> None:
    """Settings that the browser hands over: as the page is opened, and when a picture drawn before is clicked."""
    given = [gr.Textbox("", visible=False, label=label) for label in ("Settings", "Whence")]
    fill = recall.recalled(session, NAMES, [box.value for box in settings.inputs])
    given = [controls.as_given(box) for box in given]
    page = Context.root_block
    assert page is not None, "inputs are made within a page"
    page.load(fill, given, filled, js=links.OPENED, **controls.QUIET)
    button = gr.Button("Settings of a picture", visible="hidden", elem_id="recall")
    button.click(fill, given, filled, js="() => window.drawings.recalled()", **controls.QUIET)


def typing_switch(session: Session) -> gr.Button:
    """A switch, offered where a picture is quick; and what page.js presses when it is on and the visitor pauses in typing."""
    spec = session.model.spec
    gr.Checkbox(
        False,
        label="Draw while I type",
        visible=spec.embedded or spec.steps <= FEW_STEPS,
        container=False,
        elem_id="while-typing",
    )
    return gr.Button("Draw as typed", visible="hidden", elem_id="as-typed")


def choose_model(session: Session, name: str) -> list[object]:
    """Another model's own settings, words and prompts."""
    if name not in session.specs:
        raise gr.Error(f"The model must be one of {', '.join(session.specs)}.", title="Not chosen")
    found = controls.defaults_of(session, name)
    return [found[key] for key in CHOSEN]


def fit_model(session: Session, name: object, size: object, scheduler: object) -> list[object]:
    """The choices, words and prompts of a model that came with a visitor from another tab; size and scheduler stay where it
    has them."""
    if not isinstance(name, str) or name not in session.specs:
        return [gr.skip()] * 5
    found = controls.defaults_of(session, name)
    kept: list[object] = []
    for given, box in ((size, found["size"]), (scheduler, found["scheduler"])):
        known = [str(value) for _, value in box.choices]  # type: ignore[attr-defined]  # both are dropdowns
        kept.append(gr.Dropdown(choices=known, value=given if isinstance(given, str) and given in known else known[0]))
    return [*kept, found["words"], found["prompts"], found["header"]]
