"""Draws a scene, and says exactly which pixels are whose."""

from __future__ import annotations

import random

import numpy as np

from ..chance import pick
from .background import paint_background
from .canvas import Canvas, Colour, Coverage
from .kinds import ENTRIES
from .layout import arrange
from .paint import PAINT, hexed, indoors, lit, mix, slot_paint
from .shapes import Look, Part
from .spots import Spot, String
from .world import COLOURED_KINDS, LIGHTS, NATURAL_KINDS, RELATIONS, Scene, Thing

_PANES = {"night": "#ffe08a", "storm": "#ffe9b0", "sunset": "#ffdf9a"}  # lit windows; by day they are sky


def draw(scene: Scene, size: int = 256) -> np.ndarray:
    """The scene as a picture: uint8 (size, size, 3). The scene must be complete, as random_scene makes them.

    The layout seed decides variants, positions and sizes as fractions of the picture, so a scene is the same at every
    size, and a thing in another colour leaves all the rest as it was.
    """
    return _painted(scene, size, 0).to_uint8()


def masks(scene: Scene, size: int = 256) -> np.ndarray:
    """Whose each pixel is: float32 (things, size, size) in [0, 1], the visible part of each of the scene's things."""
    return _painted(scene, size, len(scene.things)).owned


def visible_shares(scene: Scene, size: int = 256) -> list[float]:
    """Of each of the scene's things, the share in [0, 1] of its own area that nothing else covers."""
    canvas = _painted(scene, size, len(scene.things))
    return [float(seen.sum() / max(float(all_.sum()), 1e-9)) for seen, all_ in zip(canvas.owned, canvas.whole)]


def boxes(scene: Scene) -> list[list[tuple[float, float, float, float]]]:
    """The boxes (left, top, right, bottom, fractions of the picture) of each thing's one to three, in view."""
    found: list[list[tuple[float, float, float, float]]] = [[] for _ in scene.things]
    _check_complete(scene)
    for spot in arrange(scene):
        corners = (max(spot.x, 0.0), max(spot.top, 0.0), min(spot.right, 1.0), min(spot.base, 1.0))
        found[spot.thing].append(corners)
    return found


def _painted(scene: Scene, size: int, owners: int) -> Canvas:
    _check_complete(scene)
    canvas = Canvas(size, owners)
    spots = arrange(scene)
    lights = [spot for spot in spots if spot.kind.name in LIGHTS]

    def paint_lights() -> None:
        for spot in lights:
            _paint_spot(canvas, scene, spot)

    paint_background(canvas, scene, spots, paint_lights)
    rest = [spot for spot in spots if spot.kind.name not in LIGHTS]
    for spot in rest:
        _shadow(canvas, scene, spot)
    for spot in rest:
        _paint_spot(canvas, scene, spot)
    return canvas


def _check_complete(scene: Scene) -> None:
    missing = [name for name in ("sky", "ground") if getattr(scene, name) is None]
    for thing in scene.things:
        missing += [
            f"the {name} of the {thing.kind}" for name in ("place", "count", "size") if getattr(thing, name) is None
        ]
        if thing.colour is None and thing.kind in COLOURED_KINDS and thing.kind not in NATURAL_KINDS:
            missing.append(f"the colour of the {thing.kind}")
        if thing.relation is not None and (
            thing.relation not in RELATIONS or thing.other not in range(len(scene.things))
        ):
            missing.append(f"to which other thing the {thing.kind} is related")
    if missing:
        raise ValueError(f"scene must be complete to be drawn; it does not say {', '.join(missing)}")


