"""Scenes of the everyday world in words: one scene in many ways, as people say it, and as they leave things out."""

from __future__ import annotations

import random
import re

from . import phrases, table
from .lexicon import RELATIONS, SIZES
from .omissions import SKILLS, leave_out
from .world import COUNTED_ONCE, FURNITURE, PEOPLE, Scene, Thing


def caption(scene: Scene, seed: int, dropout: float = 0.0, without: tuple[str, ...] = ()) -> str:
    """One way to say a scene, the same for the same seed (an integer).

    Four of five captions name every thing of the scene; of scenery, places and sizes they say less (omissions.py).
    dropout: the chance in [0, 1] that each further fact is left out, one by one. without: skills never said (of
    omissions.SKILLS, such as "colour"); the wording is else the same as that of the whole caption of that seed.
    A partial scene is said as far as it goes. ValueError names an argument that is out of range.
    """
    if not 0 <= dropout <= 1:
        raise ValueError(f"dropout must be in [0, 1], got {dropout!r}")
    if unknown := set(without) - set(SKILLS):
        raise ValueError(f"without must name skills of {', '.join(SKILLS)}, got {', '.join(sorted(unknown))}")
    return _Speaker(seed).sentence(leave_out(scene, random.Random(seed), dropout, without))


def complete_caption(scene: Scene, seed: int) -> str:
    """One way to say everything of a scene: every thing with all its attributes, and all of the scenery."""
    return _Speaker(seed).sentence(scene)


