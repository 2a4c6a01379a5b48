"""The six grounds outdoors: field, snow, desert, lake, beach and street."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np

from ..chance import pick
from .canvas import Canvas, Colour
from .grid import HORIZON, in_cell, on_line
from .outlines import Outlines
from .paint import lit, mix, sky_stops
from .shapes import E, R, curve
from .spots import Spot
from .world import Scene

GROUND: dict[str, tuple[Colour, Colour]] = {  # far, near
    "field": ((140, 198, 92), (78, 152, 62)),
    "snow": ((244, 248, 254), (212, 224, 242)),
    "desert": ((240, 214, 150), (214, 168, 100)),
    "lake": ((112, 176, 220), (44, 108, 174)),
    "beach": ((250, 230, 180), (232, 198, 132)),
    "street": ((176, 180, 188), (150, 154, 164)),
}
_LIT_WINDOWS = {"night": (250, 214, 130), "storm": (240, 220, 160), "sunset": (250, 210, 140)}
_TUFT = ((-12, 0), (-14, -22), (-3, -8), (2, -30), (6, -8), (16, -20), (12, 0))  # thousandths of the picture


def _paints(scene: Scene, ground: str | None) -> tuple[Colour, Colour]:
    far, near = (lit(colour, scene.sky) for colour in GROUND[ground or "field"])
    return far, near


def _rolling(rng: random.Random, level: float, swing: float) -> np.ndarray:
    """The outline of rolling ground: a smooth line over the whole width, closed below the picture."""
    heights = [level + swing * pick(rng, (-0.8, 0.0, 0.8)) for _ in range(6)]
    line = curve(" ".join(f"{-0.2 + 0.28 * k} {y}" for k, y in enumerate(heights)))
    return np.vstack([line, [(1.3, 1.2), (-0.3, 1.2)]])


def _land(canvas: Canvas, scene: Scene, spots: Sequence[Spot]) -> None:
    """Field, snow and desert: folds of ground, and what grows or lies there."""
    rng = random.Random(f"{scene.layout} ground")
    far, near = _paints(scene, scene.ground)
    back = mix(far, sky_stops(scene.sky)[-1][1], 0.30)
    canvas.fill(_rolling(rng, HORIZON, 0.03), back, mix(back, far, 0.7))
    canvas.fill(_rolling(rng, HORIZON + 0.08, 0.025), far, near)
    if scene.ground == "field":
        canvas.fill(Outlines.joined(_tufts(rng)), mix(near, (0, 0, 0), 0.10))
    elif scene.ground == "desert":
        canvas.fill(_rolling(rng, 0.80, 0.04), mix(near, far, 0.5), mix(near, (120, 70, 30), 0.18))
    else:
        drifts = [
            (on_line(rng.random()), in_cell(0.70 + 0.26 * rng.random()), pick(rng, (0.08, 0.12))) for _ in range(4)
        ]
        paint = mix(near, (120, 150, 200), 0.16)
        canvas.fill(Outlines.joined([E(x, y, wide, 0.010, "").points for x, y, wide in drifts]), paint)


def _tufts(rng: random.Random) -> list[np.ndarray]:
    """Nine tufts of grass."""
    tufts = []
    for k in range(9):
        x, y = in_cell((k % 5 + rng.random()) / 5), on_line(0.70 + 0.14 * (k // 5 + rng.random()))
        scale = pick(rng, (1.0, 1.3))
        tufts.append(np.array(_TUFT) * (0.001 * scale) + (x, y))
    return tufts


def _water(canvas: Canvas, scene: Scene, top: float, low: float) -> None:
    far, near = _paints(scene, "lake")
    canvas.rows([(0, mix(far, sky_stops(scene.sky)[-1][1], 0.25)), (1, near)], top, low)
    rng, gleams = random.Random(f"{scene.layout} water"), []
    for k in range(8):
        x = on_line((k % 4 + rng.random()) / 4)
        y = in_cell(top + (low - top) * (0.12 + 0.4 * (k // 4 + rng.random())))
        half = pick(rng, (0.035, 0.06))
        gleams.append(R(x - half, y - 0.0044, x + half, y + 0.0044, 0.0044, "").points)
    canvas.fill(Outlines.joined(gleams), mix(far, (255, 255, 255), 0.35), None, 0.8)


def _lake(canvas: Canvas, scene: Scene, spots: Sequence[Spot]) -> None:
    """Water to the far shore; a near shore when something stands on land."""
    rng = random.Random(f"{scene.layout} ground")
    far, near = _paints(scene, "field")
    haze = sky_stops(scene.sky)[-1][1]
    canvas.fill(_rolling(rng, HORIZON - 0.045, 0.022), mix(far, haze, 0.45), mix(near, haze, 0.3))
    _water(canvas, scene, HORIZON, 1.0)
    if any(spot.base > 0.8 and spot.kind.name != "boat" for spot in spots):
        shore = _rolling(rng, 0.825, 0.012)
        canvas.fill(shore - (0.0, 0.014), lit((236, 216, 166), scene.sky))
        canvas.fill(shore, far, near)


def _beach(canvas: Canvas, scene: Scene, spots: Sequence[Spot]) -> None:
    """The sea, a line of foam, wet sand and dry sand with a few pebbles."""
    rng = random.Random(f"{scene.layout} ground")
    far, near = _paints(scene, "beach")
    _water(canvas, scene, HORIZON - 0.03, 0.80)
    foam = _rolling(rng, 0.725, 0.010)
    canvas.fill(foam, lit((244, 250, 252), scene.sky))
    canvas.fill(foam + (0.0, 0.020), mix(far, near, 0.75), near)
    canvas.fill(_rolling(rng, 0.780, 0.012), far, near)
    pebbles = [
        E(in_cell(rng.random()), in_cell(0.80 + 0.18 * rng.random()), 0.011, 0.0065, "").points for _ in range(6)
    ]
    canvas.fill(Outlines.joined(pebbles), mix(near, (255, 255, 255), 0.5))


def _street(canvas: Canvas, scene: Scene, spots: Sequence[Spot]) -> None:
    """A row of pale fronts in the distance, a pavement, and a road with its marks."""
    rng = random.Random(f"{scene.layout} ground")
    _fronts(canvas, scene, rng)
    pavement, kerb = _paints(scene, "street")
    asphalt, mark = lit((104, 106, 116), scene.sky), lit((244, 240, 226), scene.sky, 0.8)
    canvas.rows([(0, mix(pavement, (255, 255, 255), 0.12)), (1, pavement)], HORIZON + 0.04, 0.70)
    canvas.rows([(0, mix(kerb, (255, 255, 255), 0.3)), (1, kerb)], 0.70, 0.72)
    canvas.rows([(0, mix(asphalt, (255, 255, 255), 0.08)), (1, mix(asphalt, (0, 0, 0), 0.14))], 0.72, 1.0)
    shift, marks = on_line(0.2 * rng.random() - 0.2), []
    for k in range(6):
        x = shift + 0.25 * k
        marks.append(np.array([(x, 0.845), (x + 0.12, 0.845), (x + 0.115, 0.862), (x - 0.008, 0.862)]))
    canvas.fill(Outlines.joined(marks), mark)


def _fronts(canvas: Canvas, scene: Scene, rng: random.Random) -> None:
    """Town houses far away, and their windows, which are lit in the evening."""
    haze, stone = sky_stops(scene.sky)[-1][1], lit((186, 190, 204), scene.sky)
    x, panes = pick(rng, (-0.0625, 0.0)), []
    while x < 1.0:
        wide, tall = pick(rng, (0.125, 0.1875, 0.25)), on_line(0.11 + 0.13 * rng.random(), 2)
        top, wall = HORIZON - tall, mix(stone, haze, 0.30 + 0.25 * rng.random())
        front = R(x, top, x + wide + 0.002, HORIZON + 0.06, 0, "").points
        canvas.fill(front, wall, mix(wall, (90, 96, 120), 0.18))
        for left in (x + 0.018 + 0.055 * column for column in range(int(wide / 0.055))):
            for y in (top + 0.022 + 0.058 * row for row in range(int(tall / 0.06))):
                panes.append(R(left, y, left + 0.026, y + 0.030, 0, "").points)
        x += wide
    canvas.fill(Outlines.joined(panes), mix(stone, _LIT_WINDOWS.get(scene.sky or "day", (150, 186, 214)), 0.62))


GROUND_PAINTERS: dict[str, Callable[[Canvas, Scene, Sequence[Spot]], None]] = {
    "field": _land,
    "snow": _land,
    "desert": _land,
    "lake": _lake,
    "beach": _beach,
    "street": _street,
}