def _slots(scene: Scene, spot: Spot) -> dict[str, Colour]:
    """The colours of a spot's slots, in the light of the hour."""
    thing = scene.things[spot.thing]
    rng = random.Random(f"{scene.layout} slots {spot.thing}")  # text seeds go through SHA-512: the same in every Python
    choice = pick(rng, spot.kind.slots)
    body = PAINT[thing.colour] if thing.colour else hexed(spot.kind.natural)
    slots = {"c": body, "glass": hexed(_PANES.get(scene.sky or "day", "#bcdcee"))}
    for name, value in choice.items():
        slots[name] = hexed(value) if value.startswith("#") else slot_paint(value, slots)
    if spot.kind.name == "cow" and thing.colour is None:
        slots["spot"] = PAINT["black"]
    return slots


def _paint_spot(canvas: Canvas, scene: Scene, spot: Spot) -> None:
    """All parts of a spot, each with its soft gradient."""
    canvas.owner = spot.thing if len(canvas.owned) else None
    slots = _slots(scene, spot)
    if spot.string is not None:
        _string(canvas, spot.string)
    outer: Coverage | None = None
    coverages = canvas.coverages(spot.look.outlines, spot.placed(spot.look.outlines.points))
    for part, coverage in zip(spot.look.parts, coverages):
        if not part.inside:
            outer = coverage
        elif coverage is not None:
            coverage = coverage.within(outer) if outer is not None else None
        if coverage is not None:
            colour = _in_light(slot_paint(part.paint, slots), part, scene, spot)
            start, end = (colour, None) if part.flat else (_lighter(colour), _darker(colour))
            canvas.paint(coverage, start, end, part.alpha, 0.35)
    canvas.owner = None


def _in_light(colour: Colour, part: Part, scene: Scene, spot: Spot) -> Colour:
    if spot.kind.name in LIGHTS or part.paint == "glass" or part.paint in ("#fff0b0", "#fff2b8", "#ffe9a0"):
        return colour
    return lit(colour, indoors(scene.sky) if scene.ground == "room" else scene.sky, 0.75)


def _lighter(colour: Colour) -> Colour:
    return mix(colour, (255, 250, 235), 0.10)


def _darker(colour: Colour) -> Colour:
    """A gradient's lower end; yellow turns golden there, since darker yellow looks green."""
    if colour[0] > 150 and colour[1] > 0.72 * colour[0] and colour[2] < 0.5 * colour[1]:
        return colour[0] * 0.95, colour[1] * 0.86, colour[2] * 0.75
    return colour[0] * 0.87, colour[1] * 0.87, colour[2] * 0.91


def _string(canvas: Canvas, string: String) -> None:
    """A kite's, hanging through a little."""
    x0, y0, x1, y1 = string
    mx, my = (x0 + x1) / 2 + 0.012, (y0 + y1) / 2 + 0.02
    half = 0.0032
    line = np.array(
        [(x0, y0 - half), (mx, my - half), (x1, y1 - half), (x1, y1 + half), (mx, my + half), (x0, y0 + half)]
    )
    canvas.fill(line, (92, 84, 84))


def _shadow(canvas: Canvas, scene: Scene, spot: Spot) -> None:
    """A soft patch under what stands on the ground."""
    if not spot.shadow or spot.kind.shadow == 0 or spot.kind.name in LIGHTS:
        return
    half = spot.look.width * spot.scale / 2
    dark = (52, 58, 92) if scene.ground == "snow" else (30, 30, 40)
    canvas.glow(spot.x + half, spot.base - 0.004, half * spot.kind.shadow * 1.25, max(0.014, half * 0.16), dark, 0.42)


def draw_look(canvas: Canvas, kind: str, look: Look, colour: str | None) -> None:
    """One look of a kind in the middle of a canvas, by day, as large as it can be: for a sheet of all."""
    scale = 0.88 / max(look.width, look.height)
    x, base = 0.5 - look.width * scale / 2, 0.5 + look.height * scale / 2
    scene = Scene("day", "field", (Thing(kind, colour, 1, "center", "medium"),))
    spot = Spot(0, ENTRIES[kind], look, x, base, scale)
    _shadow(canvas, scene, spot)
    _paint_spot(canvas, scene, spot)
