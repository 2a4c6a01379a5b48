"""Where and how large: on sixteenths of the picture and in few sizes.

An autoencoder of f = 16 cuts a picture into 16 x 16 parts. What stands on their borders looks alike to it wherever it is;
a thing at any pixel would be 256 different ones. Nobody sees the difference, but a small model learns the same things from a
fraction of the pictures.
"""

from __future__ import annotations

GRID = 16  # lines across and down
STEP = 1.2  # from one size of a thing to the next
HORIZON = 9 / GRID  # where the sky ends, as a fraction of the picture's height


def on_line(place: float, parts: int = 1) -> float:
    """The nearest of the grid's lines, each cell cut into so many parts."""
    return round(place * GRID * parts) / (GRID * parts)


def in_cell(place: float) -> float:
    """The nearest quarter of a cell that lies beside its middle: for what is much smaller than a cell, and must not look lined up."""
    return (2 * int(place * GRID * 2) + 1) / (4 * GRID)


def floored(scale: float, steps: int = 0) -> float:
    """The greatest power of STEP that is no larger, and from there so many steps up (or down, below zero)."""
    found = 1.0  # by multiplication alone: the same on every machine
    while found > scale:
        found /= STEP
    while found * STEP <= scale:
        found *= STEP
    return _stepped(found, steps)


def nearest(scale: float, steps: int = 0) -> float:
    """The power of STEP that is nearest in ratio, and from there so many steps up or down."""
    below = floored(scale)
    return _stepped(below, steps + int(scale * scale > below * below * STEP))


def _stepped(size: float, steps: int) -> float:
    for _ in range(abs(steps)):
        size = size * STEP if steps > 0 else size / STEP
    return size
