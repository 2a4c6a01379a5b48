"""The endpoints of "How it works": what each refuses, and its turn on the device."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from . import lessons, turns
from .controls import FIRST_SEED
from .session import Session, size_text
from .uploads import check_upload

# The parameters of each, in their order.
NAMES = {
    "watch": ("prompt", "seed", "guidance_scale"),
    "noising": ("prompt", "seed"),
    "between": ("first_prompt", "second_prompt", "first_seed", "second_seed"),
    "factors": ("photo",),
}


def problems(session: Session, names: Sequence[str], *given: Any) -> dict[str, str]:
    """What is wrong with a visitor's settings, in words by their names; empty where nothing is."""
    spec, found = session.model.spec, {}
    usual: dict[str, Any] = {"prompt": "", "seed": 0, "guidance_scale": spec.guidance_scale}
    for name, value in zip(names, given):
        if name == "photo":
            found[name] = check_upload(value, session.limits.megapixels)
            continue
        asked = next(each for each in usual if name.endswith(each))
        wrong = session.problems(
            **(usual | {asked: value}),
            negative_prompt="",
            steps=spec.steps,
            scheduler=session.model.scheduler_name,
            guidance_schedule="constant",
            size=size_text((spec.width, spec.height)),
            model=spec.reference,
        )
        found[name] = wrong.get(asked, wrong.get("steps", ""))
    if "first_prompt" in names and not any(found.values()):
        found[names[0]] = session.too_much((spec.width, spec.height), spec.steps, lessons.BETWEEN)
    return {name: words for name, words in found.items() if words}


def _turn(session: Session, endpoint: str, draw: Callable, given: tuple, request: gr.Request | None) -> Iterator[tuple]:
    """An endpoint's view and words, when its turn on the device comes; seeds are whole numbers by then."""
    names = NAMES[endpoint]
    found = problems(session, names, *given)
    whole = (int(value) if name.endswith("seed") and not found else value for name, value in zip(names, given))
    drawn = functools.partial(draw, session, *whole)
    yield from turns.in_lane(session, found, 2, drawn, request, "Stopped; what there was stays.")


def watch(session: Session) -> Callable[..., Iterator]:
    """The endpoint /watch."""
    own = session.model.spec.guidance_scale

    def watched(
        prompt: str, seed: int = FIRST_SEED, guidance_scale: float = own, request: gr.Request | None = None
    ) -> Iterator[tuple]:
        yield from _turn(session, "watch", lessons.watch, (prompt, seed, guidance_scale), request)

    return watched


def noising(session: Session) -> Callable[..., Iterator]:
    """The endpoint /noising."""

    def noised(prompt: str, seed: int = FIRST_SEED, request: gr.Request | None = None) -> Iterator[tuple]:
        yield from _turn(session, "noising", lessons.noise_away, (prompt, seed), request)

    return noised


def between(session: Session) -> Callable[..., Iterator]:
    """The endpoint /between."""

    def led(
        first_prompt: str,
        second_prompt: str,
        first_seed: int = FIRST_SEED,
        second_seed: int = FIRST_SEED + 1,
        request: gr.Request | None = None,
    ) -> Iterator[tuple]:
        given = (first_prompt, second_prompt, first_seed, second_seed)
        yield from _turn(session, "between", lessons.between, given, request)

    return led


def factors(session: Session) -> Callable[..., Iterator]:
    """The endpoint /factors."""

    def shrunk(photo: str, request: gr.Request | None = None) -> Iterator[tuple]:
        yield from _turn(session, "factors", lessons.by_factor, (photo,), request)

    return shrunk


HANDLERS = {"watch": watch, "noising": noising, "between": between, "factors": factors}
