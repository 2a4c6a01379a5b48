"""A link that carries a drawing's settings; the browser makes and keeps them (kept.js), the server reads them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from evaluation.condition import shown

from .session import Session, size_text, sizes

KEPT = '<div class="kept" id="kept" role="group" aria-label="pictures drawn here before"></div>'
NUMBERS = ("seed", "steps", "guidance_scale", "pictures")
SWITCH = {"true": True, "false": False}
LONGEST = 8000  # characters of a link's query
# As the page opens, before kept.js has run: the form of before a reload, unless it is another address that was opened since.
OPENED = """() => {
    let kept = null;
    try { kept = JSON.parse(sessionStorage.getItem("latent-diffusion-form")); } catch { /* nothing is kept */ }
    if (kept && kept.search === location.search) return [new URLSearchParams(kept.values).toString(), "kept"];
    try { sessionStorage.removeItem("latent-diffusion-form"); } catch { /* nothing is kept */ }
    return [location.search, "link"];
}"""


def browser(action: str, names: Sequence[str]) -> str:
    """What the browser does with the inputs' values, by their names: of kept.js `asked`, `keep` or `copy`."""
    return f"(...values) => window.drawings.{action}({json.dumps(list(names))}, values)"


def link_to(values: Mapping[str, object]) -> str:
    """The query that carries settings by the inputs' names, as the browser itself would write it."""
    return f"?{urlencode({name: str(value).lower() if isinstance(value, bool) else shown(value) for name, value in values.items()})}"


def query_of(text: object, names: Sequence[str]) -> dict[str, str]:
    """What a link's query says of the inputs of these names; nothing where it is no query."""
    if not isinstance(text, str) or len(text) > LONGEST:
        return {}
    return {name: value for name, value in parse_qsl(text.removeprefix("?"), keep_blank_values=True) if name in names}


def read_link(session: Session, names: Sequence[str], query: Mapping[str, str]) -> tuple[list[Any], str]:
    """The values of the inputs that a link's query names, the model's own where it is silent; and in words what is wrong."""
    model = query.get("model", session.model.spec.reference)
    spec = session.specs.get(model, session.model.spec)
    own: dict[str, Any] = {
        "prompt": "",
        "negative_prompt": "",
        "seed": 0,
        "steps": spec.steps,
        "guidance_scale": spec.guidance_scale,
        "scheduler": session.schedulers(spec.reference)[0],
        "guidance_schedule": "constant",
        "size": size_text(sizes(spec)[0]),
        "model": model,
        "guidance_rule": "cfg",
        "substitute": True,
        "pictures": 1,
    }
    for name in names:
        if name in query:
            text = query[name]
            own[name] = number(text) if name in NUMBERS else SWITCH.get(text, text) if name == "substitute" else text
    values = [own[name] for name in names]
    return values, " ".join(session.problems(**dict(zip(names, values))).values())


def number(text: str) -> float:
    """A number as a link has it, whole ones as such; NaN, which every check refuses, for what is none."""
    try:
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else float(text)
    except ValueError:
        return math.nan
