"""From the network's maps to what a picture shows: single things, counted together, in their relations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ldm_core.data.everyday import GROUNDS, KINDS, PEOPLE, SKIES, SKY_KINDS, Scene, Thing
from ldm_core.data.everyday.atoms import Relations
from ldm_core.data.everyday.truth import ATTRIBUTES, GRID, NATURAL, NONE, stand_beside

from .glance import second_glance
from .mirror import TINY, Cells
from .network import SCENE
from .sizes import Sizes

# Of bounds tried on 3,000 drawings of training seeds, and on 285 pictures of `scenes`, these read about the most wholly right and
# with nothing too much.
FOUND = 0.2  # how many middles must be expected around a thing, beyond those of the surer ones found there
LIKELY = 0.15  # how many of its kind
AROUND = 5  # cells along a side of what is around: copies of a kind stand three apart or more
NEAREST = 2  # cells, at the least, from one thing to another (truth.points): nearer it is the same, taken for two kinds
MOST_FOUND = 40  # single things in a picture; a program draws twelve, a model that fails may draw a heap


@dataclass(frozen=True)
class Sighting:
    """One thing in a picture: its kind, its box (left, top, right, bottom, fractions of the picture), and log-probabilities of
    the answers of each of ATTRIBUTES; `partner` is where the thing it is related to would have its middle."""

    kind: str
    box: tuple[float, float, float, float]
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


class Found(NamedTuple):
    """Which of the cells of `Cells` hold the things of each picture, rows (B, MOST_FOUND), of which kinds, and which of these there
    are: of all pictures the same many, so that none is read otherwise beside others."""

    rows: Tensor
    kinds: Tensor
    there: Tensor


def found_in(said: Cells) -> Found:
    """Where the things are in each picture, the surer ones first."""
    chances, picture = said.chances, said.pictures
    line, column = said.cells // GRID, said.cells % GRID
    kinds = chances.new_zeros(len(chances), len(KINDS), GRID, GRID)
    kinds[picture, :, line, column] = said.about["kind"].exp() * chances[picture, line, column, None]
    expected = AROUND**2 * F.avg_pool2d(kinds, AROUND, 1, AROUND // 2)
    peaks = (kinds > 0) & (kinds == F.max_pool2d(kinds, AROUND, 1, AROUND // 2)) & (expected > LIKELY)
    around = AROUND**2 * F.avg_pool2d(chances[:, None], AROUND, 1, AROUND // 2)[:, 0]
    taken: list[list[tuple[int, int, int]]] = [[] for _ in chances]
    for index, kind, y, x in sorted(peaks.nonzero().tolist(), key=lambda peak: -float(expected[tuple(peak)])):
        away = [max(abs(a - x), abs(b - y)) for a, b, _ in taken[index]]
        near = sum(cells <= AROUND // 2 for cells in away)
        same = any(cells < NEAREST for cells in away)
        if not same and around[index, y, x] - near > FOUND and len(taken[index]) < MOST_FOUND:
            taken[index].append((x, y, kind))
    rows = {place: row for row, place in enumerate(zip(picture.tolist(), line.tolist(), column.tolist()))}
    found = torch.zeros(2, len(chances), MOST_FOUND, dtype=torch.long)
    for index, things in enumerate(taken):
        for place, (x, y, kind) in enumerate(things):
            found[:, index, place] = torch.tensor([rows[index, y, x], kind])
    there = torch.arange(MOST_FOUND) < torch.tensor([len(things) for things in taken])[:, None]
    return Found(rows=found[0], kinds=found[1], there=there)


def boxes_of(said: Cells) -> Tensor:
    """Left, top, right, bottom (n, 4), fractions of the picture, of what is said to be in cells."""
    middle = torch.stack([said.cells % GRID, said.cells // GRID], dim=1).add(0.5) / GRID
    reach = said.about["box"]
    return torch.cat([middle - reach[:, :2], middle + reach[:, 2:]], dim=1)


def looked_again(said: Cells, found: Found, images: Tensor, look: Callable[[Tensor], Cells]) -> tuple[Cells, Found]:
    """What is said of cells, and what was found, once the things found in images (B, 3, 256, 256) in [-1, 1] of which the eye was
    not sure have had a second glance; some may be of another kind then. look: what the eye says of such images."""
    said = second_glance(said, boxes_of(said), found.rows[found.there], images, look)
    kinds = found.kinds.masked_scatter(found.there, said.about["kind"][found.rows[found.there]].argmax(1))
    return said, found._replace(kinds=kinds)


def sized(said: Cells, found: Found, sizes: Sizes, scene_scores: Tensor) -> Cells:
    """What is said of cells, where things were found the size with regard to the others of the picture too."""
    if not found.there.any():
        return said
    answers = [part.softmax(1) for part in scene_scores.split(list(SCENE.values()), dim=1)]
    kinds, boxes = said.about["kind"].exp()[found.rows], boxes_of(said)[found.rows]
    chances = sizes.of_both(kinds, boxes, found.there, torch.cat(answers, dim=1))[found.there]
    size = said.about["size"].index_add(0, found.rows[found.there], chances.clamp(min=TINY).log())
    return said._replace(about=said.about | {"size": size.log_softmax(1)})


def sightings(said: Cells, found: Found) -> list[list[Sighting]]:
    """The things found in each picture, from what is said of cells."""
    boxes = boxes_of(said)
    seen: list[list[Sighting]] = [[] for _ in found.rows]
    for index, place in found.there.nonzero().tolist():
        row, kind = int(found.rows[index, place]), KINDS[int(found.kinds[index, place])]
        scores = {name: said.about[name][row] for name in ATTRIBUTES}
        seen[index].append(_sighting(kind, scores, boxes[row], said.about["partner"][row]))
    return seen


def _sighting(kind: str, scores: dict[str, Tensor], sides: Tensor, step: Tensor) -> Sighting:
    left, top, right, bottom = sides.tolist()
    step_x, step_y = step.tolist()
    return Sighting(
        kind, (left, top, right, bottom), scores, ((left + right) / 2 + step_x, (top + bottom) / 2 + step_y)
    )


def readings(seen: Sequence[Sequence[Sighting]], scene_scores: Tensor) -> list[Reading]:
    """What each picture shows, from its things, and scores (B, sum of SCENE)."""
    answers = [part.argmax(1).tolist() for part in scene_scores.split(list(SCENE.values()), dim=1)]
    return [
        read_things(things, Scene(SKIES[sky], GROUNDS[ground], (), *map(bool, scenery)))
        for things, sky, ground, *scenery in zip(seen, *answers)
    ]


def read_things(seen: Sequence[Sighting], background: Scene) -> Reading:
    """Sightings of one kind and colour are one thing, as many as they are."""
    alike: dict[tuple[str, str], list[Sighting]] = {}
    for one in seen:
        alike.setdefault((one.kind, one.colour), []).append(one)
    groups = [tuple(group) for group in alike.values()]
    things = [_thing(groups, index) for index in range(len(groups))]
    scene = replace(background, things=tuple(things))
    return Reading(scene, _beside_and_above(groups) | _rides(things), tuple(groups))


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
    if relation == "riding" and group[0].kind not in PEOPLE:  # it looks as whatever is on another does
        relation = "on"
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
    """The relations that boxes tell by themselves: what stands side by side or above another is so whoever is asked."""
    found = set()
    for a, first in enumerate(groups):
        for b, second in enumerate(groups):
            if a != b and any(_above(one, other) for one in first for other in second):
                found.add((a, "above", b))
            if a != b and any(stand_beside(one.box, other.box) for one in first for other in second):
                found.add((a, "next to", b))
    return frozenset(found)


def _rides(things: Sequence[Thing]) -> Relations:
    """Who is no person rides what it is on, too: legs alone tell the two apart."""
    on = ((index, thing) for index, thing in enumerate(things) if thing.relation == "on" and thing.kind not in PEOPLE)
    return frozenset((index, "riding", thing.other) for index, thing in on if thing.other is not None)


def _above(one: Sighting, other: Sighting) -> bool:
    """In the sky over what is not, its middle between the other's sides, or the other's between its own."""
    if one.kind not in SKY_KINDS or one.box[3] > other.box[1] + 0.25 * (other.box[3] - other.box[1]):
        return False
    over = other.box[0] <= one.middle[0] <= other.box[2]
    return over or one.box[0] <= other.middle[0] <= one.box[2]
