"""Scenes made up at random: complete, consistent, with room in the picture for everything they hold."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

from ...checks import check_whole
from ..chance import pick
from . import habits
from .layout import TABLEWARE
from .world import (
    COLOURED_KINDS,
    COUNTED_ONCE,
    KINDS,
    LIGHTS,
    NATURAL_KINDS,
    PEOPLE,
    PLACES,
    SKY_KINDS,
    UNSEEN_PAIRS,
    UNSEEN_RELATIONS,
    Scene,
    Thing,
)

T = TypeVar("T")
MOST_THINGS = 4
_FIRST_KINDS = {kind: habits.WEIGHTS.get(kind, 1.0) for kind in KINDS if kind not in LIGHTS}


def random_scene(seed: int, unseen: bool = False) -> Scene:
    """The scene of a seed (an integer >= 0): complete, the same on every machine.

    `unseen` lets pairs and relations occur that are withheld from training (UNSEEN_PAIRS, UNSEEN_RELATIONS); a text
    encoder may read of them, a denoiser that is to be judged on them must not see them drawn.
    """
    seed = check_whole("seed", seed, 0, math.inf)
    return _Composer(random.Random(seed), unseen).scene()


class _Composer:
    """One scene in the making: its groups of related things take the places of the ground and of the sky."""

    def __init__(self, rng: random.Random, unseen: bool):
        self.rng = rng
        self.unseen = unseen
        self.things: list[Thing] = []
        self.free = {"ground": list(PLACES), "sky": list(PLACES)}
        self.sky = self.weighted(habits.SKY_WEIGHTS)
        self.ground = ""

    def scene(self) -> Scene:
        form = self.rng.random()
        first = self.weighted(_FIRST_KINDS)
        self.ground = self.weighted(habits.HABITATS[first])
        if form < 0.03:
            if self.ground == "room":
                self.ground = "field"
        elif form < 0.32:
            self._alone(first)
        elif form < 0.44:
            self._several(first)
        elif form < 0.76:
            self._related(first)
        else:
            self._gathered(first)
        self._light(0.9 if not self.things else 0.2)
        return self._finished()

    def _alone(self, kind: str) -> None:
        size = self.weighted({"medium": 0.52, "big": 0.33, "small": 0.15})
        self.add(kind, "center" if self.rng.random() < 0.85 else self.pick(("left", "right")), size)

    def _several(self, kind: str) -> None:
        count = 1 if kind in COUNTED_ONCE else self.pick((2, 3))
        middle = kind in habits.LONG_KINDS or self.rng.random() < 0.75
        self.add(kind, "center" if middle else self.pick(("left", "right")), count=count)

    def _gathered(self, first: str) -> None:
        """Two or three things, each in a place of its own; sometimes two of a kind in two colours."""
        self.add(first, self.pick(PLACES), self.size_among())
        for _ in range(self.pick((1, 1, 2))):
            kind = self.other_kind(first)
            row = "sky" if kind in SKY_KINDS else "ground"
            if self.free[row]:
                count = self.pick((2, 3)) if kind not in COUNTED_ONCE and self.rng.random() < 0.12 else 1
                self.add(kind, self.pick(self.free[row]), self.size_among() if count == 1 else "medium", count=count)

    def _related(self, first: str) -> None:
        """Two things in a relation and, one time in four, a third one elsewhere."""
        triple = self.triple(first)
        if triple is None:
            self._gathered(first)
            return
        subject, relation, base = triple
        self.ground = self.weighted(self._common_ground(subject, relation, base))
        # Nobody sees them there; were it left out of the grounds above, every other scene of theirs would change as well.
        if self.ground == "room" and subject in LIGHTS:
            self.ground = "field"
        place = "center" if self.rng.random() < 0.6 or subject == "rainbow" else self.pick(("left", "right"))
        several = (subject, base) in habits.SEVERAL_ON and relation == "on" and self.rng.random() < 0.35
        self.add(base, place)
        self.add(subject, place, count=self.pick((2, 3)) if several else 1, relation=relation, other=0)
        if self.rng.random() < 0.25:
            kind = self.other_kind(subject, base)
            row = "sky" if kind in SKY_KINDS else "ground"
            if self.free[row]:
                self.add(kind, self.pick(self.free[row]))

    def triple(self, first: str) -> tuple[str, str, str] | None:
        """A relation of which the first kind is a part: (kind, relation, kind), or None when there is none."""
        found = {
            relation: [pair for pair in pairs if first in pair and self.allowed(pair[0], relation, pair[1])]
            for relation, pairs in _PAIRS.items()
        }
        weights = {relation: habits.RELATION_WEIGHTS[relation] for relation, pairs in found.items() if pairs}
        if not weights:
            return None
        relation = self.weighted(weights)
        subject, base = self.pick(found[relation])
        return subject, relation, base

    def allowed(self, kind: str, relation: str, base: str) -> bool:
        if (kind == "sun" and self.sky in ("night", "storm")) or (kind == "moon" and self.sky != "night"):
            return False
        if kind == "rainbow" and self.sky in ("night", "sunset"):
            return False
        return self.unseen or (kind, relation, base) not in UNSEEN_RELATIONS

    def _common_ground(self, subject: str, relation: str, base: str) -> Mapping[str, float]:
        if relation == "holding":
            indoors = base not in ("umbrella", "kite")
            return {g: weight for g, weight in habits.HABITATS[subject].items() if indoors or g != "room"}
        grounds = habits.HABITATS[base]
        if relation == "on" or subject in LIGHTS:
            return grounds
        return {
            g: weight * habits.HABITATS[subject][g] for g, weight in grounds.items() if g in habits.HABITATS[subject]
        }

    def _light(self, chance: float) -> None:
        """Sun, moon or rainbow in a free part of the sky, if the hour and the weather allow it."""
        if self.ground == "room" or len(self.things) >= MOST_THINGS or not self.free["sky"]:
            return
        if any(thing.kind in LIGHTS for thing in self.things) or self.rng.random() >= chance:
            return
        kind = "moon" if self.sky == "night" else "sun"
        if self.sky == "storm" or (self.sky in ("day", "dawn") and self.rng.random() < 0.3):
            kind = "rainbow"
        sides = [place for place in self.free["sky"] if place != "center" or not self.things]
        if sides and (kind != "rainbow" or not any(thing.kind in SKY_KINDS for thing in self.things)):
            self.add(kind, "center" if kind == "rainbow" else self.pick(sides))

    def _finished(self) -> Scene:
        outside = self.ground != "room"
        arched = any(thing.kind == "rainbow" for thing in self.things)  # which nothing should cover
        mountains = outside and not arched and self.rng.random() < (0.12 if self.ground == "street" else 0.3)
        clouds = outside and not arched and self.rng.random() < 0.33
        stars = outside and self.sky == "night" and self.rng.random() < 0.85
        layout = self.rng.getrandbits(32)
        return Scene(self.sky, self.ground, tuple(self.things), mountains, clouds, stars, layout)

    def add(
        self,
        kind: str,
        place: str,
        size: str = "medium",
        count: int = 1,
        relation: str | None = None,
        other: int | None = None,
    ) -> None:
        """One thing more; the places that it takes are free no longer."""
        self.things.append(Thing(kind, self.colour(kind), count, place, size, relation, other))
        row = "sky" if kind in SKY_KINDS and relation not in ("on", "holding") else "ground"
        if place in self.free[row]:
            self.free[row].remove(place)
        if relation == "holding" and kind == "kite" and place in self.free["sky"]:
            self.free["sky"].remove(place)

    def other_kind(self, *present: str) -> str:
        """A kind that is found on this ground; seldom one that is there already, and then it has another colour."""
        if len(present) == 1 and present[0] in COLOURED_KINDS and self.rng.random() < 0.15:
            return present[0]
        table_top = all(thing.kind in TABLEWARE for thing in self.things)
        found = {
            kind: habits.HABITATS[kind][self.ground] * weight
            for kind, weight in _FIRST_KINDS.items()
            if self.ground in habits.HABITATS[kind] and kind not in present
            if all(kind != thing.kind for thing in self.things)
            if (kind in TABLEWARE) == table_top
        }
        return self.weighted(found)

    def size_among(self) -> str:
        return self.weighted({"medium": 0.74, "small": 0.13, "big": 0.13})

    def colour(self, kind: str) -> str | None:
        """A colour for a kind: not one that another of its kind has here, nor one that is withheld from training."""
        if kind not in COLOURED_KINDS:
            return None
        if kind in NATURAL_KINDS and self.rng.random() < habits.NATURAL_LOOK[kind]:
            return None if all(thing.kind != kind for thing in self.things) else "white"
        taken = {thing.colour for thing in self.things if thing.kind == kind}
        choices = [
            colour
            for colour in habits.colours_of(kind)
            if colour not in taken and (self.unseen or (kind, colour) not in UNSEEN_PAIRS)
        ]
        return self.pick(choices)

    def pick(self, choices: Sequence[T]) -> T:
        """One of them."""
        return pick(self.rng, choices)

    def weighted(self, weights: Mapping[str, float]) -> str:
        """A key, as often as its weight says."""
        left = self.rng.random() * sum(weights.values())
        for key, weight in weights.items():
            left -= weight
            if left < 0:
                return key
        return next(reversed(list(weights)))


def _meet(kind: str, other: str) -> bool:
    """Whether two kinds are found on the same ground; what stands on table-tops meets only its like."""
    return kind != other and bool(set(habits.HABITATS[kind]) & set(habits.HABITATS[other]))


_STANDING = [kind for kind in KINDS if kind not in SKY_KINDS and kind not in ("boat", "train", "pizza")]
_PAIRS: dict[str, list[tuple[str, str]]] = {
    "riding": [(rider, steed) for steed in habits.STEEDS for rider in PEOPLE],
    "holding": [(person, held) for held in habits.HELD for person in PEOPLE],
    "on": [(kind, surface) for surface, kinds in habits.SURFACES.items() for kind in kinds],
    "in front of": [(front, back) for back in habits.BACK_KINDS for front in habits.FRONT_KINDS if _meet(front, back)],
    "above": [(over, below) for below in habits.BELOW_KINDS for over in habits.ABOVE_KINDS],
    "next to": [
        (kind, other)
        for kind in _STANDING
        for other in _STANDING
        if _meet(kind, other) and (kind in TABLEWARE) == (other in TABLEWARE)
    ],
}
