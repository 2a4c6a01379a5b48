"""Draws a scene: sky, light, mountains, ground, then the things from far to near."""

from __future__ import annotations

import random

import numpy as np

from .canvas import Canvas, Colour
from .world import COLOURED_KINDS, GROUND_KINDS, LAND_KINDS, PLACES, Scene, Thing

# A scene's words may be None; those of a scene that is drawn are not (_check_complete), but its type cannot say so.
Word = str | None

PAINT: dict[Word, Colour] = {
    "red": (214, 40, 40),
    "orange": (242, 125, 22),
    "yellow": (250, 212, 46),
    "green": (40, 158, 72),
    "blue": (42, 92, 214),
    "purple": (134, 54, 176),
    "pink": (248, 146, 186),
    "white": (246, 246, 246),
}
SKY: dict[Word, list[tuple[float, Colour]]] = {
    "day": [(0, (72, 150, 236)), (1, (204, 234, 252))],
    "dawn": [(0, (148, 166, 220)), (0.6, (238, 194, 208)), (1, (255, 224, 196))],
    "sunset": [(0, (78, 44, 112)), (0.55, (214, 92, 84)), (1, (254, 172, 84))],
    "night": [(0, (8, 10, 38)), (1, (38, 48, 98))],
    "storm": [(0, (58, 62, 74)), (1, (136, 142, 150))],
}
GROUND: dict[Word, tuple[Colour, Colour]] = {  # far, near
    "field": ((122, 186, 84), (66, 138, 52)),
    "snow": ((238, 244, 252), (206, 220, 238)),
    "desert": ((232, 204, 138), (204, 160, 92)),
    "lake": ((94, 156, 208), (34, 92, 160)),
}
SHORE: tuple[Colour, Colour] = ((118, 172, 80), (70, 128, 50))
# What each hour's light does to the colours of the ground and of the things on it: (red, green, blue) factors.
LIGHT: dict[Word, Colour] = {
    "day": (1.0, 1.0, 1.0),
    "dawn": (0.98, 0.93, 0.95),
    "sunset": (0.95, 0.80, 0.76),
    "night": (0.50, 0.52, 0.66),
    "storm": (0.72, 0.74, 0.78),
}
PUFFS = ((-0.075, 0.012, 0.036), (-0.028, -0.014, 0.048), (0.03, -0.006, 0.044), (0.076, 0.014, 0.034))  # x, y, radius
COLUMN: dict[Word, float] = {"left": 0.19, "center": 0.5, "right": 0.81}


def draw(scene: Scene, size: int = 128) -> np.ndarray:
    """The scene as a picture: uint8 (size, size, 3). The scene must be complete, as random_scene makes them.

    The layout seed decides positions and sizes as fractions of the picture, so a scene is the same at every size. Each
    part varies by itself: a scene with one thing more, less or in another colour keeps all the rest as it was.
    """
    return _painted(scene, size, 0).to_uint8()


def masks(scene: Scene, size: int = 128) -> np.ndarray:
    """Whose each pixel is: float32 (things, size, size) in [0, 1], the visible part of each of the scene's things."""
    return _painted(scene, size, len(scene.things)).owned


def _painted(scene: Scene, size: int, owners: int) -> Canvas:
    """With no owners only the picture is kept."""
    _check_complete(scene)
    canvas = Canvas(size, owners)
    horizon = 0.56 + 0.08 * _variation(scene, "horizon").random()
    canvas.gradient(SKY[scene.sky], 0.0, min(1.0, horizon + 0.06))
    if scene.sky == "night":
        _stars(canvas, _variation(scene, "stars"), horizon)
    for canvas.owner, thing in enumerate(scene.things):
        if thing.kind in ("sun", "moon"):
            _sun_or_moon(canvas, _variation(scene, f"{thing.place}{thing.kind}"), thing, scene.sky)
    canvas.owner = None
    if scene.clouds:
        _clouds(canvas, _variation(scene, "clouds"), scene)
    if scene.mountains:
        _mountains(canvas, _variation(scene, "mountains"), scene.sky, horizon)
    _ground(canvas, _variation(scene, "ground"), scene, horizon)
    for canvas.owner, thing in enumerate(scene.things):
        if thing.kind not in ("sun", "moon"):
            rng = _variation(scene, f"{thing.place}{thing.kind}")
            _PAINTERS[thing.kind](canvas, rng, thing, scene.sky, COLUMN[thing.place] + 0.05 * (rng.random() - 0.5))
    return canvas


