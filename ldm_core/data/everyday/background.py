"""What is behind the things: sky, stars, clouds, rain, mountains, and the seven grounds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np

from .canvas import Canvas, Colour
from .layout import HORIZON, Spot
from .paint import lit, mix
from .shapes import B, E, P, Part, R, S
from .world import Scene

SKY: dict[str, list[tuple[float, Colour]]] = {
    "day": [(0, (74, 156, 236)), (0.6, (150, 208, 248)), (1, (214, 238, 252))],
    "dawn": [(0, (150, 172, 226)), (0.55, (236, 200, 216)), (1, (255, 230, 200))],
    "sunset": [(0, (88, 52, 128)), (0.5, (216, 96, 100)), (1, (255, 184, 92))],
    "night": [(0, (12, 16, 52)), (0.6, (30, 42, 96)), (1, (58, 72, 132))],
    "storm": [(0, (62, 68, 82)), (0.6, (104, 112, 124)), (1, (150, 158, 166))],
}
# far, near
GROUND: dict[str, tuple[Colour, Colour]] = {
    "field": ((140, 198, 92), (78, 152, 62)), "snow": ((244, 248, 254), (212, 224, 242)), "desert": ((240, 214, 150), (214, 168, 100)),
    "lake": ((112, 176, 220), (44, 108, 174)), "beach": ((250, 230, 180), (232, 198, 132)), "street": ((176, 180, 188), (150, 154, 164)),
}  # fmt: skip
_CLOUD = (E(24, 30, 20, 13, "w"), E(48, 22, 22, 18, "w"), E(74, 27, 20, 15, "w"), R(8, 28, 94, 43, 8, "w"))  # 100 wide


def paint_background(
    canvas: Canvas, scene: Scene, lights: Sequence[Spot], paint_lights: Callable[[], object], spots: Sequence[Spot]
) -> None:
    """Everything behind the things; the sun, moon and rainbow (`lights`) are painted behind clouds and hills."""
    if scene.ground == "room":
        _room(canvas, scene, spots)
        return
    horizon = HORIZON
    _sky(canvas, scene, horizon)
    for light in lights:
        if light.kind.name != "rainbow":
            half = light.look.width * light.scale / 2
            warm = (255, 240, 190) if light.kind.name == "sun" else (190, 204, 255)
            canvas.glow(light.x + half, light.top + half, 2.6 * half, 2.6 * half, warm, 0.55)
    paint_lights()
    if scene.clouds or scene.sky == "storm":
        _clouds(canvas, scene, spots)
    if scene.mountains:
        _mountains(canvas, scene, horizon)
    _GROUNDS[scene.ground](canvas, scene, horizon, spots)
    if scene.sky == "storm":
        _rain(canvas, scene)


def _vary(scene: Scene, part: str) -> random.Random:
    return random.Random(f"{scene.layout} {part}")


def _fill(canvas: Canvas, part: Part, x: float, y: float, scale: float, colour: Colour, end: Colour | None = None, alpha: float = 1.0) -> None:
    canvas.fill(part.points * scale + (x, y), colour, end, alpha, 0.0)


def _sky(canvas: Canvas, scene: Scene, horizon: float) -> None:
    canvas.rows(SKY[scene.sky], 0.0, horizon + 0.08)
    if scene.stars:
        rng = _vary(scene, "stars")
        for k in range(26):
            x, y, radius = (k % 6 + rng.random()) / 6, (k // 6 + rng.random()) / 5 * 0.9 * horizon, 0.0052 + 0.0035 * rng.random()
            canvas.fill(E(x, y, radius, radius, "").points, (255, 250, 222), None, 0.95)


def _clouds(canvas: Canvas, scene: Scene, spots: Sequence[Spot]) -> None:
    """Two or three clouds where the sky is free; a storm's are dark and more."""
    rng, storm = _vary(scene, "clouds"), scene.sky == "storm"
    white = (88, 94, 108) if storm else mix((255, 255, 255), SKY[scene.sky][1][1], 0.14 if scene.sky != "night" else 0.55)
    under = mix(white, SKY[scene.sky][0][1], 0.30)
    wanted = (3 if rng.random() < 0.5 else 2) + (2 if storm else 0)
    taken = [(spot.x, spot.top, spot.right, spot.base) for spot in spots]
    made = 0
    for _ in range(14):
        scale = (0.0021 + 0.0010 * rng.random()) * (1.25 if storm else 1.0)
        x, y = 1.1 * rng.random() - 0.12, 0.02 + 0.27 * rng.random()
        box = (x, y, x + 100 * scale, y + 43 * scale)
        if made < wanted and not any(_share(box, other) > 0.12 for other in taken):
            for part in _CLOUD:
                _fill(canvas, part, x, y, scale, white, under)
            taken.append(box)
            made += 1


