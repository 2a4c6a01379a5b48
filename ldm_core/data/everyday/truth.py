"""What a drawing of the everyday world shows: every single thing with its box, as labels to learn and to judge by.

What the drawing does not show is left out of the truth. Nothing is ever hidden: over 600 drawings the least visible
thing showed 0.52 of itself. But in narrow places a big car is drawn no larger than an ordinary one, and clouds find no
room in a sky that is full; see `shown_sizes` and `shown_scenery`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from .drawing import draw
from .layout import arrange
from .lexicon import SCENERY
from .spots import Spot
from .world import COLOURS, GROUNDS, KINDS, PLACES, RELATIONS, SIZES, SKIES, Scene

NATURAL = "natural"  # the colour of what is drawn in none of the ten
NONE = "none"
# What is said of each single thing besides its kind and box, and the answers to choose from.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "colour": (*COLOURS, NATURAL),
    "place": PLACES,
    "size": SIZES,
    "relation": (NONE, *RELATIONS),
}
RELATED_ON = ATTRIBUTES["relation"].index("on")  # the relation whose two things may have one middle
GRID = 32  # cells along a side; a thing is found in the cell that holds the point it is looked for at (points)
RAISED = 2 / GRID  # how far above its middle a thing is looked for that is on another
MOST = 12  # single things in one picture: four of a kind, three of each
UNSEEN = -100  # cross_entropy's mark for a label that does not count
ALIKE, APART = (
    1.03,
    1.15,
)  # factors between two drawn sizes: up to the first they look the same, from the second they differ
# Neighbours, as fractions of the picture: how far apart they may be, how far in front of each other, and their feet.
BESIDE, OVERLAP, LEVEL = 0.06, 0.03, 0.06
LEAST_SCENERY = 0.002  # of the pixels that mountains, clouds or stars must change to be seen


def corners(spot: Spot) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of what is in view of a spot, as fractions of the picture."""
    return max(spot.x, 0.0), max(spot.top, 0.0), min(spot.right, 1.0), min(spot.base, 1.0)


def labels_of(scene: Scene) -> dict[str, np.ndarray]:
    """The labels of each single thing, in arrays of MOST rows; where `kind` is UNSEEN there is none.

    cell: its number in the grid, row by row, of the point it is looked for at (points). kind, and one of each
    ATTRIBUTES: the index of the right answer. box: left, top, right, bottom. partner: from its middle to that of the thing it
    is related to.
    """
    spots, sizes = arrange(scene), shown_sizes(scene)
    whole = {name: np.full(MOST, UNSEEN, np.int64) for name in ("kind", *ATTRIBUTES)}
    found = whole | {"cell": np.zeros(MOST, np.int64)}
    found |= {"box": np.zeros((MOST, 4), np.float32), "partner": np.zeros((MOST, 2), np.float32)}
    for row, spot in enumerate(spots[:MOST]):
        thing, box = scene.things[spot.thing], corners(spot)
        x, y = middle(box)
        found["box"][row] = box
        found["kind"][row] = KINDS.index(thing.kind)
        answers = {"colour": thing.colour or NATURAL, "place": thing.place, "size": sizes[spot.thing]}
        answers["relation"] = thing.relation or NONE
        for name, answer in answers.items():
            found[name][row] = UNSEEN if answer is None else ATTRIBUTES[name].index(answer)
        found["cell"][row] = cell_of(*map(float, points(np.array(box), found["relation"][row])))
        if thing.relation and thing.other is not None:
            others = [middle(corners(other)) for other in spots if other.thing == thing.other]
            found["partner"][row] = min(
                ((a - x, b - y) for a, b in others), key=lambda step: step[0] ** 2 + step[1] ** 2
            )
    return found


def all_labels_of(scene: Scene) -> dict[str, np.ndarray]:
    """The labels of each single thing and, as `scene`, those of the whole (scene_labels)."""
    return {**labels_of(scene), "scene": np.array(scene_labels(scene))}


