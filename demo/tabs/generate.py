"""Text to image: the picture forms before the visitor's eyes."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import gradio as gr
from gradio.context import Context
from PIL import Image

from ldm_core.images import to_pil
from ldm_core.settings import SamplingSettings

from .. import carried, controls, links, over_time, recall, turns
from ..prompt_words import prompt_words
from ..session import Session, size_of, size_text, sizes
from ..uploads import picture_input
from ..zero_gpu import lent

PREVIEW_EVERY = 3  # steps
FEW_STEPS = 4  # of a model that draws while one types
NAMES = [part.name for part in dataclasses.fields(controls.Settings)]
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


def alt_of(prompt: object) -> str:
    """What a picture is, to who cannot see it."""
    return f"Made from the prompt: {prompt}"[:300]


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


def opening(session: Session) -> Image.Image | None:
    """The picture that is there when the page opens: the first example, drawn by a model that ships and is quick."""
    spec = session.model.spec
    if not spec.embedded:
        return None
    prompt = controls.EXAMPLES[spec.world][0]
    *_, (picture, *_) = draw(session, prompt, controls.FIRST_SEED, SamplingSettings(), spec.reference)
    return picture


def followed(session: Session, given: Sequence[Any]) -> list[Any]:
    """The values of an endpoint's parameters; size and scheduler left as the page's model has them are the chosen model's own,
    so that a script which names another model need not name these too."""
    values, spec = dict(zip(NAMES, given)), session.model.spec
    name = values["model"]
    if isinstance(name, str) and name in session.specs and name != spec.reference:
        chosen = session.specs[name]
        if values["size"] == size_text((spec.width, spec.height)):
            values["size"] = size_text(sizes(chosen)[0])
        if values["scheduler"] == session.model.scheduler_name and values["scheduler"] not in session.schedulers(name):
            values["scheduler"] = session.schedulers(name)[0]
    return list(values.values())


def problems(session: Session, *given: Any) -> dict[str, str]:
    """What is wrong with a visitor's settings, in words by their names; empty where nothing is."""
    return session.problems(*followed(session, given))


def quicker(session: Session, name: str, steps: int) -> tuple[str, int]:
    """The model that draws the same in a few steps, where one is on offer, and its steps; else as they are."""
    few = session.specs.get(f"{name}-turbo")
    return (few.reference, few.steps) if few is not None else (name, steps)


def handler(session: Session, while_typing: bool = False) -> Callable[..., Iterator]:
    """The endpoint /generate; and what draws while the visitor types, by the quicker model."""
    spec = session.model.spec

    def generate(
        prompt: str,
        negative_prompt: str = "",
        seed: int = 7,
        steps: int = spec.steps,
        guidance_scale: float = spec.guidance_scale,
        scheduler: str = session.model.scheduler_name,
        guidance_schedule: str = "constant",
        size: str = size_text((spec.width, spec.height)),
        model: str = spec.reference,
        guidance_rule: str = "cfg",
        substitute: bool = True,
        pictures: int = 1,
        request: gr.Request | None = None,
    ) -> Iterator[tuple]:
        if while_typing:
            model, steps = quicker(session, model, steps)
        given = (
            prompt,
            negative_prompt,
            seed,
            steps,
            guidance_scale,
            scheduler,
            guidance_schedule,
            size,
            model,
            guidance_rule,
            substitute,
            pictures,
        )

        def chosen() -> Generator[tuple, None, None]:
            own = dict(zip(NAMES, followed(session, given)))
            width, height = size_of(own["size"])
            settings = SamplingSettings.of(
                steps=int(steps),
                scheduler=own["scheduler"],
                negative_prompt=negative_prompt,
                guidance_scale=guidance_scale,
                **over_time.OVER_TIME[guidance_schedule],
                guidance_rule=guidance_rule,
                substitute=substitute,
                height=height,
                width=width,
            )
            return draw(session, prompt, int(seed), settings, model, pictures)

        found = problems(session, *given)
        yield from turns.in_lane(session, found, 3, chosen, request, "Stopped; the last preview stays.")

    return generate


@lent
def draw(
    session: Session, prompt: str, seed: int, settings: SamplingSettings, name: str, count: int = 1
) -> Generator[tuple, None, None]:
    """Previews of the predicted clean latents, then the pictures of so many seeds from `seed` on, each with its recipe inside:
    the first, words, and all of them."""
    model, began = session.model_of(name), time.perf_counter()
    rows, seeds = model.network_rows, range(seed, seed + count)
    for state in model.denoise([prompt] * count, list(seeds), settings=settings):
        if state.step % PREVIEW_EVERY == 0 and state.step + 1 < state.steps:
            forming = [to_pil(image) for image in model.decode(state.clean)]
            yield forming[0], turns.step_words(state, began), named(forming, seeds) if count > 1 else gr.skip()
    session.seconds_per_row.setdefault(name, (time.perf_counter() - began) / (model.network_rows - rows))
    pictures = [to_pil(image) for image in model.decode(state.latent)]
    for own, picture in zip(seeds, pictures):
        picture.info.update(model.recipe(prompt, own, settings).to_png_text())
    which = f"Seed {seed}" if count == 1 else f"Seeds {seed} to {seeds[-1]}"
    each = "The PNG carries its recipe." if count == 1 else "Each PNG carries its recipe."
    read = prompt_words(model, prompt, settings, controls.EXAMPLES[model.spec.world][0])
    by = "" if name == session.model.spec.reference else f" by {name}"
    words = f"{which}, {time.perf_counter() - began:.1f} s{by}. {each} {read}".strip()
    yield pictures[0], words, named(pictures, seeds)


def named(pictures: Sequence[Image.Image], seeds: Sequence[int]) -> list[tuple[Image.Image, str]]:
    """Pictures as a gallery shows them, each with its seed."""
    return [(picture, f"seed {seed}") for picture, seed in zip(pictures, seeds)]
