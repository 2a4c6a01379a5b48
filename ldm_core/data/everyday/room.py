"""The room: wall, floor, rug and a window that shows the hour and the weather; or a table-top seen from near."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from ..chance import pick
from .canvas import Canvas, Colour
from .grid import on_line
from .layout import TABLEWARE
from .outlines import Outlines
from .paint import indoors, lit, mix, sky_stops
from .shapes import B, E, R
from .spots import Spot
from .world import Scene

_WALLS = ((244, 226, 200), (216, 228, 218), (220, 226, 240), (240, 218, 212), (234, 230, 220))
_FLOORS = ((186, 134, 88), (164, 116, 78), (202, 156, 108))
_RUGS = ((206, 130, 120), (132, 158, 190), (160, 176, 132), (212, 176, 110), (160, 140, 184))
_PLACES = (0.06, 0.37, 0.64)  # of the window's left side
_WIDE, _TALL, _TOP = 0.25, 0.28125, 0.09375  # of the window


def paint_room(canvas: Canvas, scene: Scene, spots: Sequence[Spot]) -> None:
    """A room by lamp light: even at night its colours are warm, and only the window is dark."""
    rng = random.Random(f"{scene.layout} room")
    light = indoors(scene.sky)
    wall, floor, rug = (lit(pick(rng, choices), light, 0.6) for choices in (_WALLS, _FLOORS, _RUGS))
    canvas.rows([(0, wall), (1, mix(wall, (120, 100, 90), 0.12))], 0.0, 0.68)
    if spots and all(spot.kind.name in TABLEWARE for spot in spots):
        _table_top(canvas, floor)
    else:
        _floor(canvas, wall, floor, rug)
    _window(canvas, scene, rng, spots)


def _floor(canvas: Canvas, wall: Colour, floor: Colour, rug: Colour) -> None:
    canvas.rows([(0, mix(floor, (60, 30, 10), 0.14)), (1, floor)], 0.68, 1.0)
    gaps = Outlines.joined([R(-0.1, y, 1.1, y + 0.005, 0, "").points for y in (0.735, 0.805, 0.89)])
    canvas.fill(gaps, mix(floor, (40, 20, 10), 0.30))
    canvas.fill(R(-0.1, 0.655, 1.1, 0.685, 0, "").points, mix(wall, (255, 255, 255), 0.55))
    canvas.fill(E(0.5, 0.93, 0.46, 0.085, "").points, mix(rug, (255, 255, 255), 0.25))
    canvas.fill(E(0.5, 0.93, 0.425, 0.072, "").points, rug)


def _table_top(canvas: Canvas, floor: Colour) -> None:
    wood = mix(floor, (255, 226, 180), 0.25)
    canvas.rows([(0, mix(wood, (255, 255, 255), 0.22)), (1, wood)], 0.66, 0.955)
    canvas.rows([(0, mix(wood, (60, 30, 10), 0.35)), (1, mix(wood, (60, 30, 10), 0.45))], 0.955, 1.0)
    grain = Outlines.joined(
        [R(x, y, x + 0.3, y + 0.005, 0.002, "").points for x, y in ((0.05, 0.72), (0.6, 0.78), (0.25, 0.9))]
    )
    canvas.fill(grain, mix(wood, (60, 30, 10), 0.12))


def _window(canvas: Canvas, scene: Scene, rng: random.Random, spots: Sequence[Spot]) -> None:
    """Where the things leave the wall free."""
    places = [on_line(left + 0.05 * rng.random()) for left in _PLACES]
    hidden = [0.02 * rng.random() + sum(_overlap(x, spot) for spot in spots) for x in places]
    x, y = places[hidden.index(min(hidden))], _TOP
    frame = lit((250, 246, 238), scene.sky, 0.25)
    shade = mix(frame, (120, 110, 110), 0.2)
    canvas.fill(R(x - 0.022, y - 0.022, x + _WIDE + 0.022, y + _TALL + 0.022, 0.006, "").points, frame, shade)
    canvas.rows(sky_stops(scene.sky), y, y + _TALL, x, x + _WIDE)
    _view(canvas, scene, x, y)
    bars = [
        R(x + _WIDE / 2 - 0.007, y, x + _WIDE / 2 + 0.007, y + _TALL, 0, "").points,
        R(x - 0.007, y + _TALL / 2 - 0.006, x + _WIDE, y + _TALL / 2 + 0.006, 0, "").points,
    ]
    canvas.fill(Outlines.of(bars), frame)
    sill = R(x - 0.035, y + _TALL + 0.016, x + _WIDE + 0.035, y + _TALL + 0.036, 0.006, "").points
    canvas.fill(sill, frame, shade)


def _overlap(x: float, spot: Spot) -> float:
    """How much of a window at x a spot hides."""
    wide = min(x + _WIDE, spot.right) - max(x, spot.x)
    tall = min(_TOP + _TALL, spot.base) - max(_TOP, spot.top)
    return max(wide, 0.0) * max(tall, 0.0) / (_WIDE * _TALL)


def _view(canvas: Canvas, scene: Scene, x: float, y: float) -> None:
    """Stars, rain or a green hill behind the panes."""
    if scene.sky == "night":
        stars = ((0.2, 0.25), (0.7, 0.18), (0.42, 0.55), (0.84, 0.62), (0.2, 0.8))
        shapes = [E(x + dx * _WIDE, y + dy * _TALL, 0.0068, 0.0068, "").points for dx, dy in stars]
        canvas.fill(Outlines.joined(shapes), (255, 250, 222))
    elif scene.sky == "storm":
        shapes = []
        for k in range(6):
            left, top = x + (k % 3 + 0.5) / 3 * _WIDE, y + (0.15 + 0.45 * (k // 3)) * _TALL
            shapes.append(
                np.array([(left, top), (left + 0.008, top), (left - 0.004, top + 0.06), (left - 0.012, top + 0.06)])
            )
        canvas.fill(Outlines.joined(shapes), (210, 220, 232), None, 0.7)
    else:
        line = ((0, 1), (0, 0.8), (0.3, 0.70), (0.7, 0.80), (1, 0.74), (1, 1))
        hill = " ".join(f"{x + dx * _WIDE} {y + dy * _TALL}" for dx, dy in line)
        canvas.fill(B(hill, "").points, lit((120, 178, 92), scene.sky))