def _variation(scene: Scene, part: str) -> random.Random:
    return random.Random(f"{scene.layout} {part}")  # text seeds go through SHA-512: the same in every Python


def _check_complete(scene: Scene) -> None:
    missing = [name for name in ("sky", "ground") if getattr(scene, name) is None]
    missing += [f"the place of the {thing.kind}" for thing in scene.things if thing.place is None]
    missing += [f"the colour of the {t.kind}" for t in scene.things if t.colour is None and t.kind in COLOURED_KINDS]
    if missing:
        raise ValueError(f"scene must be complete to be drawn; it does not say {', '.join(missing)}")


def lit(colour: Colour, sky: Word, amount: float = 1.0) -> Colour:
    """A colour in the light of the hour; an amount below 1 keeps a painted thing's colour recognisable."""
    return tuple(value * (1 + (factor - 1) * amount) for value, factor in zip(colour, LIGHT[sky]))


def _stars(canvas: Canvas, rng: random.Random, horizon: float) -> None:
    for _ in range(16):
        x, y, brightness = rng.random(), 0.9 * horizon * rng.random(), 0.45 + 0.5 * rng.random()
        canvas.ellipse(x, y, 0.0062, 0.0062, (255, 250, 226), brightness)


def _sun_or_moon(canvas: Canvas, rng: random.Random, thing: Thing, sky: Word) -> None:
    x, y = COLUMN[thing.place] + 0.06 * (rng.random() - 0.5), 0.13 + 0.06 * rng.random()
    if thing.kind == "moon":
        canvas.glow(x, y, 0.2, (150, 160, 210), 0.4)
        canvas.ellipse(x, y, 0.072, 0.072, (242, 240, 222))
        canvas.ellipse(x - 0.022, y - 0.014, 0.016, 0.014, (214, 211, 194))
        canvas.ellipse(x + 0.024, y + 0.024, 0.020, 0.018, (218, 215, 198))
        return
    cores: dict[Word, Colour] = {"day": (255, 224, 70), "dawn": (255, 236, 150), "sunset": (255, 214, 88)}
    canvas.glow(x, y, 0.24, (255, 240, 180), 0.55)
    canvas.ellipse(x, y, 0.082, 0.082, cores.get(sky, (255, 224, 70)))


def _clouds(canvas: Canvas, rng: random.Random, scene: Scene) -> None:
    """One cloud in each free place of the sky, so that no sun, moon or balloon is covered."""
    taken = {thing.place for thing in scene.things if thing.kind not in GROUND_KINDS}
    colours: dict[Word, Colour] = {"night": (92, 100, 136), "storm": (44, 47, 58), "sunset": (250, 206, 186)}
    colour = colours.get(scene.sky, (252, 252, 254))
    free = [place for place in PLACES if place not in taken]
    for place in free[: 1 + int(2 * rng.random())]:
        x, y, s = COLUMN[place] + 0.06 * (rng.random() - 0.5), 0.12 + 0.1 * rng.random(), 0.85 + 0.3 * rng.random()
        for dx, dy, r in PUFFS:
            canvas.ellipse(x + dx * s, y + dy * s, r * s, r * s * 0.86, colour)
        canvas.rectangle(x - 0.075 * s, y + 0.01 * s, x + 0.076 * s, y + 0.042 * s, colour)


def _mountains(canvas: Canvas, rng: random.Random, sky: Word, horizon: float) -> None:
    """Three peaks with a shaded side and a snow cap, tall enough to rise between whatever stands before them."""
    rocks: dict[Word, Colour] = {"day": (128, 140, 162), "dawn": (156, 142, 160), "sunset": (122, 84, 98)}
    rock = rocks.get(sky, (132, 140, 158))
    rock = rock if sky == "sunset" else lit(rock, sky)
    shade, snow = tuple(0.84 * value for value in rock), lit((250, 252, 255), sky, 0.8)
    for x in (0.08 + 0.1 * rng.random(), 0.90 - 0.1 * rng.random(), 0.42 + 0.16 * rng.random()):
        peak, half, base = horizon - 0.24 - 0.07 * rng.random(), 0.25 + 0.06 * rng.random(), horizon + 0.08
        canvas.polygon([(x, peak), (x + half, base), (x - half, base)], rock)
        canvas.polygon([(x, peak), (x + half, base), (x + 0.1 * half, base)], shade)
        deep = 0.30  # how far down the cap reaches, as a share of the mountain
        line, width = peak + deep * (base - peak), deep * half
        canvas.polygon([(x, peak), (x + width, line), (x - width, line)], snow)
        for tip in (-0.62, 0.02, 0.64):  # the ragged lower edge
            side = shade if tip > 0.3 else rock
            from_x, to_x = x + (tip - 0.3) * width, x + (tip + 0.3) * width
            canvas.polygon([(from_x, line + 0.002), (x + tip * width, line - 0.026), (to_x, line + 0.002)], side)


