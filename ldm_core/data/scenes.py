"""The drawn world in one import: pictures, captions and the exact truth about both, without end.

    scene = random_scene(seed)        what there is to see
    draw(scene, size=128)             uint8 (size, size, 3)
    caption(scene, seed)              one of many ways to say it
    parse(text)                       what a text asks for, or None
    masks(scene, size=128)            float32 (things, size, size): the visible part of each thing

A seed gives the same scene, caption and bytes on every machine.
"""

from .captions import KIND_WORDS, caption, known_words, parse
from .drawing import draw, masks
from .world import (
    COLOURED_KINDS,
    COLOURS,
    GROUND_KINDS,
    GROUNDS,
    HELD_OUT_SEEDS,
    KINDS,
    PLACES,
    REFERENCE_SEEDS,
    SKIES,
    SKY_KINDS,
    TRAINING_SEEDS,
    UNSEEN_PAIRS,
    Scene,
    Thing,
    random_scene,
)

__all__ = [
    "COLOURED_KINDS",
    "COLOURS",
    "GROUNDS",
    "GROUND_KINDS",
    "HELD_OUT_SEEDS",
    "KINDS",
    "KIND_WORDS",
    "PLACES",
    "REFERENCE_SEEDS",
    "SKIES",
    "SKY_KINDS",
    "TRAINING_SEEDS",
    "UNSEEN_PAIRS",
    "Scene",
    "Thing",
    "caption",
    "draw",
    "known_words",
    "masks",
    "parse",
    "random_scene",
]
