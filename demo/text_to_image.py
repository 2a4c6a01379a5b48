"""Text to image: from a visitor's settings to pictures that form before the eyes; the endpoint /generate."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import gradio as gr
from PIL import Image

from ldm_core.images import to_pil
from ldm_core.settings import SamplingSettings

from . import controls, over_time, turns
from .prompt_words import prompt_words
from .session import Session, size_of, size_text, sizes
from .zero_gpu import lent

PREVIEW_EVERY = 3  # steps
NAMES = [part.name for part in dataclasses.fields(controls.Settings)]


def alt_of(prompt: object) -> str:
    """What a picture is, to who cannot see it."""
    return f"Made from the prompt: {prompt}"[:300]


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
        if values["scheduler"] == session.model.scheduler_name:  # few-step models are taught the steps of one
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