def _ground(canvas: Canvas, rng: random.Random, scene: Scene, horizon: float) -> None:
    far, near = (lit(colour, scene.sky) for colour in GROUND[scene.ground])
    if scene.ground == "lake":
        _lake(canvas, rng, scene, horizon, far, near)
        return
    back = tuple(0.90 * value + 0.10 * sky for value, sky in zip(far, SKY[scene.sky][-1][1]))
    canvas.below(_skyline(canvas, rng, horizon, 0.035), back, far)
    canvas.below(_skyline(canvas, rng, horizon + 0.09, 0.03), far, near)


def _lake(canvas: Canvas, rng: random.Random, scene: Scene, horizon: float, far: Colour, near: Colour) -> None:
    canvas.below(np.full(canvas.size, horizon, dtype=np.float32), far, near)
    gleam = tuple(0.6 * value + 0.4 * sky for value, sky in zip(far, SKY[scene.sky][-1][1]))
    for _ in range(9):
        x, y, width = rng.random(), horizon + 0.05 + 0.3 * rng.random(), 0.04 + 0.05 * rng.random()
        canvas.rectangle(x - width, y, x + width, y + 0.009, gleam, 0.75)
    if any(thing.kind in LAND_KINDS for thing in scene.things):
        grass, dark = (lit(colour, scene.sky) for colour in SHORE)
        canvas.below(_skyline(canvas, rng, 0.86, 0.02), grass, dark)


def _skyline(canvas: Canvas, rng: random.Random, level: float, swing: float) -> np.ndarray:
    """A gently rolling line, y per column: smoothsteps between five random heights."""
    heights = np.array([level + swing * (2 * rng.random() - 1) for _ in range(5)], np.float32)
    position = canvas.centres * 4
    left = np.minimum(position.astype(np.int64), 3)
    step = position - left
    return heights[left] + (heights[left + 1] - heights[left]) * (step * step * (3 - 2 * step))


def _house(canvas: Canvas, rng: random.Random, thing: Thing, sky: Word, x: float) -> None:
    base, half, tall = 0.885 + 0.03 * rng.random(), 0.105 + 0.015 * rng.random(), 0.125 + 0.02 * rng.random()
    wall, roof = lit(PAINT[thing.colour], sky, 0.7), lit((112, 58, 44), sky, 0.8)
    eave, top = base - tall, base - tall - 0.10
    canvas.rectangle(x + 0.45 * half, top + 0.005, x + 0.68 * half, eave, lit((150, 96, 80), sky, 0.8))
    canvas.rectangle(x - half, eave, x + half, base, wall)
    ridge, overhang = 0.5 * half, 1.22 * half
    canvas.polygon([(x - overhang, eave), (x - ridge, top), (x + ridge, top), (x + overhang, eave)], roof)
    pane = (255, 226, 120) if sky in ("night", "storm", "sunset") else (190, 222, 240)
    if sky == "night":
        canvas.glow(x, base - 0.5 * tall, 0.17, (255, 214, 120), 0.22)
    for side in (-0.58, 0.58):
        middle, level = x + side * half, base - 0.60 * tall
        canvas.rectangle(middle - 0.028, level - 0.026, middle + 0.028, level + 0.026, lit((250, 246, 236), sky, 0.6))
        canvas.rectangle(middle - 0.021, level - 0.019, middle + 0.021, level + 0.019, pane)
    canvas.rectangle(x - 0.024, base - 0.62 * tall, x + 0.024, base, lit((78, 46, 34), sky, 0.6))


def _pine(canvas: Canvas, rng: random.Random, _thing: Thing, sky: Word, x: float) -> None:
    base, s = 0.885 + 0.03 * rng.random(), 0.92 + 0.16 * rng.random()
    dark, light = lit((22, 92, 54), sky, 0.8), lit((34, 116, 66), sky, 0.8)
    canvas.rectangle(x - 0.016 * s, base - 0.07 * s, x + 0.016 * s, base, lit((98, 64, 40), sky))
    for level, half in ((0.05, 0.098), (0.135, 0.08), (0.22, 0.06)):
        low, high = base - level * s, base - (level + 0.13) * s
        canvas.polygon([(x - half * s, low), (x, high), (x + half * s, low)], light)
        canvas.polygon([(x, high), (x + half * s, low), (x + 0.1 * half * s, low)], dark)


