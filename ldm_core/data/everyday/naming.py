"""One thing of a scene as a noun phrase: number, size, colour and noun, and a person's clothes after it."""

from __future__ import annotations

import random
import re

from ..chance import pick
from . import phrases, table
from .lexicon import GARMENTS, SIZES
from .world import COUNTED_ONCE, PEOPLE, Thing

_RARE = 0.08  # how often a word is picked from all that mean the same, not from the usual ones
_COUNTED_GARMENTS = tuple(word for word in GARMENTS if table.has_own_plural(word))
_VAGUE = ("several", "several", "some", "many", "a group of")


def name_thing(
    rng: random.Random, thing: Thing, bare: bool = False, colour_alone: bool = True, look: str | None = None
) -> str:
    """A thing in words: "two small red cars", "a man in a blue shirt", "a boat with a white sail".

    bare: without articles. colour_alone: whether "a man in red" may be said. look: what the thing
    is drawn as, so that no word for another look is said; None where nobody knows. As many random numbers are drawn
    whatever the thing has, so that a thing of which less is known is named in the same words.
    """
    noun, size, colour = _noun(rng, thing, look), _size_word(rng, thing), _colour_word(rng, thing)
    adjective, look = _adjective(rng, thing), _natural_look(rng, thing)
    garment, part = _garment(rng, thing, colour_alone), _part(rng, thing)
    several = _several(thing)
    after = garment or part
    noun = table.plural(noun) if several else noun
    words = " ".join(f"{size} {adjective} {look} {'' if after else colour} {noun} {after}".split())
    return _counted(rng, thing, words, bare)


def with_article(words: str) -> str:
    """A or an before words: an old car, a unicorn is not in the world."""
    return f"{'an' if re.match('[aeio]|um', words) else 'a'} {words}"


def _several(thing: Thing) -> bool:
    return thing.kind == "flowers" if thing.kind in COUNTED_ONCE else thing.count != 1


def _noun(rng: random.Random, thing: Thing, look: str | None) -> str:
    """A word for the kind. Of several things each may look otherwise, so then no word for one look alone is said."""
    look = look if look is None or thing.count == 1 else ""
    rare, usual, others = rng.random(), _fitting(phrases.NOUNS[thing.kind], look), table.synonyms(thing.kind)
    noun = pick(rng, usual or (thing.kind,))
    synonym = pick(rng, _fitting(others, look) or (noun,))
    return synonym if rare < _RARE else noun


def _fitting(nouns: tuple[str, ...], look: str | None) -> tuple[str, ...]:
    """The nouns without those that are for another look alone."""
    if look is None:
        return nouns
    foreign = {noun for name, words in phrases.LOOK_NOUNS.items() if name != look for noun in words}
    return tuple(noun for noun in nouns if noun not in foreign)


def _counted(rng: random.Random, thing: Thing, words: str, bare: bool) -> str:
    """The words with what says how many: an article, a number, "several"."""
    article, vague, number = (
        rng.random(),
        pick(rng, _VAGUE),
        pick(rng, phrases.COUNT_WORDS.get(thing.count or 0, ("",))),
    )
    if thing.kind in ("sun", "moon") and not bare and article < 0.6:
        return f"the {words}"
    if not _several(thing):
        if bare and not _alike(thing.kind):
            return words
        if article > 0.94 and thing.kind not in COUNTED_ONCE and not _alike(thing.kind):
            return f"one {words}" if article > 0.97 else f"the {words}"
        return with_article(words)
    if thing.kind in COUNTED_ONCE:
        return f"some {words}" if article < 0.2 and not bare else words
    return f"{number} {words}" if number else f"{vague} {words}" if article < 0.4 else words


def _alike(kind: str) -> bool:
    """Whether a bare noun leaves open if it is one or several: sheep, aircraft."""
    return any(not table.has_own_plural(noun) for noun in (*phrases.NOUNS[kind], *table.synonyms(kind)))


def _adjective(rng: random.Random, thing: Thing) -> str:
    said, word = rng.random(), pick(rng, phrases.ADJECTIVES.get(thing.kind, ("",)))
    return word if said < 0.1 else ""


def _natural_look(rng: random.Random, thing: Thing) -> str:
    said, word = rng.random(), pick(rng, phrases.NATURAL_LOOKS.get(thing.kind, ("",)))
    return word if said < 0.25 and thing.colour is None else ""


def _size_word(rng: random.Random, thing: Thing) -> str:
    """The word for a size; of people never "little", which says young."""
    draw, rare = rng.random(), rng.random()
    words = (SIZES if rare < _RARE else phrases.SIZE_WORDS).get(str(thing.size), ("",))
    words = tuple(word for word in words if word != "little") if thing.kind in PEOPLE else words
    return words[int(draw * len(words))]


def _colour_word(rng: random.Random, thing: Thing) -> str:
    rare, draw = rng.random(), rng.random()
    if thing.colour is None:
        return ""
    shades = table.synonyms(thing.colour)
    return shades[int(draw * len(shades))] if rare < _RARE / 2 and shades else thing.colour


def _garment(rng: random.Random, thing: Thing, colour_alone: bool) -> str:
    """What a person wears: "in a red shirt", "in red shirts", "in red clothes", "in red"."""
    garment, form, rare = pick(rng, phrases.GARMENTS.get(thing.kind, ("",))), rng.random(), rng.random()
    garment = pick(rng, _COUNTED_GARMENTS) if rare < _RARE else garment
    if thing.kind not in PEOPLE or thing.colour is None:
        return ""
    if form < 0.2:
        return f"in {thing.colour}" if colour_alone else f"in {thing.colour} clothes"
    worn = f"{thing.colour} {garment}"
    return f"{'wearing' if form > 0.8 else 'in'} {with_article(worn) if thing.count == 1 else table.plural(worn)}"


def _part(rng: random.Random, thing: Thing) -> str:
    """The part that carries the colour, seldom said: "with a red sail", "with blue walls"."""
    said, part = rng.random(), phrases.PARTS.get(thing.kind)
    if said >= 0.12 or part is None or thing.colour is None:
        return ""
    coloured = f"{thing.colour} {part}"
    return f"with {table.plural(coloured) if _several(thing) or part == 'wall' else with_article(coloured)}"
