"""What a caption leaves unsaid: a scene with some of its facts taken out."""

from __future__ import annotations

import dataclasses
import random

from .lexicon import SCENERY
from .world import COUNTED_ONCE, Scene, Thing

# How often an ordinary caption says what it could: people seldom say where a thing stands, mostly what colour it has.
SAID = {
    "colour": 0.92,
    "count": 0.97,
    "place": 0.45,
    "size": 0.85,
    "relation": 0.95,
    "ground": 0.7,
    "sky": 0.5,
    "scenery": 0.6,
}
ALL_NAMED = 0.8  # of the captions name every thing
BRIEF = 0.3  # of the captions are brief as most prompts are: "a cat", "red car at night"
_UNSAID_IN_BRIEF = ("place", "size", "ground", "sky", "scenery")
SKILLS = tuple(SAID)


def leave_out(
    scene: Scene, rng: random.Random, dropout: float = 0.0, without: tuple[str, ...] = ()
) -> tuple[Scene, list[int]]:
    """The part of a scene that an ordinary caption says, and the numbers that its things have in the whole scene.

    It is never nothing, and in four of five captions every thing is named.

    dropout: the chance that a fact is left out on top of that. without: skills (of SKILLS) left out altogether. The
    same numbers are drawn whatever both are, so that two calls with equal generators differ in nothing else.
    """
    draws = iter(lambda: (rng.random(), rng.random()), None)  # for each fact: by habit, by dropout
    places = next(draws)  # one caption says all places or none
    brief = rng.random() < BRIEF

    def says(skill: str, drawn: tuple[float, float], chance: float) -> bool:
        chance *= 0.1 if brief and skill in _UNSAID_IN_BRIEF else 1.0
        return skill not in without and drawn[0] < chance and drawn[1] >= dropout

    names_all = rng.random() < ALL_NAMED
    named = [names_all or rng.random() < 0.6 for _ in scene.things]
    if scene.things and not any(named):
        named[0] = True
    things = []
    for thing in scene.things:
        drawn = {skill: next(draws) for skill in SAID} | {"place": places}
        things.append(_lessened(thing, {skill: says(skill, drawn[skill], chance) for skill, chance in SAID.items()}))
    sky_chance = SAID["sky"] * (0.7 if scene.sky == "day" else 1.2)  # a fine day goes without saying more often
    sky = scene.sky if says("sky", next(draws), sky_chance) else None
    ground = scene.ground if says("ground", next(draws), SAID["ground"]) else None
    seen = [says("scenery", next(draws), SAID["scenery"]) and getattr(scene, name) for name in SCENERY]
    if not things and sky is None and ground is None and not any(seen):
        sky, ground = (None if scene.ground else scene.sky), scene.ground
        seen = seen if sky or ground else [getattr(scene, name) for name in SCENERY]
    kept = [index for index, name in enumerate(named) if name]
    mountains, clouds, stars = seen
    return Scene(sky, ground, _only(things, kept), mountains, clouds, stars, scene.layout), kept


def _lessened(thing: Thing, said: dict[str, bool]) -> Thing:
    """A thing with the attributes that are said. Of one thing, or of flowers, the count goes without saying."""
    counted = said["count"] or thing.count == 1 or thing.kind in COUNTED_ONCE
    related = said["relation"]
    return Thing(
        thing.kind,
        thing.colour if said["colour"] else None,
        thing.count if counted else None,
        thing.place if said["place"] else None,
        thing.size if said["size"] else None,
        thing.relation if related else None,
        thing.other if related else None,
    )


def _only(things: list[Thing], kept: list[int]) -> tuple[Thing, ...]:
    """The things of these numbers alone; a relation to one that is not named is not said either."""
    found = []
    for thing in (things[index] for index in kept):
        if thing.other is not None and thing.other not in kept:
            thing = dataclasses.replace(thing, relation=None, other=None)
        elif thing.other is not None:
            thing = dataclasses.replace(thing, other=kept.index(thing.other))
        found.append(thing)
    return tuple(found)
