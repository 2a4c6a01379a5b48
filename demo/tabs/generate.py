"""Text to image: the picture forms before the visitor's eyes."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ldm_core.images import to_pil
from ldm_core.recipe import Recipe, read_png
from ldm_core.settings import SamplingSettings

from .. import controls, over_time
from ..session import Session, size_of, size_text
from ..uploads import check_upload

PREVIEW_EVERY = 3  # steps
NAMES = [part.name for part in dataclasses.fields(controls.Settings)]
CHOSEN = ("prompt", "steps", "guidance_scale", "size", "words", "prompts", "scheduler")  # what choosing a model sets
SHOWN = 384  # pixels: previews and results are enlarged in the browser, never in the file


def build(session: Session) -> None:
    """The tab's inputs, picture and events."""
    with gr.Row(elem_classes="stage"):
        with gr.Column(scale=5):
            picture = gr.Image(
                opening(session),
                label="Picture",
                format="png",
                interactive=False,
                buttons=["download", "fullscreen"],
                height=SHOWN + 40,
                elem_id="picture",
                alt_text="The generated picture",
            )
            status = gr.Markdown(controls.WHAT_IT_DRAWS[session.model.spec.world], elem_id="status")
        with gr.Column(scale=4):
            prompt = controls.prompt_box(session)
            with gr.Row():
                go, stop = gr.Button("Draw", variant="primary", min_width=96), gr.Button("Stop", min_width=96)
            seed, scale = controls.seed_row(session), controls.scale_slider(session)
            prompts = controls.prompts_to_try(session, prompt)
            with gr.Accordion("Advanced", open=False):
                settings = controls.advanced(session, prompt, seed, scale)
            with gr.Accordion("Go on from a picture made here", open=False):
                earlier = gr.Image(
                    type="filepath",
                    image_mode=None,
                    sources=["upload", "clipboard"],
                    height=140,
                    buttons=[],
                    label="A PNG from this page: its settings come back",
                    elem_id="earlier",
                )
    shared: dict[str, Any] = {
        "concurrency_id": "device",
        "concurrency_limit": 1,
        "show_progress": "minimal",
        "show_progress_on": [status],
    }
    drawing = [
        trigger(
            handler(session),
            settings.inputs,
            [picture, status],
            api_name="generate" if trigger == go.click else None,
            api_visibility="public" if trigger == go.click else "private",
            validator=controls.validator(session, session.problems, NAMES),
            **shared,
        )
        for trigger in (go.click, prompt.submit)
    ]
    stop.click(
        controls.stopped(session, "Stopped; the last preview stays."),
        None,
        status,
        cancels=drawing,  # type: ignore[arg-type]  # gradio's hints leave out its own Dependency
        **controls.QUIET,
    )
    settings.model.input(
        functools.partial(choose_model, session),
        settings.model,
        [prompt, settings.steps, scale, settings.size, status, prompts, settings.scheduler],
        **controls.QUIET,
    )
    earlier.upload(functools.partial(restore, session), earlier, [*settings.inputs, status], **controls.QUIET)


def choose_model(session: Session, name: str) -> list[object]:
    """Another model's own settings, words and prompts."""
    if name not in session.specs:
        raise gr.Error(f"The model must be one of {', '.join(session.specs)}.", title="Not chosen")
    found = controls.defaults_of(session, name)
    return [found[key] for key in CHOSEN]


def restore(session: Session, path: str) -> list[object]:
    """The settings that a picture carries, for the inputs, and in words whether it can be made again here."""
    if problem := check_upload(path, session.limits.megapixels):
        raise gr.Error(problem, title="Not restored")
    try:
        recipe = read_png(Path(path))
    except (ValueError, OSError):
        words = "This picture carries no recipe. A PNG that was downloaded from this page does; a screenshot or a JPEG does not."
        raise gr.Error(words, title="Not restored") from None
    own = recipe.settings
    values = own.flat() | {
        "prompt": recipe.prompt,
        "seed": recipe.seed,
        "guidance_schedule": over_time.name_of(own) or own.guidance.schedule,
        "size": size_text((own["width"], own["height"])),
        "model": recipe.model,
    }
    given = [values[name] for name in NAMES]
    if wrong := session.problems(*given):
        raise gr.Error(" ".join(wrong.values()), title="Not restored")
    return [*given, restored_words(session, recipe)]


def restored_words(session: Session, recipe: Recipe) -> str:
    """Whether drawing now gives the very same picture, as far as can be known beforehand."""
    loaded = session.models.get(recipe.model)
    if loaded is None:
        return "Restored. Press Draw to make it again."
    now = loaded.recipe(recipe.prompt, recipe.seed)
    own = recipe.settings
    offered = over_time.name_of(own) is not None and not own.guidance.rescale and own.rows_per_call is None
    same = recipe.weights == now.weights and recipe.configs in ("", now.configs)
    if not same or recipe.vae or recipe.lora or not offered:
        return "Restored, as far as this page goes: it was made with another model or with settings that are not offered here."
    if any(getattr(recipe, name) != getattr(now, name) for name in ("dtype", "device", "engine", "versions")):
        return (
            "Restored. It was made by other versions, engine or device: the picture will be very close, not the same."
        )
    return "Restored. Press Draw to make the same picture again."


def opening(session: Session) -> Image.Image | None:
    """The picture that is there when the page opens: the first example, drawn by a model that ships and is quick."""
    spec = session.model.spec
    if not spec.embedded:
        return None
    prompt = controls.EXAMPLES[spec.world][0]
    *_, (picture, _) = draw(session, prompt, controls.FIRST_SEED, SamplingSettings(), spec.reference)
    return picture


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
        request: gr.Request | None = None,
    ) -> Iterator[tuple[Image.Image, str]]:
        given = (prompt, negative_prompt, seed, steps, guidance_scale, scheduler, guidance_schedule, size, model)

        def chosen() -> Iterator[tuple[Image.Image, str]]:
            width, height = size_of(size)
            settings = SamplingSettings.of(
                steps=int(steps),
                scheduler=scheduler,
                negative_prompt=negative_prompt,
                guidance_scale=guidance_scale,
                **over_time.OVER_TIME[guidance_schedule],
                height=height,
                width=width,
            )
            return draw(session, prompt, int(seed), settings, model)

        yield from controls.in_lane(session, session.problems(*given), 2, chosen, request)

    return generate


def draw(
    session: Session, prompt: str, seed: int, settings: SamplingSettings, name: str
) -> Iterator[tuple[Image.Image, str]]:
    """Previews of the predicted clean latent, then the picture with its recipe inside."""
    model, began = session.model_of(name), time.perf_counter()
    rows = model.network_rows
    for state in model.denoise(prompt, seed, settings=settings):
        if state.step % PREVIEW_EVERY == 0 and state.step + 1 < state.steps:
            yield to_pil(model.decode(state.clean)[0]), controls.step_words(state, began)
    session.seconds_per_row.setdefault(name, (time.perf_counter() - began) / (model.network_rows - rows))
    picture = to_pil(model.decode(state.latent)[0])
    picture.info.update(model.recipe(prompt, seed, settings).to_png_text())
    unseen = model.unseen_words([prompt])
    words = f" This model has never seen: {', '.join(unseen)}." if unseen else ""
    yield picture, f"Seed {seed}, {time.perf_counter() - began:.1f} s. The PNG carries its recipe.{words}"
