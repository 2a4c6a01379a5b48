"""A sweep as a visitor asks for it: what is wrong with it, in words, and what it will cost, by the same check."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from evaluation.generation.axes import Condition

from .session import Session, size_text
from .sweep_axes import (
    AXES,
    SCALE,
    SEED,
    Directions,
    axes_of,
    axis_of,
    conditions_of,
    held_scale,
    read_scales,
    read_seeds,
)


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
    second_axis: Any = SEED,
    second_values: object = "",
) -> dict[str, str]:
    """What is wrong with a visitor's settings, in words by their names; empty where nothing is."""
    name = model if isinstance(model, str) and model in session.specs else session.model.spec.reference
    spec = session.specs[name]
    size, own = (spec.width, spec.height), session.schedulers(name)[0]
    found = session.problems(prompt, "", 0, steps, 1.0, own, guidance_schedule, size_text(size), model)
    directions = Directions(axis, values, second_axis, second_values)
    readers: dict[str, Callable[[], object]] = {
        "guidance_scales": lambda: read_scales(session, guidance_scales),
        "seeds": lambda: read_seeds(session, seeds),
    }
    for asked, given in (("axis", axis), ("second_axis", second_axis)):
        if not isinstance(given, str) or given not in AXES:
            found[asked] = f"The sweep must be of one of {', '.join(AXES)}."
    if not found:
        readers |= _value_readers(session, guidance_scales, name, directions, prompt)
    for asked, read in readers.items():
        try:
            read()
        except ValueError as error:
            found[asked] = str(error)
    if not found:
        made = conditions_of(session, guidance_scales, guidance_schedule, steps, name, directions)
        asked = "guidance_scales" if values == "" else "values"
        found = too_many(session, made, len(read_seeds(session, seeds)), size, asked)
    return found


def _value_readers(
    session: Session, guidance_scales: object, model: str, directions: Directions, prompt: str
) -> dict[str, Callable[[], object]]:
    """What reads the values of each direction, by the name of the input where its complaint belongs."""
    readers: dict[str, Callable[[], object]] = {}
    for asked, (axis, values) in zip(("values", "second_values"), directions.both):
        if axis != SEED and not (axis == SCALE and values == ""):
            readers[asked] = functools.partial(axis_of, session, guidance_scales, model, axis, values, prompt)
    if SEED not in (directions.axis, directions.second_axis):
        readers["second_axis"] = functools.partial(_both, session, guidance_scales, model, directions, prompt)
    return readers


def _both(session: Session, guidance_scales: object, model: str, directions: Directions, prompt: str) -> None:
    """ValueError where the two directions of a sweep decide the same; what is wrong with one of them is said elsewhere."""
    try:
        for axis, values in directions.both:
            axis_of(session, guidance_scales, model, axis, values, prompt)
    except ValueError:
        return
    axes_of(session, guidance_scales, model, directions, prompt)


def too_many(
    session: Session, made: Sequence[Condition], seeds: int, size: tuple[int, int], asked: str
) -> dict[str, str]:
    """In words by the name of an input, where a sweep is more than one request may be: each cell counts by its own steps."""
    if len(made) * seeds > session.limits.cells:
        return {asked: f"Values times seeds may be {session.limits.cells} pictures at the most."}
    words = session.too_much(size, sum(condition.settings.steps or 0 for condition in made), seeds)
    return {"steps": words} if words else {}


def cost_words(
    session: Session,
    scales: object,
    seeds: object,
    steps: Any,
    model: Any,
    axis: Any = SCALE,
    values: object = "",
    schedule: Any = "constant",
    second_axis: Any = SEED,
    second_values: object = "",
    prompt: Any = "",
) -> str:
    """What a sweep will cost, before it starts; or why it may not, by the very check that is made then."""
    found = problems(session, prompt, scales, seeds, schedule, steps, model, axis, values, second_axis, second_values)
    if found:
        return " ".join(found.values())
    directions = Directions(axis, values, second_axis, second_values)
    made = conditions_of(session, scales, schedule, steps, model, directions)
    count = len(made) * len(read_seeds(session, seeds))
    held = "" if SCALE in (axis, second_axis) else f" at w = {held_scale(session, scales, model):g}"
    pictures = f"{count} picture{'s' if count > 1 else ''}{held}"
    known, rows = session.seconds_per_row.get(model), count / len(made) * sum(_rows(condition) for condition in made)
    return f"{pictures}, about {rows * known:.0f} s" if known else pictures


def _rows(condition: Condition) -> int:
    """Network rows of one picture, the guidance on all the time."""
    return (1 if condition.guidance_scale in (0, 1) else 2) * (condition.settings.steps or 0)
