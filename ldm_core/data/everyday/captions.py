"""Scenes of the everyday world in words: one scene in many ways, as people say it, and as they leave things out."""

from __future__ import annotations

import operator
import random
import re
from collections.abc import Sequence

from ..chance import pick
from . import phrases, table
from .lexicon import RELATIONS
from .naming import name_thing, with_article
from .omissions import SKILLS, leave_out
from .world import FURNITURE, PEOPLE, Scene, Thing


def caption(
    scene: Scene,
    seed: int,
    dropout: float = 0.0,
    without: tuple[str, ...] = (),
    looks: Sequence[str] | None = None,
    across: Sequence[float] | None = None,
) -> str:
    """One way to say a scene, the same for the same seed (an integer).

    Four of five captions name every thing of the scene; of scenery, places and sizes they say less (omissions.py).
    dropout: the chance in [0, 1] that each further fact is left out, one by one. without: skills never said (of
    omissions.SKILLS, such as "colour"); the wording is else the same as that of the whole caption of that seed.
    looks: layout.look_names(scene), so that a girl who is drawn is not called a boy; None where nothing is drawn.
    across: layout.middles(scene), by which things of which no place is said are told from left to right, and of two that stand
    side by side the left one first; where it is None, in any order.
    A partial scene is said as far as it goes. ValueError names an argument that is out of range.
    """
    if not 0 <= dropout <= 1:
        raise ValueError(f"dropout must be in [0, 1], got {dropout!r}")
    if unknown := set(without) - set(SKILLS):
        raise ValueError(f"without must name skills of {', '.join(SKILLS)}, got {', '.join(sorted(unknown))}")
    seed = operator.index(seed)
    part, numbers = leave_out(scene, random.Random(seed), dropout, without)
    named = None if looks is None else [looks[number] for number in numbers]
    placed = None if across is None else [across[number] for number in numbers]
    return _Speaker(seed, named, placed).sentence(part)


def complete_caption(scene: Scene, seed: int, looks: Sequence[str] | None = None) -> str:
    """One way to say everything of a scene: every thing with all its attributes, and all of the scenery."""
    return _Speaker(seed, looks).sentence(scene)