def _palm(canvas: Canvas, rng: random.Random, _thing: Thing, sky: Word, x: float) -> None:
    base, s = 0.885 + 0.03 * rng.random(), 0.92 + 0.16 * rng.random()
    trunk, leaf = lit((148, 104, 60), sky), lit((46, 146, 60), sky, 0.8)
    lean = 0.03 if rng.random() < 0.5 else -0.03
    top_x, top_y = x + lean, base - 0.27 * s
    for step in range(4):  # the trunk bends: four short pieces, each leaning a little more
        y0, y1 = base - 0.0675 * s * step, base - 0.0675 * s * (step + 1)
        x0, x1 = x + lean * (step / 4) ** 2, x + lean * ((step + 1) / 4) ** 2
        canvas.polygon([(x0 - 0.015, y0), (x0 + 0.015, y0), (x1 + 0.012, y1), (x1 - 0.012, y1)], trunk)
    for dx, dy in ((-0.115, 0.045), (-0.10, -0.035), (-0.03, -0.085), (0.05, -0.08), (0.105, -0.03), (0.115, 0.05)):
        tip, middle = (top_x + dx * s, top_y + dy * s), (top_x + 0.55 * dx * s, top_y + (0.55 * dy - 0.03) * s)
        canvas.polygon([(top_x, top_y + 0.012), (top_x, top_y - 0.012), middle, tip], leaf)
    canvas.ellipse(top_x, top_y + 0.012, 0.018, 0.016, lit((122, 78, 42), sky))


def _boat(canvas: Canvas, rng: random.Random, thing: Thing, sky: Word, x: float) -> None:
    water, s = 0.755 + 0.03 * rng.random(), 0.95 + 0.15 * rng.random()
    sail, hull = lit(PAINT[thing.colour], sky, 0.7), lit((122, 74, 42), sky, 0.8)
    top = water - 0.265 * s
    deck, keel = water, water + 0.052
    canvas.polygon([(x - 0.115 * s, deck), (x + 0.115 * s, deck), (x + 0.07 * s, keel), (x - 0.075 * s, keel)], hull)
    canvas.rectangle(x - 0.007, top, x + 0.007, water, lit((84, 56, 36), sky))
    boom, jib = water - 0.028, tuple(0.9 * value for value in sail)
    canvas.polygon([(x + 0.012, top + 0.012), (x + 0.108 * s, boom), (x + 0.012, boom)], sail)
    canvas.polygon([(x - 0.012, top + 0.05), (x - 0.012, boom), (x - 0.084 * s, boom)], jib)


def _balloon(canvas: Canvas, rng: random.Random, thing: Thing, sky: Word, x: float) -> None:
    y, s = 0.17 + 0.05 * rng.random(), 0.95 + 0.15 * rng.random()
    paint = lit(PAINT[thing.colour], sky, 0.55)
    towards = 218 if thing.colour == "white" else 255  # a stripe must differ from its balloon
    stripe = tuple(0.62 * value + 0.38 * towards for value in paint)
    shoulder, neck = y + 0.058 * s, y + 0.122 * s
    for side in (-1, 1):
        rope = [
            (x + side * 0.052 * s, shoulder),
            (x + side * 0.06 * s, shoulder),
            (x + side * 0.02 * s, neck + 0.026 * s),
        ]
        canvas.polygon(rope, (90, 70, 56))
    canvas.ellipse(x, y, 0.088 * s, 0.1 * s, paint)
    envelope = [(x - 0.07 * s, shoulder), (x + 0.07 * s, shoulder), (x + 0.022 * s, neck), (x - 0.022 * s, neck)]
    canvas.polygon(envelope, paint)
    canvas.ellipse(x, y, 0.03 * s, 0.098 * s, stripe, 0.55)
    canvas.rectangle(x - 0.024 * s, y + 0.138 * s, x + 0.024 * s, y + 0.172 * s, lit((124, 82, 48), sky))


_PAINTERS = {"house": _house, "pine": _pine, "palm": _palm, "boat": _boat, "balloon": _balloon}
