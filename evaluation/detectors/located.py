"""A thing that a drawn world's reader sees in a picture, and where."""

from __future__ import annotations

from typing import NamedTuple


class Located(NamedTuple):
    """Its kind, its colour where it has one of its own choosing, and its middle as fractions of the picture."""

    kind: str
    colour: str | None
    x: float
    y: float