def with_neighbours(labels: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Labels of single things, in which "next to" is said of every thing that stands beside one of another kind or colour and
    is in no other relation: a drawing tells neither whom it was said of nor whether it was."""
    kinds, colours, boxes, relations = (labels[name] for name in ("kind", "colour", "box", "relation"))
    related, count = relations.copy(), int((kinds != UNSEEN).sum())
    none, next_to = (ATTRIBUTES["relation"].index(answer) for answer in (NONE, "next to"))
    for one in range(count):
        others = (other for other in range(count) if (kinds[other], colours[other]) != (kinds[one], colours[one]))
        if relations[one] == none and any(stand_beside(boxes[one], boxes[other]) for other in others):
            related[one] = next_to
    return labels | {"relation": related}


def stand_beside(one: Sequence[float], other: Sequence[float]) -> bool:
    """Of boxes (left, top, right, bottom): feet at about one height, and hardly a gap between them, nor one before the other."""
    gap = max(one[0], other[0]) - min(one[2], other[2])
    return abs(one[3] - other[3]) < LEVEL and -OVERLAP < gap < BESIDE


def middle(box: Sequence[float]) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def points(boxes: Any, relations: Any) -> tuple[Any, Any]:
    """Where things with boxes (..., 4) and relations (...) of ATTRIBUTES, arrays or tensors, are looked for, across and down:
    in their middles, but RAISED above them where a thing is on another. Else a child on a bed would be looked for where the
    bed is, in one cell of 0.02 of such pairs and in neighbours of 0.09, and of a cell but one thing can be said."""
    left, top, right, bottom = (boxes[..., side] for side in range(4))
    return (left + right) / 2, (top + bottom) / 2 - RAISED * (relations == RELATED_ON)


def cell_of(x: float, y: float) -> int:
    """The number of the grid's cell that holds a point of the picture."""
    column, line = (min(max(int(at * GRID), 0), GRID - 1) for at in (x, y))
    return line * GRID + column


def scene_labels(scene: Scene) -> list[int]:
    """The indices of sky and ground, and of mountains, clouds and stars 0 or 1."""
    found = [SKIES.index(scene.sky or ""), GROUNDS.index(scene.ground or "")]
    return found + [int(getattr(scene, name)) for name in SCENERY]


def shown_sizes(scene: Scene) -> list[str | None]:
    """The size that each thing of a complete scene is drawn in, to the eye: as large as a big one is big, whatever it was called.

    None where the drawing does not tell: another size would look the same, or nearly so (a factor below APART).
    """
    found: list[str | None] = []
    for index, thing in enumerate(scene.things):
        scales = {size: _scale(scene, index, size) for size in SIZES}
        drawn = scales[str(thing.size)]
        factors = {size: max(drawn / scale, scale / drawn) for size, scale in scales.items()}
        alike = [size for size, factor in factors.items() if factor <= ALIKE]
        if any(ALIKE < factor < APART for factor in factors.values()) or {"small", "big"} <= set(alike):
            found.append(None)
        else:
            found.append(next((size for size in ("big", "small") if size in alike), "medium"))
    return found


def _scale(scene: Scene, index: int, size: str) -> float:
    """How large a thing would be drawn in a size."""
    things = list(scene.things)
    things[index] = dataclasses.replace(things[index], size=size)
    return next(spot.scale for spot in arrange(dataclasses.replace(scene, things=tuple(things))) if spot.thing == index)


def shown_scenery(scene: Scene, size: int = 128) -> dict[str, bool | None]:
    """Whether mountains, clouds and stars are seen; None where they are in the scene but nothing is left of them."""
    found: dict[str, bool | None] = {}
    for name in SCENERY:
        found[name] = getattr(scene, name)
        if found[name]:
            without = dataclasses.replace(scene, **{name: False})  # type: ignore[arg-type]  # three fields that are bool
            changed = (draw(scene, size) != draw(without, size)).any(axis=2).mean()
            found[name] = True if changed >= LEAST_SCENERY else None
    return found