class _Speaker:
    """Says one scene. Each thing and the frame have generators of their own: less said of one changes no other."""

    def __init__(self, seed: int):
        self.seed = seed
        self.frame = random.Random(2 * seed + 1)
        self.bare = self.frame.random() < 0.12  # "red car at night"

    def sentence(self, scene: Scene) -> str:
        if scene == Scene(layout=scene.layout):
            raise ValueError(
                "the scene must say something, got one in which everything is None: give it a thing or a ground"
            )
        # "A man in red and white flowers" would be misread: a colour alone is said where nothing else follows.
        self.single = len(scene.things) == 1 + any(thing.relation for thing in scene.things)
        units = self._units(scene)
        listed = self._listed(units, scene)
        room = scene.ground == "room"
        rng = self.frame
        sky = _pick(rng, phrases.SKY_PHRASES[scene.sky]) if scene.sky else ""
        open_sky = rng.random() < 0.3 and not room and scene.sky
        sky = _pick(rng, phrases.OPEN_SKY_PHRASES[str(scene.sky)]) if open_sky else sky
        ground = _ground_phrase(rng, scene.ground) if scene.ground else ""
        said = self._framed(rng, scene, listed, sky, ground)
        return re.sub(r"\s+", " ", re.sub(r"\s+,", ",", said)).strip(" ,")

    def _framed(self, rng: random.Random, scene: Scene, listed: str, sky: str, ground: str) -> str:
        """The list of things, led in or followed by ground and sky."""
        form, opening, comma = rng.random(), _pick(rng, phrases.OPENINGS), _pick(rng, ("", "", ","))
        sky_noun = _pick(rng, phrases.SKY_NOUNS[scene.sky]) if scene.sky else ""
        ground_noun = _pick(rng, phrases.GROUND_NOUNS[scene.ground]) if scene.ground else ""
        if self.bare or not listed:
            opening = ""
        if not listed:
            return f"{ground_noun} {sky}" if scene.ground else sky_noun
        if form < 0.08 and sky:
            return f"{sky}, {listed} {ground}"
        if form < 0.16 and sky and scene.ground != "room":
            return f"{sky_noun} over {listed} {ground}"
        if form < 0.26 and ground:
            return f"{ground_noun} with {listed} {sky}"
        if form < 0.34 and ground:
            return f"{ground}, {listed} {sky}"
        if form < 0.45 and (sky or ground):
            return f"{opening}{listed}, {sky} {ground}"
        return f"{opening}{listed}{comma if sky or ground else ''} {ground} {sky}"

    def _listed(self, units: list[str], scene: Scene) -> str:
        """The units and the scenery as one list: "a, b and c"."""
        rng = self.frame
        ranks = [rng.random() for _ in units]
        in_order = rng.random() < 0.5  # as given: by importance; else in any order
        parts = units if in_order else [unit for _, unit in sorted(zip(ranks, units))]
        for name, choices in (
            ("mountains", phrases.MOUNTAIN_PHRASES),
            ("clouds", phrases.CLOUD_PHRASES),
            ("stars", phrases.STAR_PHRASES),
        ):
            chosen = _pick(rng, choices)
            parts = [*parts, chosen] if getattr(scene, name) else parts
        joint = _pick(rng, (" and ", " and ", " and ", ", ", " with "))
        if len(parts) < 2:
            return "".join(parts)
        if len(parts) == 2:
            return joint.join(parts)
        return ", ".join(parts[:-1]) + f" and {parts[-1]}"

    def _units(self, scene: Scene) -> list[str]:
        """Each thing, or two things in their relation, as one piece of the sentence."""
        units: list[str] = []
        told: set[int] = set()
        order = sorted(range(len(scene.things)), key=lambda index: scene.things[index].relation is None)
        for index in order:
            if index in told:
                continue
            thing = scene.things[index]
            rng = random.Random(self.seed * 16 + index)
            if thing.relation is None or thing.other is None:
                units.append(self._alone(rng, thing, index))
                told.add(index)
            elif thing.other in told:
                units.append(self._again(rng, scene, index))
                told.add(index)
            else:
                units.append(self._related(rng, scene, index))
                told |= {index, thing.other}
        return units

    def _alone(self, rng: random.Random, thing: Thing, index: int) -> str:
        noun = self._noun_phrase(rng, thing)
        posture = _pick(rng, phrases.POSTURES.get(thing.kind, ("",)))
        posture = posture if rng.random() < 0.15 and not self.bare else ""
        return _placed(rng, f"{noun} {posture}", thing.place)

    def _related(self, rng: random.Random, scene: Scene, index: int) -> str:
        """A man riding a horse; a house behind a car; a table with a cup on it."""
        thing, other_index = scene.things[index], int(scene.things[index].other or 0)
        other, relation = scene.things[other_index], str(scene.things[index].relation)
        first = self._noun_phrase(rng, thing)
        second = self._noun_phrase(random.Random(self.seed * 16 + other_index), other)
        phrase = _relation_phrase(rng, thing, relation, other)
        form, inverse = rng.random(), _pick(rng, phrases.INVERSE_PHRASES.get(relation, ("",)))
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
        return _placed(rng, f"{self._noun_phrase(rng, thing)} {thing.relation} the same {noun}", thing.place)

    def _noun_phrase(self, rng: random.Random, thing: Thing) -> str:
        """Number, size, colour and noun, the clothes of a person after it."""
        draws = [rng.random() for _ in range(4)]  # always as many, whatever is said
        noun, size, colour = self._noun(rng, thing.kind), _size_word(rng, thing), _colour_word(rng, thing)
        adjective = _pick(rng, phrases.ADJECTIVES.get(thing.kind, ("",))) if draws[0] < 0.1 else ""
        look = _pick(rng, phrases.NATURAL_LOOKS.get(thing.kind, ("",)))
        look = look if draws[1] < 0.25 and thing.colour is None else ""
        garment, part = _garment(rng, thing, self.single), phrases.PARTS.get(thing.kind)
        several = thing.count != 1 if thing.kind not in COUNTED_ONCE else thing.kind == "flowers"
        after = ""
        if thing.kind in PEOPLE:
            after, colour = (garment if thing.colour else ""), ""
        elif part and thing.colour and draws[2] < 0.12:
            plain = f"{thing.colour} {table.plural(part)}" if several or part == "wall" else f"a {thing.colour} {part}"
            after, colour = f"with {plain}", ""
        noun = table.plural(noun) if several else noun
        words = " ".join(f"{size} {adjective} {look} {colour} {noun} {after}".split())
        return self._counted(rng, thing, several, words)

    def _noun(self, rng: random.Random, kind: str) -> str:
        rare, noun = rng.random(), _pick(rng, phrases.NOUNS[kind])
        synonym = _pick(rng, _singular_synonyms(kind))
        return synonym if rare < 0.06 and synonym else noun

    def _counted(self, rng: random.Random, thing: Thing, several: bool, words: str) -> str:
        article, number, vague = (
            rng.random(),
            _pick(rng, phrases.COUNT_WORDS.get(thing.count or 0, ("",))),
            rng.random(),
        )
        if thing.kind in ("sun", "moon") and not self.bare and article < 0.6:
            return f"the {words}"
        if not several:
            if self.bare and not _alike(thing.kind):
                return words
            words = f"one {words}" if article > 0.96 and thing.kind not in COUNTED_ONCE else f"a {words}"
            return re.sub(r"^a (?=[aeio]|um)", "an ", words)
        if thing.kind in COUNTED_ONCE:
            return f"some {words}" if vague < 0.2 and not self.bare else words
        if thing.count is None:
            return f"{'several ' if vague < 0.3 else ''}{words}"
        return f"{number} {words}"


