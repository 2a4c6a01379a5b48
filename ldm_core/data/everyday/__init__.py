"""The everyday world in one import: pictures, whose pixel is whose, and the exact truth about both, without end.

    scene = random_scene(seed)        what there is to see
    draw(scene, size=256)             uint8 (size, size, 3)
    caption(scene, seed)              one of many ways to say it
    parse(text)                       what a text asks for, or None
    look_names(scene)                 "girl", "sailboat", ...: what is drawn where words differ
    masks(scene, size=256)            float32 (things, size, size): the visible part of each thing

A seed gives the same scene and the same bytes on every machine.
"""

from .captions import caption
from .composition import random_scene
from .drawing import boxes, draw, masks, visible_shares
from .layout import look_names
from .parsing import parse
from .vocabulary import known_words
from .world import (
    COLOURED_KINDS,
    COLOURS,
    COUNTS,
    GROUNDS,
    HELD_OUT_SEEDS,
    KINDS,
    NATURAL_KINDS,
    PEOPLE,
    PLACES,
    REFERENCE_SEEDS,
    RELATIONS,
    SIZES,
    SKIES,
    SKY_KINDS,
    TRAINING_SEEDS,
    UNCOLOURED_KINDS,
    UNSEEN_PAIRS,
    UNSEEN_RELATIONS,
    Scene,
    Thing,
)

__all__ = [
    "COLOURED_KINDS",
    "COLOURS",
    "COUNTS",
    "GROUNDS",
    "HELD_OUT_SEEDS",
    "KINDS",
    "NATURAL_KINDS",
    "PEOPLE",
    "PLACES",
    "REFERENCE_SEEDS",
    "RELATIONS",
    "SIZES",
    "SKIES",
    "SKY_KINDS",
    "TRAINING_SEEDS",
    "UNCOLOURED_KINDS",
    "UNSEEN_PAIRS",
    "UNSEEN_RELATIONS",
    "Scene",
    "Thing",
    "boxes",
    "caption",
    "draw",
    "known_words",
    "look_names",
    "masks",
    "parse",
    "random_scene",
    "visible_shares",
]
