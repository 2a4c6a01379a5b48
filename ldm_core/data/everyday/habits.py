"""What is usual in the everyday world: where each kind is found, in which colours, and what it does with others."""

from __future__ import annotations

from .world import BUILDINGS, COLOURS, PEOPLE

_OUTDOORS = {"field": 3.0, "snow": 1.5, "desert": 1.2, "lake": 1.2, "beach": 1.6, "street": 1.5}
_TOWN = {"street": 5.0, "field": 1.0, "snow": 1.0, "desert": 1.0, "beach": 0.6, "lake": 0.5}
_SKY = {"field": 2.0, "snow": 1.2, "desert": 1.2, "lake": 1.6, "beach": 2.0, "street": 1.2}

# The grounds on which, or over which, a kind is found, and how often.
HABITATS: dict[str, dict[str, float]] = {
    "man": {**_OUTDOORS, "room": 2.5}, "woman": {**_OUTDOORS, "room": 2.5}, "child": {**_OUTDOORS, "room": 2.5},
    "dog": {**_OUTDOORS, "room": 2.5}, "cat": {**_OUTDOORS, "room": 4.0},
    "horse": {**_OUTDOORS, "street": 0.6}, "cow": {**_OUTDOORS, "street": 0.4}, "sheep": {**_OUTDOORS, "street": 0.4},
    "elephant": {**_OUTDOORS, "desert": 2.0, "street": 0.6}, "bird": _SKY,
    "car": _TOWN, "bus": _TOWN, "truck": _TOWN, "bicycle": {**_TOWN, "street": 3.0},
    "train": {"field": 3.0, "snow": 1.5, "desert": 1.5, "street": 1.0, "lake": 0.8},
    "airplane": _SKY, "balloon": _SKY, "kite": {**_SKY, "beach": 3.0}, "boat": {"lake": 1.0, "beach": 0.8},
    "house": _OUTDOORS, "castle": {**_OUTDOORS, "street": 0.4},
    "pine": {**_OUTDOORS, "snow": 2.5}, "palm": {"beach": 3.0, "desert": 2.0, "field": 1.0, "street": 1.0, "lake": 1.0},
    "oak": _OUTDOORS, "flowers": {"field": 3.0, "lake": 1.5, "street": 1.0, "beach": 1.0, "desert": 1.0, "snow": 0.7},
    "bench": {"street": 2.5, "field": 2.0, "snow": 1.2, "beach": 1.2, "lake": 1.2},
    "chair": {"room": 6.0, "beach": 0.8, "field": 0.8}, "table": {"room": 6.0, "field": 0.8, "beach": 0.5},
    "bed": {"room": 1.0}, "lamp": {"room": 3.0, "street": 1.5},
    "umbrella": {"beach": 3.0, "field": 1.0, "street": 1.5, "snow": 0.8, "room": 0.6},
    "ball": {"field": 2.0, "beach": 2.0, "street": 1.2, "snow": 1.0, "desert": 0.8, "room": 2.0},
    "cup": {"room": 1.0}, "pizza": {"room": 1.0}, "cake": {"room": 1.0},
}  # fmt: skip

# How often a kind is the first of a scene; 1 where nothing is said. Visitors ask for these most.
WEIGHTS = {"man": 1.5, "woman": 1.5, "child": 1.4, "dog": 1.6, "cat": 1.7, "car": 1.4, "house": 1.5, "bird": 1.2,
           "bed": 1.3, "cup": 1.1, "pizza": 1.1, "cake": 1.1, "lamp": 1.3, "boat": 1.4}  # fmt: skip

# The colours in which a kind is found more often than in the others. All ten occur in every coloured kind.
NATURAL_COLOURS: dict[str, tuple[str, ...]] = {
    "dog": ("brown", "black", "white", "orange"), "cat": ("orange", "black", "white", "brown"),
    "horse": ("brown", "black", "white"), "cow": ("brown", "black", "white"), "sheep": ("white", "white", "black"),
    "bird": ("blue", "red", "yellow", "brown", "white"), "castle": ("white", "brown", "red", "pink"),
    "bench": ("brown", "green", "red"), "table": ("brown", "white", "black"), "bed": ("blue", "red", "white", "pink"),
    "chair": ("brown", "red", "blue", "white"), "cake": ("pink", "white", "brown"),
}  # fmt: skip
NATURAL_LOOK = {"elephant": 0.45, "cow": 0.25, "castle": 0.2}  # how often these are drawn in none of the ten colours


def colours_of(kind: str) -> tuple[str, ...]:
    """The colours of a kind to pick from evenly: each of the ten, the natural ones several times."""
    natural = NATURAL_COLOURS.get(kind, ())
    return (*COLOURS, *natural, *natural)


LONG_KINDS = ("bed", "table", "bench", "train", "bus", "truck", "airplane")  # several of these need the whole width
# Most of what is asked for says no hour; then it is to be day more often than not.
SKY_WEIGHTS = {"day": 0.36, "dawn": 0.14, "sunset": 0.17, "night": 0.18, "storm": 0.15}
STEEDS = ("horse", "bicycle", "elephant", "cow")
HELD = ("umbrella", "ball", "kite", "cup", "flowers")
SURFACES: dict[str, tuple[str, ...]] = {  # what is found on what
    "table": ("cup", "pizza", "cake", "lamp", "cat", "flowers", "ball", "bird"),
    "bed": ("cat", "dog", "ball", "child"),
    "chair": ("cat", "dog", "man", "woman", "child", "ball"),
    "bench": ("man", "woman", "child", "cat", "dog", "bird", "cup"),
    "house": ("bird",), "car": ("cat", "bird"), "elephant": ("bird",), "cow": ("bird",), "horse": ("bird",),
}  # fmt: skip
SEVERAL_ON = (("cup", "table"), ("cat", "bed"), ("bird", "bench"))  # of these there may be two or three
FRONT_KINDS = (*PEOPLE, "dog", "cat", "sheep", "bicycle", "car", "ball", "flowers", "bench", "horse")
BACK_KINDS = (*BUILDINGS, "bus", "truck", "train", "oak", "bed", "elephant", "pine")
ABOVE_KINDS = ("bird", "airplane", "balloon", "kite", "sun", "moon", "rainbow")
BELOW_KINDS = (*BUILDINGS, *PEOPLE, "boat", "oak", "pine", "palm", "car", "bus", "horse", "elephant", "train", "sheep")
RELATION_WEIGHTS = {"riding": 6.0, "holding": 5.0, "on": 3.0, "in front of": 1.6, "above": 1.0, "next to": 1.0}
