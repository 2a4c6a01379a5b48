"""Two pictures under one wipe, and all of them under one zoom. page.js changes the sides, and moves what is dragged."""

from __future__ import annotations

import html
from collections.abc import Sequence

from torch import Tensor

ZOOM = 8


def ratio_style(image: Tensor) -> str:
    """The style that gives windows the proportions of an image (3, H, W)."""
    return f'style="--ratio: {image.shape[2]} / {image.shape[1]}"'


def window(source: str, described: str) -> str:
    """A picture that the zoom moves; the description is no HTML yet."""
    return f'<div class="window"><img src="{source}" alt="{html.escape(described)}"></div>'


def pair_html(pictures: Sequence[tuple[str, str]]) -> str:
    """The wipe over the first and the last of the pictures, given as name and source; the other names are offered."""
    sides = {"a": 0, "b": len(pictures) - 1}
    shown = "".join(_side(side, *pictures[at]) for side, at in sides.items())
    names = [name for name, _ in pictures]
    choices = "".join(_choice(side, names, at) for side, at in sides.items())
    return (
        f'<figure class="cut"><div class="window pair">{shown}<i></i></div>'
        '<input type="range" min="0" max="100" value="50" aria-label="wipe: A to the left, B to the right" '
        "oninput=\"this.parentNode.style.setProperty('--cut', this.value + '%')\">"
        f'<div class="choices">{choices}{_moves()}</div>'
        "<figcaption>A is to the left of the line, B to the right. Drag the picture when it is enlarged; "
        "the maps below move with it.</figcaption></figure>"
    )


def _side(side: str, name: str, source: str) -> str:
    label = f'<b class="side-{side}">{html.escape(name)}</b>'
    return f'<div class="layer layer-{side}"><img data-side="{side}" src="{source}" alt="{side.upper()}: {html.escape(name)}">{label}</div>'


def _choice(side: str, names: Sequence[str], chosen: int) -> str:
    options = "".join(
        f'<option value="{at}"{" selected" if at == chosen else ""}>{html.escape(name)}</option>'
        for at, name in enumerate(names)
    )
    return f'<label>{side.upper()} <select data-side="{side}">{options}</select></label>'


def _moves() -> str:
    sliders = (
        ("zoom", "Zoom", 1, ZOOM, 1, "0.5"),
        ("x", "Across", 0, 100, 50, "any"),
        ("y", "Down", 0, 100, 50, "any"),
    )
    return "".join(
        f'<label>{words} <input type="range" data-move="{name}" min="{low}" max="{high}" value="{at}" step="{step}"></label>'
        for name, words, low, high, at, step in sliders
    )
