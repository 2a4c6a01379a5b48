"""Settings that come back into the inputs: from a picture made here, from a link, and from before a reload."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ldm_core.recipe import Recipe, read_png

from . import controls, over_time
from .links import link_to, query_of, read_link
from .session import RULES_OFFERED, Session, size_text
from .uploads import check_upload

NAMED = 3  # differences between where a picture was made and here


def dropped(session: Session, names: Sequence[str], path: str) -> list[object]:
    """The inputs with the settings that a picture carries, choices of its model among them; or in words why not."""
    try:
        *values, words = restore(session, names, path)
    except gr.Error as error:
        return [*[gr.skip()] * len(names), f"Not restored. {error.message}", gr.skip(), gr.skip()]
    return filled_in(session, names, values, str(words))


# Where settings come from that the browser hands over, and what is then said.
WHENCE = {
    "link": "These are the link's settings. Press Draw to make its picture.",
    "kept": "These are your settings of before. Press Draw to make their picture.",
    "picture": "These are that picture's settings. Press Draw to make it again.",
}


def recalled(
    session: Session, names: Sequence[str], defaults: Sequence[object]
) -> Callable[[object, object], list[object]]:
    """What fills the inputs with settings that the browser hands over: those of the link by which the page was opened, of
    the visitor's form before a reload, or of a picture drawn before. `defaults` are the inputs' own values."""
    own = dict(zip(names, defaults))
    untouched: list[object] = [gr.skip()] * (len(names) + 3)

    def fill(text: object, whence: object) -> list[object]:
        query = query_of(text, names)
        if not query or not isinstance(whence, str) or whence not in WHENCE:
            return untouched
        kept = whence == "kept"
        if kept:  # what was not touched then is as it is now
            query = {"prompt": str(own["prompt"]), "seed": str(own["seed"])} | query
        values, wrong = read_link(session, names, query)
        if kept and (wrong or values == list(defaults)):
            return untouched
        if wrong:
            words = f"The link's settings are not taken. {html.escape(wrong)}"
            return [*untouched[: len(names)], words, gr.skip(), gr.skip()]
        return filled_in(session, names, values, WHENCE[whence])

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
    values = values_of(recipe)
    given = [values[name] for name in names]
    if wrong := session.problems(*given):
        raise gr.Error(" ".join(wrong.values()), title="Not restored")
    return [*given, restored_words(session, recipe)]


def values_of(recipe: Recipe) -> dict[str, Any]:
    """A recipe's settings by the names of the inputs, as far as the page offers them."""
    own = recipe.settings
    return own.flat() | {
        "prompt": recipe.prompt,
        "seed": recipe.seed,
        "guidance_schedule": over_time.name_of(own) or own.guidance.schedule,
        "size": size_text((own["width"], own["height"])),
        "model": recipe.model,
        "guidance_rule": own.guidance.rule if own.guidance.rule in RULES_OFFERED else "cfg",
        "pictures": 1,
    }


def not_offered(session: Session, recipe: Recipe) -> list[str]:
    """What of a recipe the page's inputs cannot say, in words."""
    own, loaded = recipe.settings, session.models.get(recipe.model)
    words = {
        "its guidance over time": over_time.name_of(own) is None,
        "rescaled guidance": own.guidance.rescale,
        f"the shift of its steps, {own.shift}": loaded is not None and own.shift not in (None, loaded.own_shift),
        f"the guidance rule {own.guidance.rule}": own.guidance.rule not in RULES_OFFERED,
        f"the autoencoder {recipe.vae}": recipe.vae,
        f"the LoRA {recipe.lora}": recipe.lora,
        "the layout that steered it": recipe.control,
        f"the picture that it began from ({recipe.task.name if recipe.task else ''})": recipe.task,
    }
    return [part for part, there in words.items() if there]


def link_of(session: Session, names: Sequence[str], recipe: Recipe) -> str:
    """The link that opens a picture's settings in the inputs; empty where they do not offer all of them."""
    values = {name: value for name, value in values_of(recipe).items() if name in names}
    return link_to(values) if not not_offered(session, recipe) and not session.problems(**values) else ""


def restored_words(session: Session, recipe: Recipe) -> str:
    """Whether drawing now gives the very same picture, as far as can be known beforehand; and if not, why."""
    loaded, lacking = session.models.get(recipe.model), not_offered(session, recipe)
    if lacking:
        return f"Restored, but for {', '.join(lacking)}: the page has no input for that, so Draw gives another picture."
    if loaded is None:
        return "Restored. Press Draw to make it again."
    now = loaded.recipe(recipe.prompt, recipe.seed)
    if not recipe.is_of_model(now):
        return f"Restored. {recipe.model} has other weights here than it was made with, so Draw gives another picture."
    changes, rows = recipe.changes_since(now), recipe.settings.rows_per_call
    if rows is not None:
        changes.append(f"{rows} rows a network call, here as many as there are")
    if changes:
        more = f" and {len(changes) - NAMED} things more" if len(changes) > NAMED else ""
        return (
            "Restored. Draw gives nearly the same picture, not the same to the last bit, since it was made with "
            f"{'; '.join(changes[:NAMED])}{more}."
        )
    return "Restored. Press Draw to make the same picture again."
