"""Colours: the ten that captions name, what a slot of an entry is painted with, and the light of the hour."""

from __future__ import annotations

from collections.abc import Mapping

from .canvas import Colour

PAINT: dict[str, Colour] = {
    "red": (216, 44, 44),
    "orange": (244, 130, 28),
    "yellow": (250, 212, 50),
    "green": (46, 160, 76),
    "blue": (44, 98, 214),
    "purple": (132, 60, 182),
    "pink": (248, 142, 186),
    "white": (244, 243, 240),
    "brown": (134, 84, 46),
    "black": (46, 45, 52),
}
# What each hour's light does to things: (red, green, blue) factors.
LIGHT: dict[str, tuple[float, float, float]] = {
    "day": (1.0, 1.0, 1.0),
    "dawn": (1.0, 0.95, 0.95),
    "sunset": (1.0, 0.91, 0.86),
    "night": (0.64, 0.66, 0.82),
    "storm": (0.78, 0.80, 0.84),
}
SKY: dict[str, list[tuple[float, Colour]]] = {  # from the top of the picture to the horizon
    "day": [(0, (74, 156, 236)), (0.6, (150, 208, 248)), (1, (214, 238, 252))],
    "dawn": [(0, (150, 172, 226)), (0.55, (236, 200, 216)), (1, (255, 230, 200))],
    "sunset": [(0, (88, 52, 128)), (0.5, (216, 96, 100)), (1, (255, 184, 92))],
    "night": [(0, (12, 16, 52)), (0.6, (30, 42, 96)), (1, (58, 72, 132))],
    "storm": [(0, (62, 68, 82)), (0.6, (104, 112, 124)), (1, (150, 158, 166))],
}
_DARKER, _LIGHTER = 0.80, 0.30  # a "-" and a "+" of a slot's sign


def sky_stops(sky: str | None) -> list[tuple[float, Colour]]:
    """The colours of a sky of a complete scene: (0 at the top to 1 at the horizon, colour)."""
    return SKY[sky or "day"]


def lit(colour: Colour, sky: str | None, amount: float = 1.0) -> Colour:
    """A colour in the light of the hour; an amount below 1 keeps a thing's colour recognisable."""
    red, green, blue = LIGHT[sky or "day"]
    return (
        colour[0] * (1 + (red - 1) * amount),
        colour[1] * (1 + (green - 1) * amount),
        colour[2] * (1 + (blue - 1) * amount),
    )


def indoors(sky: str | None) -> str:
    """Whose light there is in a room at that hour: at night and in a storm the lamps are on."""
    return {"night": "sunset", "storm": "dawn"}.get(sky or "day", sky or "day")


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """So much of the other in the one."""
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other))
    return red, green, blue


def hexed(text: str) -> Colour:
    """The colour of "#rrggbb"."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def slot_paint(name: str, slots: Mapping[str, Colour]) -> Colour:
    """The colour of a part's paint: "#rrggbb", or a slot with its sign ("c--", "hair+", "c!")."""
    if name.startswith("#"):
        return hexed(name)
    slot = name.rstrip("-+!")
    colour, sign = slots[slot], name[len(slot) :]
    if sign == "!":
        return contrast(colour)
    if sign.startswith("+"):
        lightness = (colour[0] + colour[1] + colour[2]) / 765
        return mix(colour, (255, 255, 255), _LIGHTER if lightness > 0.25 else 0.22)
    for _ in sign:
        colour = _shaded(colour)
    return colour


def contrast(colour: Colour) -> Colour:
    """A stripe that can be seen on a colour and does not change its name: cream, or dark on what is light itself."""
    bright = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]
    if bright > 225:
        return (96, 104, 122)
    return (250, 244, 228)


def _shaded(colour: Colour) -> Colour:
    """A darker colour, a little bluer as shadows are; yellow becomes golden, since darker yellow looks green."""
    if colour[0] > 180 and colour[1] > 0.72 * colour[0] and colour[2] < 0.5 * colour[1]:
        return colour[0] * 0.92, colour[1] * 0.78, colour[2] * 0.60
    return colour[0] * (_DARKER - 0.02), colour[1] * _DARKER, colour[2] * (_DARKER + 0.05)
