"""Text to image: the picture forms before the visitor's eyes."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import gradio as gr
from PIL import Image

from ldm_core.images import to_pil
from ldm_core.settings import SamplingSettings

from .. import controls, links, over_time, recall, turns
from ..prompt_words import prompt_words
from ..session import Session, size_of, size_text, sizes
from ..uploads import picture_input
from ..zero_gpu import lent

PREVIEW_EVERY = 3  # steps
NAMES = [part.name for part in dataclasses.fields(controls.Settings)]
# What choosing a model sets.
CHOSEN = ("prompt", "steps", "guidance_scale", "size", "words", "prompts", "scheduler", "header")
SHOWN = 384  # pixels: previews and results are enlarged in the browser, never in the file
OPENED = "Drawn as the page began, from the prompt that stands there. Your picture appears in its place."


def build(session: Session, head: gr.Markdown) -> None:
    """The tab's inputs, picture and events."""
    with gr.Row(elem_classes="stage"):
        with gr.Column(elem_classes="ask"):
            prompt = controls.prompt_box(session)
            with gr.Row(elem_classes="buttons"):
                go, stop = gr.Button("Draw", variant="primary", min_width=96), gr.Button("Stop", min_width=72)
                link = gr.Button("Link", min_width=72)
        with gr.Column(elem_classes="shown"):
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
            status = gr.Markdown(OPENED if first else "", label="Status", elem_id="status", elem_classes="status")
            gr.HTML(links.KEPT, label="Drawn before")
        with gr.Column(elem_classes="more"):
            words = controls.vocabulary(session.model.spec)
            prompts = controls.prompts_to_try(session, prompt)
            seed, scale = controls.seed_row(session), controls.scale_slider(session)
            with gr.Accordion("Advanced", open=False):
                settings = controls.advanced(session, prompt, seed, scale)
            with gr.Accordion("Go on from a picture made here", open=False):
                earlier = picture_input(
                    height=140, label="A PNG from this page: its settings come back", elem_id="earlier"
                )
    drawing = functools.partial(
        gr.on,
        fn=handler(session),
        inputs=settings.inputs,
        outputs=[picture, status],
        validator=turns.validator(session, functools.partial(problems, session), NAMES),
        **turns.on_device(status),
    )
    for drawn in (
        drawing([go.click], api_name="generate"),
        drawing([prompt.submit], api_visibility="private"),
    ):
        drawn.success(lambda text: gr.Image(alt_text=alt_of(text)), prompt, picture, **controls.QUIET)
        drawn.success(None, None, None, js=links.browser("keep", NAMES), **controls.QUIET)
    gr.on([go.click, prompt.submit], None, settings.inputs, None, js=links.browser("asked", NAMES), **controls.QUIET)
    link.click(None, settings.inputs, status, js=links.browser("copy", NAMES), **controls.QUIET)
    filled = [*settings.inputs, status, head, words]
    gr.on(None, recall.linked(session, NAMES), None, filled, **controls.QUIET)  # as the page is opened
    stop.click(turns.stopping(session), None, status, **controls.QUIET)
    settings.model.input(
        functools.partial(choose_model, session),
        settings.model,
        [prompt, settings.steps, scale, settings.size, words, prompts, settings.scheduler, head],
        **controls.QUIET,
    )
    earlier.upload(functools.partial(recall.dropped, session, NAMES), earlier, filled, **controls.QUIET)


def alt_of(prompt: object) -> str:
    """What a picture is, to who cannot see it."""
    return f"Made from the prompt: {prompt}"[:300]


def choose_model(session: Session, name: str) -> list[object]:
    """Another model's own settings, words and prompts."""
    if name not in session.specs:
        raise gr.Error(f"The model must be one of {', '.join(session.specs)}.", title="Not chosen")
    found = controls.defaults_of(session, name)
    return [found[key] for key in CHOSEN]


def opening(session: Session) -> Image.Image | None:
    """The picture that is there when the page opens: the first example, drawn by a model that ships and is quick."""
    spec = session.model.spec
    if not spec.embedded:
        return None
    prompt = controls.EXAMPLES[spec.world][0]
    *_, (picture, _) = draw(session, prompt, controls.FIRST_SEED, SamplingSettings(), spec.reference)
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


def handler(session: Session) -> Callable[..., Iterator]:
    """The endpoint /generate."""
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
        request: gr.Request | None = None,
    ) -> Iterator[tuple[Image.Image, str]]:
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
            return draw(session, prompt, int(seed), settings, model)

        found = problems(session, *given)
        yield from turns.in_lane(session, found, 2, chosen, request, "Stopped; the last preview stays.")

    return generate


@lent
def draw(
    session: Session, prompt: str, seed: int, settings: SamplingSettings, name: str
) -> Generator[tuple[Image.Image, str], None, None]:
    """Previews of the predicted clean latent, then the picture with its recipe inside."""
    model, began = session.model_of(name), time.perf_counter()
    rows = model.network_rows
    for state in model.denoise(prompt, seed, settings=settings):
        if state.step % PREVIEW_EVERY == 0 and state.step + 1 < state.steps:
            yield to_pil(model.decode(state.clean)[0]), turns.step_words(state, began)
    session.seconds_per_row.setdefault(name, (time.perf_counter() - began) / (model.network_rows - rows))
    picture = to_pil(model.decode(state.latent)[0])
    picture.info.update(model.recipe(prompt, seed, settings).to_png_text())
    read = prompt_words(model, prompt, settings, controls.EXAMPLES[model.spec.world][0])
    yield picture, f"Seed {seed}, {time.perf_counter() - began:.1f} s. The PNG carries its recipe. {read}".strip()
