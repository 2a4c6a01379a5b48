"""The worlds that a program draws, and so knows all about. Imports no torch.

Each is a module with random_scene, draw, caption and parse, and ranges of seeds. The detector that reads a world's pictures
has the world's name in detectors/detector.py, so metrics called after scenes know theirs by the world of the pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ldm_core.data import everyday

DRAWN: dict[str, Any] = {"everyday": everyday}
# Whose pictures they are where nobody says: a run's are its model's, and evaluation.score has --world.
DRAWN_WORLD = "everyday"


def drawings(world: str, seeds: Iterable[int], size: int | None = None) -> np.ndarray:
    """A world's scenes of these seeds as pictures, uint8 (N, size, size, 3); at the size of its models where none is given."""
    drawn = DRAWN[world]
    sizes = {} if size is None else {"size": size}
    return np.stack([drawn.draw(drawn.random_scene(seed), **sizes) for seed in seeds])


def caption_of(world: str, seed: int) -> str:
    """A caption of a world's scene of a seed; what the everyday world draws as a girl is not called a boy."""
    scene = DRAWN[world].random_scene(seed)
    looks = {"looks": everyday.look_names(scene)} if world == "everyday" else {}
    return DRAWN[world].caption(scene, seed, **looks)