class _Speaker:
    """Says one scene. Each thing and the frame have generators of their own: less said of one changes no other."""

    def __init__(self, seed: int, looks: Sequence[str] | None, across: Sequence[float] | None = None):
        self.seed = seed
        self.looks = looks
        self.across = across
        self.frame = random.Random(2 * seed + 1)
        self.bare = self.frame.random() < 0.12  # "red car at night"

    def sentence(self, scene: Scene) -> str:
        if scene == Scene(layout=scene.layout):
            raise ValueError("the scene must say something, got one in which all is None: give it a thing or a ground")
        # "A man in red and white flowers" would be misread: a colour alone is said where nothing else follows.
        self.single = len(scene.things) == 1 + any(thing.relation for thing in scene.things)
        units = self._units(scene)
        sky, said = self._sky(scene)
        listed = self._listed(units, scene, said)
        ground = _ground_phrase(self.frame, scene.ground) if scene.ground else ""
        sentence = self._framed(scene, listed, sky, ground, said)
        return re.sub(r"\s+", " ", re.sub(r"\s+,", ",", sentence)).strip(" ,")

    def _sky(self, scene: Scene) -> tuple[str, str]:
        """The phrase for the hour, and the part of the scenery that it says as well: "on a starry night", stars."""
        rng, sky = self.frame, scene.sky or "day"
        usual, open_sky = pick(rng, phrases.SKY_PHRASES[sky]), pick(rng, phrases.OPEN_SKY_PHRASES[sky])
        starry, cloudy = pick(rng, phrases.STARRY_NIGHTS), pick(rng, phrases.CLOUDY_DAYS)
        form = rng.random()
        if scene.sky is None:
            return "", ""
        if form < 0.4 and sky == "night" and scene.stars:
            return starry, "stars"
        if form < 0.4 and sky == "day" and scene.clouds:
            return cloudy, "clouds"
        return (open_sky if form > 0.7 and scene.ground != "room" else usual), ""

    def _framed(self, scene: Scene, listed: str, sky: str, ground: str, said: str) -> str:
        """The list of things, led in or followed by ground and sky."""
        rng = self.frame
        form, opening, comma = rng.random(), pick(rng, phrases.OPENINGS), pick(rng, ("", "", ","))
        sky_noun = pick(rng, phrases.SKY_NOUNS[scene.sky]) if scene.sky else ""
        ground_noun = pick(rng, phrases.GROUND_NOUNS[scene.ground]) if scene.ground else ""
        opening = self._fitting(opening, listed)
        if not listed:
            return f"{ground_noun} {sky}" if scene.ground or said else sky_noun
        if form < 0.08 and sky:
            return f"{sky}, {listed} {ground}"
        if _begins_with_place(listed):
            return f"{listed}{comma if sky or ground else ''} {ground} {sky}"
        if form < 0.16 and sky and scene.ground != "room" and not said:
            return f"{sky_noun} over {listed} {ground}"
        if form < 0.26 and ground:
            return f"{ground_noun} with {listed} {sky}"
        if form < 0.34 and ground:
            return f"{ground}, {listed} {sky}"
        if form < 0.45 and (sky or ground):
            return f"{opening}{listed}, {sky} {ground}"
        return f"{opening}{listed}{comma if sky or ground else ''} {ground} {sky}"

    def _fitting(self, opening: str, listed: str) -> str:
        """There is a dog; there are two dogs; no opening for a caption in telegraph style."""
        if self.bare or opening != "there is ":
            return "" if self.bare else opening
        several = listed.startswith(("two ", "three ", "several ", "some ", "many "))
        return "there are " if several else opening if re.match("(a|an|one|the) ", listed) else ""

    def _listed(self, units: dict[int, str], scene: Scene, said: str) -> str:
        """The units, and the scenery but what is said already, as one list: "a, b and c"."""
        rng = self.frame
        ranks = dict(zip(units, [rng.random() for _ in units]))
        in_order = rng.random() < 0.5  # as given: by importance; else in any order
        if self.across and not any(thing.place for thing in scene.things):
            parts = [units[index] for index in sorted(units, key=lambda index: self._middle(scene, index))]
        else:
            parts = [units[index] for index in (units if in_order else sorted(units, key=ranks.__getitem__))]
        for name, choices in phrases.SCENERY_PHRASES.items():
            chosen = pick(rng, choices)
            parts = [*parts, chosen] if getattr(scene, name) and name != said else parts
        joint = pick(rng, (" and ", " and ", " and ", ", ", " with "))
        if len(parts) < 3:
            return joint.join(parts)
        return ", ".join(parts[:-1]) + f" and {parts[-1]}"

    def _middle(self, scene: Scene, index: int) -> float:
        """Where a thing is across, or what it stands in a relation to."""
        other = scene.things[index].other
        return (self.across or ())[index if other is None else other]

    def _units(self, scene: Scene) -> dict[int, str]:
        """Each thing, or two things in their relation, as one piece of the sentence, by the number of the one it is said of."""
        units: dict[int, str] = {}
        told: set[int] = set()
        order = sorted(range(len(scene.things)), key=lambda index: scene.things[index].relation is None)
        for index in order:
            if index in told:
                continue
            thing = scene.things[index]
            rng = random.Random(self.seed * 16 + index)
            if thing.relation is None or thing.other is None:
                units[index] = self._alone(rng, scene, index)
                told.add(index)
            elif thing.other in told:
                units[index] = self._again(rng, scene, index)
                told.add(index)
            else:
                units[index] = self._related(rng, scene, index)
                told |= {index, thing.other}
        return units

    def _named(self, rng: random.Random, scene: Scene, index: int) -> str:
        look = None if self.looks is None else self.looks[index]
        return name_thing(rng, scene.things[index], self.bare, self.single, look)

    def _alone(self, rng: random.Random, scene: Scene, index: int) -> str:
        thing = scene.things[index]
        noun = self._named(rng, scene, index)
        posture = pick(rng, phrases.POSTURES.get(thing.kind, ("",)))
        posture = posture if rng.random() < 0.15 and not self.bare else ""
        return _placed(rng, f"{noun} {posture}", thing.place)

    def _related(self, rng: random.Random, scene: Scene, index: int) -> str:
        """A man riding a horse; a house behind a car; a table with a cup on it."""
        thing, other_index = scene.things[index], int(scene.things[index].other or 0)
        other, relation = scene.things[other_index], str(scene.things[index].relation)
        first = self._named(rng, scene, index)
        second = self._named(random.Random(self.seed * 16 + other_index), scene, other_index)
        phrase = _relation_phrase(rng, thing, relation, other)
        if relation == "next to" and self.across and self.across[index] > self.across[other_index]:
            first, second = second, first
        form, inverse = rng.random(), pick(rng, phrases.INVERSE_PHRASES.get(relation, ("",)))
        if inverse and form < 0.2:
            said = f"{second} {inverse} {first}"
        elif (
            relation in ("on", "above", "in front of")
            and form < 0.3
            and other.count in (1, None)
            and other.kind not in PEOPLE
        ):
            said = f"{second} with {first} {relation} {'them' if other.kind == 'flowers' else 'it'}"
        else:
            said = f"{first} {phrase} {second}"
        return _placed(rng, said, thing.place or other.place)

    def _again(self, rng: random.Random, scene: Scene, index: int) -> str:
        """A thing in a relation to one that the sentence has named already: "a cake on the same table"."""
        thing = scene.things[index]
        other = scene.things[int(thing.other or 0)]
        noun = phrases.NOUNS[other.kind][0]
        noun = table.plural(noun) if other.count != 1 else noun
        return _placed(rng, f"{self._named(rng, scene, index)} {thing.relation} the same {noun}", thing.place)


