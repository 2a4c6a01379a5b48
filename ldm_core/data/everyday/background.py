"""What is behind the things outdoors: sky, stars, clouds, rain and mountains; the grounds are in grounds.py, room.py."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np

from ..chance import pick
from .canvas import Canvas, Colour
from .grid import HORIZON, in_cell, on_line
from .grounds import GROUND_PAINTERS
from .outlines import Outlines
from .paint import lit, mix, sky_stops
from .room import paint_room
from .shapes import E, R
from .spots import Spot
from .world import Scene

_CLOUD = [E(24, 30, 20, 13, ""), E(48, 22, 22, 18, ""), E(74, 27, 20, 15, ""), R(8, 28, 94, 43, 8, "")]  # 100 wide
_PEAKS = ((0.12, 0.20, 0.26), (0.88, 0.22, 0.28), (0.36, 0.28, 0.30), (0.66, 0.24, 0.28))  # middle, height, half width


def paint_background(canvas: Canvas, scene: Scene, spots: Sequence[Spot], paint_lights: Callable[[], None]) -> None:
    """Everything behind the things; `paint_lights` paints sun, moon and rainbow, behind clouds and hills."""
    if scene.ground == "room":
        paint_room(canvas, scene, spots)
        return
    canvas.rows(sky_stops(scene.sky), 0.0, HORIZON + 0.08)
    if scene.stars:
        _stars(canvas, scene)
    _shine(canvas, spots)
    paint_lights()
    if scene.clouds or scene.sky == "storm":
        _clouds(canvas, scene, spots)
    if scene.mountains:
        _mountains(canvas, scene)
    GROUND_PAINTERS[scene.ground or "field"](canvas, scene, spots)
    if scene.sky == "storm":
        _rain(canvas, scene)


def _vary(scene: Scene, part: str) -> random.Random:
    return random.Random(f"{scene.layout} {part}")


def _stars(canvas: Canvas, scene: Scene) -> None:
    rng, stars = _vary(scene, "stars"), []
    for k in range(26):
        x, y = in_cell((k % 6 + rng.random()) / 6), in_cell(0.9 * HORIZON * (k // 6 + rng.random()) / 5)
        radius = pick(rng, (0.0058, 0.0085))
        stars.append(E(x, y, radius, radius, "").points)
    canvas.fill(Outlines.joined(stars), (255, 250, 222), None, 0.95)


def _shine(canvas: Canvas, spots: Sequence[Spot]) -> None:
    """The light around sun and moon."""
    for spot in spots:
        if spot.kind.name in ("sun", "moon"):
            half = spot.look.width * spot.scale / 2
            light = (255, 240, 190) if spot.kind.name == "sun" else (190, 204, 255)
            canvas.glow(spot.x + half, spot.top + half, 2.4 * half, 2.4 * half, light, 0.55)


def _clouds(canvas: Canvas, scene: Scene, spots: Sequence[Spot]) -> None:
    """Two or three clouds where the sky is free; a storm's are dark and more."""
    rng, storm = _vary(scene, "clouds"), scene.sky == "storm"
    white, under = _cloud_paint(scene)
    wanted = (3 if rng.random() < 0.5 else 2) + (2 if storm else 0)
    taken = [(spot.x, spot.top, spot.right, spot.base) for spot in spots]
    made, shapes = 0, []
    for attempt in range(18):
        scale = pick(rng, (0.0024, 0.0032)) * (1.25 if storm else 1.0) * (1.0 if attempt < 12 else 0.6)
        x, y = on_line(1.05 * rng.random() - 0.10), on_line(0.02 + 0.27 * rng.random(), 2)
        box = (x, y, x + 100 * scale, y + 43 * scale)
        if made < wanted and all(share_inside(box, other) <= 0.12 for other in taken):
            shapes += [part.points * scale + (x, y) for part in _CLOUD]
            taken.append(box)
            made += 1
    if shapes:
        canvas.fill(Outlines.of(shapes), white, under)


def _cloud_paint(scene: Scene) -> tuple[Colour, Colour]:
    """A cloud's colour above and below."""
    sky = sky_stops(scene.sky)
    if scene.sky == "storm":
        return (92, 98, 112), (70, 76, 90)
    white = mix((255, 255, 255), sky[1][1], 0.55 if scene.sky == "night" else 0.10)
    return white, mix(white, sky[0][1], 0.32)


def share_inside(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Of a box (left, top, right, bottom), the share that lies in the other."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(width, 0.0) * max(height, 0.0) / ((box[2] - box[0]) * (box[3] - box[1]))


def _rain(canvas: Canvas, scene: Scene) -> None:
    rng, drops = _vary(scene, "rain"), []
    for k in range(36):
        x, y = in_cell((k % 6 + rng.random()) / 6), on_line((k // 6 + rng.random()) / 6)
        length = pick(rng, (0.038, 0.052))
        drops.append(np.array([(x, y), (x + 0.008, y + 0.001), (x - 0.004, y + length), (x - 0.012, y + length)]))
    canvas.fill(Outlines.joined(drops), (206, 218, 232), None, 0.6)


def _mountains(canvas: Canvas, scene: Scene) -> None:
    """Four peaks with snow, their right sides in the shade, paler towards the ground."""
    rng = _vary(scene, "mountains")
    rock, dark = lit((128, 136, 158), scene.sky), lit((98, 106, 132), scene.sky)
    haze = mix(rock, sky_stops(scene.sky)[-1][1], 0.35)
    snow = lit((246, 248, 252), scene.sky, 0.8)
    for middle, tall, half in _PEAKS:
        x, height = on_line(middle + 0.08 * (rng.random() - 0.5)), on_line(tall + 0.05 * rng.random(), 2)
        top, low = HORIZON - height, HORIZON + 0.06
        canvas.fill(np.array([(x - half, low), (x, top), (x + half, low)]), rock, haze)
        bend = [(x + 0.06 * half, top + 0.5 * height), (x + 0.14 * half, top + 0.3 * height)]
        canvas.fill(np.array([(x, top), (x + half, low), (x + 0.25 * half, low), *bend]), dark, haze)
        side, y = 0.30 * half * height / (height + 0.06), top + 0.30 * height
        edge = [(0.55, -0.10), (0.15, 0.05), (-0.3, -0.08)]
        ragged = [(x + dx * side, y + dy * height) for dx, dy in edge]
        canvas.fill(np.array([(x - side, y), (x, top), (x + side, y), *ragged]), snow, mix(snow, dark, 0.25))
