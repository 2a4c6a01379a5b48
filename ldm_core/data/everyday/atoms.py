"""What a scene states, one fact at a time: atoms for scoring pictures, facts for a text encoder's reading task."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from .lexicon import SCENERY
from .world import COLOURED_KINDS, COLOURS, COUNTED_ONCE, COUNTS, GROUNDS, KINDS, PLACES, RELATIONS, SKIES, Scene, Thing

SKILLS = ("kind", "colour", "count", "place", "size", "relation", "ground", "sky", "scenery")
SAID_SIZES = ("small", "big")  # nobody speaks of the medium size
_SYMMETRIC = ("next to",)


@dataclass(frozen=True)
class Atom:
    """One fact: the skill it asks for, its value, and the index of the thing it is about (None: the whole scene).

    `other` is the index of the second thing of a relation.
    """

    skill: str
    value: str | int
    thing: int | None = None
    other: int | None = None


def atoms(scene: Scene) -> tuple[Atom, ...]:
    """All that a scene states. What is None (or False) is not stated, nor is a medium size.

    One atom of kind for each thing, then its colour, count, place, size and relation; of flowers, sun, moon and
    rainbow no count, since there is but one of them always.
    """
    found: list[Atom] = []
    for index, thing in enumerate(scene.things):
        values: dict[str, str | int | None] = {"kind": thing.kind, "colour": thing.colour, "place": thing.place}
        values["count"] = None if thing.kind in COUNTED_ONCE else thing.count
        values["size"] = thing.size if thing.size in SAID_SIZES else None
        stated = [(skill, values.get(skill)) for skill in SKILLS]
        found += [Atom(skill, value, index) for skill, value in stated if value is not None]
        if thing.relation is not None and thing.other is not None:
            found.append(Atom("relation", thing.relation, index, thing.other))
    found += [Atom(skill, name) for skill, name in (("ground", scene.ground), ("sky", scene.sky)) if name]
    return tuple(found) + tuple(Atom("scenery", name) for name in SCENERY if getattr(scene, name))


Relations = frozenset[tuple[int, str, int]]  # (a thing, relation, a thing) by their indices in a scene


def judge(asked: Scene, seen: Scene, also: Relations = frozenset()) -> tuple[tuple[Atom, bool], ...]:
    """Each atom of what was asked for, and whether it is so in what is seen.

    Things asked for are paired one to one with things seen of the same kind so that the most atoms hold; a thing that
    finds no partner has none of its atoms. "Next to" holds whichever of the two the scene says it of. `also` are relations
    of what is seen beside those of its things, of which each has one at the most.
    """
    pairings = _pairings(asked.things, seen.things)
    return max(
        (_judged(asked, seen, pairing, also) for pairing in pairings),
        key=lambda found: sum(right for _, right in found),
    )


def extra_things(asked: Scene, seen: Scene) -> int:
    """How many things are seen that nobody asked for: those left over when things are paired by kind."""
    kinds, wanted = (Counter(thing.kind for thing in scene.things) for scene in (seen, asked))
    return (kinds - wanted).total()


def _pairings(asked: tuple[Thing, ...], seen: tuple[Thing, ...]) -> Iterator[dict[int, int | None]]:
    """Every way to pair things asked for with things seen of their kind: index asked for -> index seen."""
    choices = []
    for kind in dict.fromkeys(thing.kind for thing in asked):
        wanted = [index for index, thing in enumerate(asked) if thing.kind == kind][:6]
        alike = [index for index, thing in enumerate(seen) if thing.kind == kind][:6]
        there = [*alike, *[None] * (len(wanted) - len(alike))]
        choices.append(
            [dict(zip(wanted, order)) for order in dict.fromkeys(itertools.permutations(there, len(wanted)))]
        )
    for combination in itertools.product(*choices):
        yield {index: partner for part in combination for index, partner in part.items()}


def _judged(
    asked: Scene, seen: Scene, pairing: dict[int, int | None], also: Relations
) -> tuple[tuple[Atom, bool], ...]:
    return tuple((atom, _holds(atom, seen, pairing, also)) for atom in atoms(asked))


def _holds(atom: Atom, seen: Scene, pairing: dict[int, int | None], also: Relations) -> bool:
    if atom.skill == "scenery":
        return bool(getattr(seen, str(atom.value)))
    if atom.thing is None:
        return getattr(seen, atom.skill) == atom.value
    index = pairing.get(atom.thing)
    if index is None:
        return False
    if atom.skill == "relation":
        partner = pairing.get(atom.other if atom.other is not None else -1)
        return _related(seen, index, str(atom.value), partner, also)
    return getattr(seen.things[index], atom.skill) == atom.value


def _related(seen: Scene, first: int, relation: str, second: int | None, also: Relations) -> bool:
    if second is None:
        return False
    pairs = [(first, second), (second, first)] if relation in _SYMMETRIC else [(first, second)]
    return any(
        (seen.things[a].relation == relation and seen.things[a].other == b) or (a, relation, b) in also
        for a, b in pairs
    )


def facts(scene: Scene | None) -> frozenset[str]:
    """What a scene states, as strings of `known_facts`: the labels of a text encoder's reading task.

    Besides each single fact ("red house", "house left") there is the whole of what is said of each coloured thing
    ("red house left"), so that a red house on the left and a blue one on the right differ from the same with the
    colours exchanged. A relation is two facts: who ("man riding") and whom ("riding horse").
    """
    if scene is None:
        return frozenset()
    found = {name for name in (scene.sky, scene.ground) if name}
    found |= {name for name in SCENERY if getattr(scene, name)}
    for thing in scene.things:
        found |= _facts_of(thing)
        if thing.relation is not None and thing.other is not None:
            found |= {f"{thing.kind} {thing.relation}", f"{thing.relation} {scene.things[thing.other].kind}"}
    return frozenset(found)


def _facts_of(thing: Thing) -> set[str]:
    found = {thing.kind}
    found |= {f"{thing.colour} {thing.kind}"} if thing.colour and thing.kind in COLOURED_KINDS else set()
    found |= {f"{thing.count} {thing.kind}"} if thing.count in COUNTS and thing.kind not in COUNTED_ONCE else set()
    found |= {f"{thing.size} {thing.kind}"} if thing.size in SAID_SIZES else set()
    found |= {f"{thing.kind} {thing.place}"} if thing.place else set()
    if thing.colour and thing.kind in COLOURED_KINDS and thing.place:
        found |= {f"{thing.colour} {thing.kind} {thing.place}"}
    return found


def known_facts() -> list[str]:
    """Every string that `facts` can return, in a fixed order: the labels of the reading task."""
    named = [fact for kind in KINDS for fact in (kind, *(f"{kind} {place}" for place in PLACES))]
    counted = [f"{count} {kind}" for kind in KINDS if kind not in COUNTED_ONCE for count in COUNTS]
    sized = [f"{size} {kind}" for kind in KINDS for size in SAID_SIZES]
    coloured = [
        f"{colour} {kind}{place}"
        for kind in COLOURED_KINDS
        for colour in COLOURS
        for place in ("", *(f" {place}" for place in PLACES))
    ]
    related = [
        fact for kind in KINDS for relation in RELATIONS for fact in (f"{kind} {relation}", f"{relation} {kind}")
    ]
    return [*SKIES, *GROUNDS, *SCENERY, *named, *counted, *sized, *coloured, *related]