def _share(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Of a box, the share that lies in the other."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(width, 0.0) * max(height, 0.0) / ((box[2] - box[0]) * (box[3] - box[1]))


def _rain(canvas: Canvas, scene: Scene) -> None:
    rng = _vary(scene, "rain")
    for k in range(34):
        x, y, length = (k % 6 + rng.random()) / 6, (k // 6 + rng.random()) / 6, 0.035 + 0.02 * rng.random()
        drop = np.array([(x, y), (x + 0.007, y + 0.001), (x - 0.004, y + length), (x - 0.011, y + length - 0.001)])
        canvas.fill(drop, (206, 218, 232), None, 0.55)


def _mountains(canvas: Canvas, scene: Scene, horizon: float) -> None:
    rng = _vary(scene, "mountains")
    rock, dark = lit((128, 136, 158), scene.sky), lit((98, 106, 132), scene.sky)
    haze = mix(rock, SKY[scene.sky][-1][1], 0.35)
    snow = lit((246, 248, 252), scene.sky, 0.8)
    for middle, tall, wide in ((0.12, 0.20, 0.26), (0.88, 0.22, 0.28), (0.36, 0.28, 0.30), (0.66, 0.24, 0.28)):
        x, height, half = middle + 0.08 * (rng.random() - 0.5), tall + 0.05 * rng.random(), wide
        top, low = horizon - height, horizon + 0.06
        canvas.fill(np.array([(x - half, low), (x, top), (x + half, low)]), rock, haze, 1.0, 0.0)
        canvas.fill(np.array([(x, top), (x + half, low), (x + 0.25 * half, low), (x + 0.06 * half, top + 0.5 * height), (x + 0.14 * half, top + 0.3 * height)]), dark, haze, 1.0, 0.0)
        cap, side = 0.30, 0.30 * half * height / (height + 0.06)
        y = top + cap * height
        line = [(x - side, y), (x, top), (x + side, y), (x + 0.55 * side, y - 0.10 * height), (x + 0.15 * side, y + 0.05 * height), (x - 0.3 * side, y - 0.08 * height)]
        canvas.fill(np.array(line), snow, mix(snow, dark, 0.25), 1.0, 0.6)


def _skyline(rng: random.Random, level: float, swing: float) -> np.ndarray:
    """The outline of rolling ground: a smooth line over the whole width, closed below the picture."""
    heights = [level + swing * (2 * rng.random() - 1) for _ in range(6)]
    line = " ".join(f"{-0.2 + 0.28 * k} {y}" for k, y in enumerate(heights))
    curve = S(line, 1.0, "").points  # its line, not its outline, is wanted: see below
    del curve
    from .shapes import _points, _smooth

    smooth = _smooth(_points(line), closed=False)
    return np.vstack([smooth, [(1.3, 1.2), (-0.3, 1.2)]])


def _land(canvas: Canvas, scene: Scene, horizon: float, spots: Sequence[Spot]) -> None:
    """Field, snow and desert: two folds of ground, and what grows or lies there."""
    rng = _vary(scene, "ground")
    far, near = (lit(colour, scene.sky) for colour in GROUND[scene.ground])
    back = mix(far, SKY[scene.sky][-1][1], 0.30)
    canvas.fill(_skyline(rng, horizon, 0.03), back, mix(back, far, 0.7), 1.0, 0.0)
    canvas.fill(_skyline(rng, horizon + 0.08, 0.025), far, near, 1.0, 0.0)
    dark = mix(near, (0, 0, 0), 0.10)
    if scene.ground == "field":
        for k in range(9):
            x, y, s = (k % 5 + rng.random()) / 5, 0.70 + (k // 5 + rng.random()) * 0.14, 0.9 + 0.5 * rng.random()
            canvas.fill(np.array([(x - 0.012 * s, y), (x - 0.014 * s, y - 0.022 * s), (x - 0.003 * s, y - 0.008 * s), (x + 0.002 * s, y - 0.030 * s), (x + 0.006 * s, y - 0.008 * s), (x + 0.016 * s, y - 0.020 * s), (x + 0.012 * s, y)]), dark)
    elif scene.ground == "desert":
        canvas.fill(_skyline(rng, 0.80, 0.04), mix(near, far, 0.5), mix(near, (120, 70, 30), 0.18), 1.0, 0.0)
    else:
        for _ in range(4):
            x, y, w = rng.random(), 0.70 + 0.26 * rng.random(), 0.07 + 0.06 * rng.random()
            canvas.fill(E(x, y, w, 0.010, "").points, mix(near, (120, 150, 200), 0.16))


def _water(canvas: Canvas, scene: Scene, horizon: float, low: float) -> None:
    far, near = (lit(colour, scene.sky) for colour in GROUND["lake"])
    canvas.rows([(0, mix(far, SKY[scene.sky][-1][1], 0.25)), (1, near)], horizon, low)
    rng, gleam = _vary(scene, "water"), mix(far, (255, 255, 255), 0.35)
    for k in range(8):
        x, y, w = (k % 4 + rng.random()) / 4, horizon + (low - horizon) * (0.12 + 0.8 * (k // 4 + rng.random()) / 2), 0.03 + 0.035 * rng.random()
        canvas.fill(R(x - w, y - 0.0042, x + w, y + 0.0042, 0.0042, "").points, gleam, None, 0.8)


def _lake(canvas: Canvas, scene: Scene, horizon: float, spots: Sequence[Spot]) -> None:
    rng = _vary(scene, "ground")
    far, near = (lit(colour, scene.sky) for colour in GROUND["field"])
    if not scene.mountains:
        canvas.fill(_skyline(rng, horizon - 0.045, 0.022), mix(far, SKY[scene.sky][-1][1], 0.45), mix(near, SKY[scene.sky][-1][1], 0.3), 1.0, 0.0)
    _water(canvas, scene, horizon, 1.0)
    if any(spot.base > 0.8 and spot.kind.name != "boat" for spot in spots):
        canvas.fill(_skyline(rng, 0.815, 0.012), lit((232, 212, 160), scene.sky), None)
        canvas.fill(_skyline(rng, 0.83, 0.012), far, near, 1.0, 0.0)


def _beach(canvas: Canvas, scene: Scene, horizon: float, spots: Sequence[Spot]) -> None:
    rng = _vary(scene, "ground")
    far, near = (lit(colour, scene.sky) for colour in GROUND["beach"])
    _water(canvas, scene, horizon - 0.03, 0.80)
    canvas.fill(_skyline(rng, 0.715, 0.010), lit((244, 250, 252), scene.sky), None)
    canvas.fill(_skyline(rng, 0.735, 0.010), mix(far, near, 0.75), near, 1.0, 0.0)
    canvas.fill(_skyline(rng, 0.775, 0.012), far, near, 1.0, 0.0)
    for _ in range(6):
        x, y = rng.random(), 0.80 + 0.18 * rng.random()
        canvas.fill(E(x, y, 0.011, 0.0065, "").points, mix(near, (255, 255, 255), 0.5))


def _street(canvas: Canvas, scene: Scene, horizon: float, spots: Sequence[Spot]) -> None:
    """A row of pale fronts in the distance, a pavement, and a road with its marks."""
    rng = _vary(scene, "ground")
    glow = {"night": (250, 214, 130), "storm": (240, 220, 160), "sunset": (250, 210, 140)}.get(scene.sky, (150, 186, 214))
    x = -0.04 * rng.random()
    while x < 1.0:
        wide, tall = 0.13 + 0.09 * rng.random(), 0.11 + 0.13 * rng.random()
        wall = mix(lit((186, 190, 204), scene.sky), SKY[scene.sky][-1][1], 0.30 + 0.25 * rng.random())
        canvas.fill(R(x, horizon - tall, x + wide + 0.002, horizon + 0.06, 0, "").points, wall, mix(wall, (90, 96, 120), 0.18), 1.0, 0.0)
        for row in range(int(tall / 0.06)):
            for column in range(int(wide / 0.055)):
                left, top = x + 0.018 + 0.055 * column, horizon - tall + 0.022 + 0.058 * row
                canvas.fill(R(left, top, left + 0.026, top + 0.030, 0, "").points, mix(wall, glow, 0.6))
        x += wide
    pavement, kerb = (lit(colour, scene.sky) for colour in GROUND["street"])
    canvas.rows([(0, mix(pavement, (255, 255, 255), 0.12)), (1, pavement)], horizon + 0.03, 0.70)
    canvas.rows([(0, mix(kerb, (255, 255, 255), 0.3)), (1, kerb)], 0.70, 0.72)
    asphalt = lit((104, 106, 116), scene.sky)
    canvas.rows([(0, mix(asphalt, (255, 255, 255), 0.08)), (1, mix(asphalt, (0, 0, 0), 0.14))], 0.72, 1.0)
    mark, shift = lit((244, 240, 226), scene.sky, 0.8), 0.2 * rng.random()
    for k in range(6):
        left = -0.2 + 0.22 * k + shift
        canvas.fill(np.array([(left, 0.845), (left + 0.12, 0.845), (left + 0.115, 0.862), (left - 0.008, 0.862)]), mark)


_WALLS = ((244, 226, 200), (216, 228, 218), (220, 226, 240), (240, 218, 212), (234, 230, 220))
_FLOORS = ((186, 134, 88), (164, 116, 78), (202, 156, 108))
_RUGS = ((206, 130, 120), (132, 158, 190), (160, 176, 132), (212, 176, 110), (160, 140, 184))


def _room(canvas: Canvas, scene: Scene, spots: Sequence[Spot]) -> None:
    """Wall, floor, a rug, and a window that shows the hour and the weather."""
    rng = _vary(scene, "room")
    pick = lambda choices: choices[int(rng.random() * len(choices))]  # noqa: E731
    indoor = {"night": "sunset", "storm": "dawn"}.get(scene.sky, scene.sky)
    dim = 0.5 if scene.sky != "night" else 0.9
    wall, floor, rug = (lit(pick(choices), indoor, dim) for choices in (_WALLS, _FLOORS, _RUGS))
    canvas.rows([(0, wall), (1, mix(wall, (120, 100, 90), 0.12))], 0.0, 0.68)
    canvas.rows([(0, mix(floor, (60, 30, 10), 0.14)), (1, floor)], 0.68, 1.0)
    for y in (0.735, 0.805, 0.89):
        canvas.fill(R(-0.1, y, 1.1, y + 0.005, 0, "").points, mix(floor, (40, 20, 10), 0.30))
    canvas.fill(R(-0.1, 0.655, 1.1, 0.685, 0, "").points, mix(wall, (255, 255, 255), 0.55))
    canvas.fill(E(0.5, 0.93, 0.44, 0.085, "").points, mix(rug, (255, 255, 255), 0.25))
    canvas.fill(E(0.5, 0.93, 0.405, 0.072, "").points, rug)
    _indoor_window(canvas, scene, rng, spots)


def _indoor_window(canvas: Canvas, scene: Scene, rng: random.Random, spots: Sequence[Spot]) -> None:
    """Where the things leave the wall free."""
    wide, tall, y = 0.24, 0.28, 0.09
    places = [(rng.random() * 0.05 + x) for x in (0.06, 0.37, 0.68)]
    hidden = [sum(_share((x, y, x + wide, y + tall), (s.x, s.top, s.right, s.base)) for s in spots) + 0.02 * rng.random() for x in places]
    x = places[hidden.index(min(hidden))]
    frame = lit((250, 246, 238), scene.sky, 0.25)
    canvas.fill(R(x - 0.022, y - 0.022, x + wide + 0.022, y + tall + 0.022, 0.006, "").points, frame, mix(frame, (120, 110, 110), 0.18))
    first, last, left, right = (round(v * canvas.size) for v in (y, y + tall, x, x + wide))
    stops = SKY[scene.sky]
    rows = (np.arange(first, last) + 0.5 - first) / max(last - first, 1)
    for channel in range(3):
        canvas.pixels[first:last, left:right, channel] = np.interp(rows, [p for p, _ in stops], [c[channel] for _, c in stops])[:, None]
    if scene.sky == "night":
        for sx, sy in ((0.2, 0.25), (0.7, 0.18), (0.42, 0.55), (0.84, 0.62)):
            canvas.fill(E(x + sx * wide, y + sy * tall, 0.0065, 0.0065, "").points, (255, 250, 222))
    elif scene.sky == "storm":
        for k in range(6):
            sx, sy = x + (k % 3 + 0.5) / 3 * wide, y + (0.15 + 0.45 * (k // 3)) * tall
            canvas.fill(np.array([(sx, sy), (sx + 0.007, sy), (sx - 0.004, sy + 0.06), (sx - 0.011, sy + 0.06)]), (210, 220, 232), None, 0.7)
    else:
        hill = lit((120, 178, 92), scene.sky)
        canvas.fill(B(f"{x} {y + tall} {x} {y + 0.8 * tall} {x + 0.3 * wide} {y + 0.70 * tall} {x + 0.7 * wide} {y + 0.80 * tall} {x + wide} {y + 0.74 * tall} {x + wide} {y + tall}", "").points, hill)
    canvas.fill(R(x + wide / 2 - 0.007, y, x + wide / 2 + 0.007, y + tall, 0, "").points, frame)
    canvas.fill(R(x - 0.007, y + tall / 2 - 0.006, x + wide, y + tall / 2 + 0.006, 0, "").points, frame)
    canvas.fill(R(x - 0.035, y + tall + 0.016, x + wide + 0.035, y + tall + 0.036, 0.006, "").points, frame, mix(frame, (120, 110, 110), 0.25))


_GROUNDS = {"field": _land, "snow": _land, "desert": _land, "lake": _lake, "beach": _beach, "street": _street}