def _alike(kind: str) -> bool:
    """Whether a bare noun leaves open if it is one or several: sheep, aircraft."""
    return any(not table.has_own_plural(noun) for noun in (*phrases.NOUNS[kind], *table.synonyms(kind)))


def _singular_synonyms(kind: str) -> tuple[str, ...]:
    return table.synonyms(kind) or ("",)


def _size_word(rng: random.Random, thing: Thing) -> str:
    """The word for a size; of people never "little", which says young."""
    draw, rare = rng.random(), rng.random()
    words = (SIZES if rare < 0.08 else phrases.SIZE_WORDS).get(str(thing.size), ("",))
    words = tuple(word for word in words if word != "little") if thing.kind in PEOPLE else words
    return words[int(draw * len(words))]


def _colour_word(rng: random.Random, thing: Thing) -> str:
    draw, other = rng.random(), rng.random()
    if thing.colour is None:
        return ""
    shades = table.synonyms(thing.colour)
    return shades[int(other * len(shades))] if draw < 0.04 and shades else thing.colour


def _garment(rng: random.Random, thing: Thing, colour_alone: bool) -> str:
    """What a person wears: "in a red shirt", "in red shirts", "in red clothes", "in red"."""
    garment, form = _pick(rng, phrases.GARMENTS.get(thing.kind, ("",))), rng.random()
    worn = "wearing" if form > 0.8 else "in"
    if form < 0.2:
        return f"in {thing.colour}" if colour_alone else f"in {thing.colour} clothes"
    if thing.count != 1:
        return f"{worn} {thing.colour} {table.plural(garment)}"
    return f"{worn} {'an' if thing.colour == 'orange' else 'a'} {thing.colour} {garment}"


def _relation_phrase(rng: random.Random, thing: Thing, relation: str, other: Thing) -> str:
    phrase, form, rare = _pick(rng, phrases.RELATION_PHRASES[relation]), rng.random(), rng.random()
    if rare < 0.06:
        return _pick(
            rng, tuple(words for words, (name, inverse) in RELATIONS.items() if name == relation and not inverse)
        )
    if relation == "on" and form < 0.5 and thing.kind in phrases.RESTING_PHRASES and other.kind in FURNITURE:
        return _pick(rng, phrases.RESTING_PHRASES[thing.kind])
    if relation == "above" and thing.kind in ("bird", "airplane", "kite", "balloon") and form < 0.4:
        return f"flying {phrase}"
    if relation == "holding" and other.kind == "kite" and form < 0.35:
        return "flying"
    return phrase


def _ground_phrase(rng: random.Random, ground: str) -> str:
    rare, usual, synonym = rng.random(), _pick(rng, phrases.GROUND_PHRASES[ground]), _pick(rng, table.synonyms(ground))
    if rare > 0.08:
        return usual
    lead = phrases.ODD_LEADS.get(synonym, phrases.GROUND_LEADS[ground])
    return re.sub(r"\ba (?=[aeio])", "an ", f"{lead} {synonym}")


def _placed(rng: random.Random, words: str, place: str | None) -> str:
    """A unit with its place after it or, seldom, before it."""
    first, phrase = rng.random() < 0.1, _pick(rng, phrases.PLACE_PHRASES[place or "left"])
    if place is None:
        return words.strip()
    return f"{phrase} {words}".strip() if first else f"{words.strip()} {phrase}"


def _pick(rng: random.Random, choices: tuple[str, ...]) -> str:
    """random() is the one draw whose sequence Python promises to keep between versions; choice() is not."""
    return choices[int(rng.random() * len(choices))]
