"""A mask that a visitor paints in squares over a picture: what is drawn anew. In the browser it is page.js's."""

from __future__ import annotations

import re

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 16  # squares a side
SQUARES = SIDE**2
HTML = (
    f'<div class="painting"><div class="mask" data-mask="" data-side="{SIDE}" role="img" '
    'aria-label="the picture, with the squares that are drawn anew"></div>'
    '<div class="bar"><span>Paint squares that shall be drawn anew, or take:</span>'
    + "".join(
        f'<button type="button" data-fill="{name}">{words}</button>'
        for name, words in (
            ("left", "left half"),
            ("right", "right half"),
            ("top", "upper half"),
            ("bottom", "lower half"),
        )
    )
    + '<button type="button" data-fill="">all of it</button></div></div>'
)


def check_mask(value: object) -> str:
    """What is wrong with a painted mask, in words; empty where nothing is."""
    if isinstance(value, str) and re.fullmatch(f"(?:[01]{{{SQUARES}}})?", value):
        return ""
    return f"The mask must be empty, or {SQUARES} signs 0 (kept) or 1 (drawn anew), row by row from the upper left."


def mask_of(value: str, height: int, width: int) -> Tensor | None:
    """(1, H, W) of 0 and 1; None where nothing is painted."""
    if "1" not in value:
        return None
    squares = torch.tensor([float(sign) for sign in value]).view(1, 1, SIDE, SIDE)
    return F.interpolate(squares, (height, width), mode="nearest")[0]
