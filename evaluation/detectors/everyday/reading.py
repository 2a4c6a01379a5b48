"""From the network's maps to what a picture shows: single things, counted together, in their relations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ldm_core.data.everyday import GROUNDS, KINDS, SKIES, SKY_KINDS, Scene, Thing
from ldm_core.data.everyday.atoms import Relations
from ldm_core.data.everyday.lexicon import SCENERY

from .network import MAPS, SCENE
from .truth import ATTRIBUTES, GRID, NATURAL, NONE

FOUND = 0.5  # how many middles of a kind must be expected in the nine cells around its likeliest one
MOST_FOUND = 40  # single things in a picture; a program draws twelve, a model that fails may draw a heap
# What stands side by side or above another is so whoever is asked: these two relations are also read off the boxes.
BESIDE = 0.06  # of the picture's width: the widest gap between neighbours


@dataclass(frozen=True)
class Sighting:
    """One thing in a picture: its kind, its box (left, top, right, bottom, fractions of the picture), how sure its kind is, and
    log-probabilities of the answers of each of ATTRIBUTES; `partner` is where the thing it is related to would have its middle."""

    kind: str
    box: tuple[float, float, float, float]
    sure: float
    scores: dict[str, Tensor]
    partner: tuple[float, float]

    @property
    def colour(self) -> str:
        return ATTRIBUTES["colour"][int(self.scores["colour"].argmax())]

    @property
    def middle(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


@dataclass(frozen=True)
class Reading:
    """What a picture shows. `also` are relations beside those of the scene's things, of which each has one at the most."""

    scene: Scene
    also: Relations = frozenset()
    sightings: tuple[tuple[Sighting, ...], ...] = ()  # of each thing of the scene


def sightings(maps: Tensor) -> list[list[Sighting]]:
    """The things in each picture, from maps (B, sum of MAPS, GRID, GRID)."""
    parts = dict(zip(MAPS, maps.split(list(MAPS.values()), dim=1)))
    kinds = parts["kind"].softmax(1)[:, :-1]
    expected = 9 * F.avg_pool2d(kinds, 3, 1, 1)
    peaks = (kinds == F.max_pool2d(kinds, 3, 1, 1)) & (expected > FOUND)
    logs = {name: parts[name].log_softmax(1) for name in ATTRIBUTES}
    found: list[list[Sighting]] = [[] for _ in maps]
    for picture, kind, y, x in peaks.nonzero().tolist():
        left, up, right, down = parts["box"][picture, :, y, x].tolist()
        at_x, at_y = (x + 0.5) / GRID, (y + 0.5) / GRID
        box = (at_x - left, at_y - up, at_x + right, at_y + down)
        step_x, step_y = parts["partner"][picture, :, y, x].tolist()
        middle_x, middle_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        found[picture].append(
            Sighting(
                KINDS[kind],
                box,
                float(expected[picture, kind, y, x]),
                {name: values[picture, :, y, x] for name, values in logs.items()},
                (middle_x + step_x, middle_y + step_y),
            )
        )
    return [sorted(seen, key=lambda one: -one.sure)[:MOST_FOUND] for seen in found]


def readings(maps: Tensor, scene_scores: Tensor) -> list[Reading]:
    """What each picture shows, from maps (B, sum of MAPS, GRID, GRID) and scores (B, sum of SCENE)."""
    answers = [part.argmax(1).tolist() for part in scene_scores.split(list(SCENE.values()), dim=1)]
    return [
        _reading(seen, Scene(SKIES[sky], GROUNDS[ground], **dict(zip(SCENERY, map(bool, scenery)))))
        for seen, sky, ground, *scenery in zip(sightings(maps), *answers)
    ]


def _reading(seen: Sequence[Sighting], background: Scene) -> Reading:
    """Sightings of one kind and colour are one thing, as many as they are."""
    alike: dict[tuple[str, str], list[Sighting]] = {}
    for one in seen:
        alike.setdefault((one.kind, one.colour), []).append(one)
    groups = [tuple(group) for group in alike.values()]
    things = [_thing(groups, index) for index in range(len(groups))]
    scene = replace(background, things=tuple(things))
    return Reading(scene, _beside_and_above(groups), tuple(groups))


def _thing(groups: Sequence[tuple[Sighting, ...]], index: int) -> Thing:
    """A group as a thing of the scene: what most of its members say together."""
    group = groups[index]
    said = {
        name: ATTRIBUTES[name][int(torch.stack([one.scores[name] for one in group]).sum(0).argmax())]
        for name in ("place", "size", "relation")
    }
    colour = None if group[0].colour == NATURAL else group[0].colour
    other = None if said["relation"] == NONE else _partner(groups, index)
    relation = None if other is None else said["relation"]
    return Thing(group[0].kind, colour, len(group), said["place"], said["size"], relation, other)


def _partner(groups: Sequence[tuple[Sighting, ...]], index: int) -> int | None:
    """The thing with a member nearest to where a group's first one expects its partner; None where there is no other."""
    x, y = groups[index][0].partner
    away = {
        other: min((one.middle[0] - x) ** 2 + (one.middle[1] - y) ** 2 for one in members)
        for other, members in enumerate(groups)
        if other != index
    }
    return min(away, key=lambda other: away[other]) if away else None


def _beside_and_above(groups: Sequence[tuple[Sighting, ...]]) -> Relations:
    """The relations that boxes tell by themselves."""
    found = set()
    for a, first in enumerate(groups):
        for b, second in enumerate(groups):
            if a != b and any(_above(one, other) for one in first for other in second):
                found.add((a, "above", b))
            if a != b and any(_beside(one, other) for one in first for other in second):
                found.add((a, "next to", b))
    return frozenset(found)


def _above(one: Sighting, other: Sighting) -> bool:
    """In the sky over what is not, its middle between the other's sides, or the other's between its own."""
    if one.kind not in SKY_KINDS or one.box[3] > other.box[1] + 0.25 * (other.box[3] - other.box[1]):
        return False
    over = other.box[0] <= one.middle[0] <= other.box[2]
    return over or one.box[0] <= other.middle[0] <= one.box[2]


def _beside(one: Sighting, other: Sighting) -> bool:
    """Feet at about one height, and hardly a gap between them, nor one before the other."""
    gap = max(one.box[0], other.box[0]) - min(one.box[2], other.box[2])
    return abs(one.box[3] - other.box[3]) < 0.06 and -0.03 < gap < BESIDE
