"""Settings that come back into the inputs: from a picture made here, and from a link."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ldm_core.recipe import Recipe, read_png

from . import controls, over_time
from .links import read_link
from .session import RULES_OFFERED, Session, size_text
from .uploads import check_upload


def dropped(session: Session, names: Sequence[str], path: str) -> list[object]:
    """The inputs with the settings that a picture carries, choices of its model among them; or in words why not."""
    try:
        *values, words = restore(session, names, path)
    except gr.Error as error:
        return [*[gr.skip()] * len(names), f"Not restored. {error.message}", gr.skip(), gr.skip()]
    return filled_in(session, names, values, str(words))


def linked(session: Session, names: Sequence[str]) -> Callable[[gr.Request], list[object]]:
    """What fills the inputs as the link says by which the page was opened."""
    untouched: list[object] = [gr.skip()] * len(names)

    def fill(request: gr.Request) -> list[object]:
        query = {name: value for name, value in request.query_params.items() if name in names}
        if not query:
            return [*untouched, gr.skip(), gr.skip(), gr.skip()]
        values, wrong = read_link(session, names, query)
        if wrong:
            return [*untouched, f"The link's settings are not taken. {html.escape(wrong)}", gr.skip(), gr.skip()]
        return filled_in(session, names, values, "These are the link's settings. Press Draw to make its picture.")

    return fill


def filled_in(session: Session, names: Sequence[str], values: list[Any], words: str) -> list[object]:
    """Settings for the inputs, with the choices of their model; words for the status; its header and vocabulary."""
    found = controls.defaults_of(session, str(values[names.index("model")]))
    for name in ("size", "scheduler"):
        place = names.index(name)
        values[place] = gr.Dropdown(choices=found[name].choices, value=str(values[place]))  # type: ignore[attr-defined]  # only inputs with choices are here
    return [*values, words, found["header"], found["words"]]


def restore(session: Session, names: Sequence[str], path: str) -> list[object]:
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
        "guidance_rule": own.guidance.rule if own.guidance.rule in RULES_OFFERED else "cfg",
    }
    given = [values[name] for name in names]
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
    offered = offered and own.guidance.rule in RULES_OFFERED
    if not recipe.is_of_model(now) or recipe.vae or recipe.lora or recipe.control or recipe.task or not offered:
        return "Restored, as far as this page goes: it was made with another model or with settings that are not offered here."
    if recipe.changes_since(now):
        return (
            "Restored. It was made by other versions, engine or device: the picture will be very close, not the same."
        )
    return "Restored. Press Draw to make the same picture again."