def _begins_with_place(words: str) -> bool:
    """Whether a list begins "on the left a ...", which nothing can lead in."""
    return any(words.startswith(phrase) for group in phrases.PLACE_PHRASES.values() for phrase in group)


def _relation_phrase(rng: random.Random, thing: Thing, relation: str, other: Thing) -> str:
    phrase, form, rare = pick(rng, phrases.RELATION_PHRASES[relation]), rng.random(), rng.random()
    if rare < 0.06:
        return pick(
            rng, tuple(words for words, (name, inverse) in RELATIONS.items() if name == relation and not inverse)
        )
    if relation == "on" and form < 0.5 and thing.kind in phrases.RESTING_PHRASES and other.kind in FURNITURE:
        return pick(rng, phrases.RESTING_PHRASES[thing.kind])
    if relation == "above" and thing.kind in ("bird", "airplane", "kite", "balloon") and form < 0.4:
        return f"flying {phrase}"
    if relation == "holding" and other.kind == "kite" and form < 0.35:
        return "flying"
    return phrase


def _ground_phrase(rng: random.Random, ground: str) -> str:
    rare, usual, synonym = rng.random(), pick(rng, phrases.GROUND_PHRASES[ground]), pick(rng, table.synonyms(ground))
    if rare > 0.08:
        return usual
    lead = phrases.ODD_LEADS.get(synonym, phrases.GROUND_LEADS[ground])
    return f"{lead[:-2]} {with_article(synonym)}" if lead.endswith(" a") else f"{lead} {synonym}"


def _placed(rng: random.Random, words: str, place: str | None) -> str:
    """A unit with its place after it or, seldom, before it."""
    first, phrase = rng.random() < 0.1, pick(rng, phrases.PLACE_PHRASES[place or "left"])
    if place is None:
        return words.strip()
    return f"{phrase} {words}".strip() if first else f"{words.strip()} {phrase}"
