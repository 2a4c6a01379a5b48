"""The everyday world in one import: pictures, whose pixel is whose, and the exact truth about both, without end.

    scene = random_scene(seed)        what there is to see
    draw(scene, size=256)             uint8 (size, size, 3)
    masks(scene, size=256)            float32 (things, size, size): the visible part of each thing

A seed gives the same scene and the same bytes on every machine.
"""

from .composition import random_scene
from .drawing import boxes, draw, masks, visible_shares
from .world import (
    COLOURED_KINDS,
    COLOURS,
    COUNTS,
    GROUNDS,
    HELD_OUT_SEEDS,
    KINDS,
    NATURAL_KINDS,
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
    "COLOURED_KINDS", "COLOURS", "COUNTS", "GROUNDS", "HELD_OUT_SEEDS", "KINDS", "NATURAL_KINDS", "PLACES",
    "REFERENCE_SEEDS", "RELATIONS", "SIZES", "SKIES", "SKY_KINDS", "TRAINING_SEEDS", "UNCOLOURED_KINDS",
    "UNSEEN_PAIRS", "UNSEEN_RELATIONS", "Scene", "Thing",
    "boxes", "draw", "masks", "random_scene", "visible_shares",
]  # fmt: skip
