"""A link that carries a drawing's settings; the browser makes and keeps them (page.js), the server reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .session import Session, size_text, sizes

KEPT = '<div class="kept" id="kept" role="group" aria-label="pictures drawn here before"></div>'
NUMBERS = ("seed", "steps", "guidance_scale")
SWITCH = {"true": True, "false": False}


def browser(action: str, names: Sequence[str]) -> str:
    """What the browser does with the inputs' values, by their names: of page.js `asked`, `keep` or `copy`."""
    return f"(...values) => window.drawings.{action}({list(names)!r}, values)"


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
