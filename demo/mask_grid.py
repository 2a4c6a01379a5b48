"""Squares that a visitor paints: a mask over a picture (what is drawn anew), or a layout (where things go). In the browser they
are page.js's."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 16  # squares a side of a mask
SQUARES = SIDE**2
LAYOUT_SIDE = 32  # of a layout
FILLS = (("left", "left half"), ("right", "right half"), ("top", "upper half"), ("bottom", "lower half"))
HTML = (
    f'<div class="painting"><div class="mask" data-mask="" data-side="{SIDE}" data-brush="0" role="img" '
    'aria-label="the picture, with the squares that are drawn anew"></div>'
    '<div class="bar"><span>Paint squares that shall be drawn anew, or take:</span>'
    + "".join(f'<button type="button" data-fill="{name}">{words}</button>' for name, words in FILLS)
    + '<button type="button" data-fill="">all of it</button></div></div>'
)


def layout_html(examples: Sequence[tuple[str, str, str]]) -> str:
    """A layout to paint, which begins as the first of the examples: (name, squares, prompt)."""
    begins = examples[0][1] if examples else ""
    buttons = "".join(
        f'<button type="button" data-squares="{squares}" data-prompt="{html.escape(prompt)}">{html.escape(name)}</button>'
        for name, squares, prompt in examples
    )
    return (
        f'<div class="painting"><div class="mask layout" data-mask="{begins}" data-side="{LAYOUT_SIDE}" data-brush="1" '
        'role="img" aria-label="the layout: white where things shall stand"></div><div class="bar">'
        "<span>Paint where things shall stand, paint again to wipe, or take:</span>"
        f'{buttons}<button type="button" data-squares="">empty</button></div></div>'
    )


def check_mask(value: object, side: int = SIDE) -> str:
    """What is wrong with painted squares, in words; empty where nothing is."""
    if isinstance(value, str) and re.fullmatch(f"(?:[01]{{{side**2}}})?", value):
        return ""
    ones = "drawn anew" if side == SIDE else "a thing"
    return f"It must be empty, or {side**2} signs 0 or 1 ({ones}), row by row from the upper left."


def mask_of(value: str, height: int, width: int, side: int = SIDE) -> Tensor | None:
    """(1, H, W) of 0 and 1; None where nothing is painted."""
    if "1" not in value:
        return None
    squares = torch.tensor([float(sign) for sign in value]).view(1, 1, side, side)
    return F.interpolate(squares, (height, width), mode="nearest")[0]


def squares_of(mask: Tensor, side: int = LAYOUT_SIDE) -> str:
    """The inverse for any mask (H, W) in [0, 1]: 1 where at least half of a square is covered."""
    means = F.adaptive_avg_pool2d(mask[None, None].float(), side)[0, 0]
    return "".join("1" if mean >= 0.5 else "0" for mean in means.flatten().tolist())
