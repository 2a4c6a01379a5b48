"""The drawn world: what a scene can hold, and how one is made up at random.

A scene is its sky, its ground and a few things, each at the left, in the center or at the right. Things on the ground
and things in the sky have three places each and no two share one, so nothing a caption can name is ever hidden.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from ..checks import check_whole
from .chance import pick

SKIES = ("day", "dawn", "sunset", "night", "storm")
GROUNDS = ("field", "snow", "desert", "lake")
PLACES = ("left", "center", "right")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
LAND_KINDS = ("house", "pine", "palm")
GROUND_KINDS = (*LAND_KINDS, "boat")  # they stand in the lower row of three places
SKY_KINDS = ("balloon", "sun", "moon")  # they float in the upper row of three places
KINDS = (*GROUND_KINDS, *SKY_KINDS)
COLOURED_KINDS = ("house", "boat", "balloon")

# Combinations that no training picture holds, one a kind: how such a prompt is drawn says how far a model composes.
UNSEEN_PAIRS = (("house", "purple"), ("boat", "pink"), ("balloon", "green"))

# Seeds of scenes: models and detectors learn from the first range, are judged on the second; distribution metrics take
# their reference from the third. The ranges are disjoint, so no picture is ever on both sides of a comparison.
TRAINING_SEEDS = range(100_000_000)
HELD_OUT_SEEDS = range(100_000_000, 101_000_000)
REFERENCE_SEEDS = range(101_000_000, 102_000_000)


@dataclass(frozen=True)
class Thing:
    """One thing in a scene. In a scene read from a text, None means that the text does not say."""

    kind: str
    colour: str | None = None
    place: str | None = None


@dataclass(frozen=True)
class Scene:
    """What is to be seen. In a scene read from a text, None (and False) mean that the text does not say."""

    sky: str | None = None
    ground: str | None = None
    things: tuple[Thing, ...] = ()
    mountains: bool = False
    clouds: bool = False
    layout: int = 0  # seeds the drawing's small variations: exact positions, sizes, hills, stars

    @property
    def has_unseen_pair(self) -> bool:
        """Whether a thing in it has a colour that its kind never has in training."""
        return any((thing.kind, thing.colour) in UNSEEN_PAIRS for thing in self.things)


def random_scene(seed: int) -> Scene:
    """The scene of a seed (an integer >= 0): complete, every thing with its place, the same on every machine."""
    seed = check_whole("seed", seed, 0, math.inf)
    rng = random.Random(seed)
    sky, ground = pick(rng, SKIES), pick(rng, GROUNDS)
    sky_places = _shuffled(rng, PLACES)
    things = [*_ground_things(rng, ground), *_sky_things(rng, sky, sky_places)]
    mountains = rng.random() < 0.45
    clouds = bool(sky_places) and rng.random() < 0.45
    things.sort(key=lambda thing: PLACES.index(thing.place or ""))
    return Scene(sky, ground, tuple(things), mountains, clouds, layout=rng.getrandbits(32))


def _ground_things(rng: random.Random, ground: str) -> list[Thing]:
    count = pick(rng, (0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3))
    return [_ground_thing(rng, ground, place) for place in _shuffled(rng, PLACES)[:count]]


def _ground_thing(rng: random.Random, ground: str, place: str) -> Thing:
    kind = "boat" if ground == "lake" and rng.random() < 0.6 else pick(rng, ("house", "house", "pine", "palm"))
    return Thing(kind, _colour_for(rng, kind), place)


def _sky_things(rng: random.Random, sky: str, free: list[str]) -> list[Thing]:
    """A sun or moon and a balloon, perhaps; the places they take are removed from `free`."""
    things = []
    if sky != "storm" and rng.random() < 0.55:
        things.append(Thing("moon" if sky == "night" else "sun", None, free.pop()))
    if rng.random() < 0.35:
        things.append(Thing("balloon", pick(rng, COLOURS), free.pop()))
    return things


def _colour_for(rng: random.Random, kind: str) -> str | None:
    return pick(rng, COLOURS) if kind in COLOURED_KINDS else None


def _shuffled(rng: random.Random, items: tuple[str, ...]) -> list[str]:
    return [item for _, item in sorted((rng.random(), item) for item in items)]
