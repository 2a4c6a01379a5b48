"""Every word and compound that a text may hold, and its role there: a kind, a colour, a relation, a ground..."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from . import phrases, table
from .world import COLOURS, GROUNDS, KINDS, SKIES

SCENERY = ("mountains", "clouds", "stars")
COLOUR_SHADES = {"grey": None, "gray": None, "silver": None, "beige": None}  # colours of which the world has none
SIZES = {
    "small": ("small", "little", "tiny", "miniature", "mini", "teeny", "smallish"),
    "big": ("big", "large", "huge", "giant", "enormous", "gigantic", "massive", "oversized", "great big"),
}
ARTICLES = {
    "a": 1,
    "an": 1,
    "one": 1,
    "single": 1,
    "another": 1,
    "the": None,
    "this": None,
    "that": None,
    "these": None,
    "those": None,
    "some": None,
    "his": None,
    "her": None,
    "its": None,
    "their": None,
    "my": None,
    "your": None,
    "our": None,
    "each": None,
    "every": None,
    "any": None,
    "no": None,
}
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
PAIRS = ("a pair of", "a couple of", "pair of", "couple of", "both", "two of")
MANY = (
    *(
        f"{article}{word} of"
        for word in (
            "group",
            "herd",
            "flock",
            "bunch",
            "row",
            "number",
            "line",
            "crowd",
            "pack",
            "lot",
            "lots",
            "pile",
            "stack",
            "set",
            "series",
            "variety",
            "dozens",
            "hundreds",
            "plenty",
            "fleet",
            "team",
            "pride",
        )
        for article in ("", "a ", "the ")
    ),
    "several",
    "many",
    "a few",
    "few",
    "various",
    "multiple",
    "numerous",
    "countless",
    "lots",
    "dozens",
)
GARMENTS = (
    "shirt",
    "t shirt",
    "tshirt",
    "dress",
    "coat",
    "jacket",
    "sweater",
    "suit",
    "blouse",
    "outfit",
    "hoodie",
    "clothes",
    "clothing",
    "uniform",
    "jersey",
    "gown",
    "robe",
    "pullover",
    "cardigan",
    "sweatshirt",
    "top",
    "raincoat",
    "rain coat",
    "business suit",
    "polo shirt",
    "wetsuit",
    "vest",
    "jumper",
)
WEARING = ("in", "wearing", "dressed in", "wears", "clad in", "dressed all in", "in all")
RELATIONS: dict[str, tuple[str, bool]] = {  # a phrase: the relation, and whether it is said from the other's side
    **dict.fromkeys(
        (
            "next to",
            "beside",
            "by",
            "near",
            "alongside",
            "close to",
            "nearby",
            "right next to",
            "at the side of",
            "besides",
            "adjacent to",
            "not far from",
            "by the side of",
        ),
        ("next to", False),
    ),
    **dict.fromkeys(("on", "on top of", "upon", "atop", "onto"), ("on", False)),
    **dict.fromkeys(("in front of", "before"), ("in front of", False)),
    **dict.fromkeys(("behind", "in back of"), ("in front of", True)),
    **dict.fromkeys(("above", "over", "high above"), ("above", False)),
    **dict.fromkeys(("under", "below", "beneath", "underneath"), ("above", True)),
    **dict.fromkeys(("riding", "rides", "ride", "riding on", "rode", "rides on", "on the back of"), ("riding", False)),
    **dict.fromkeys(("holding", "holds", "hold", "carrying", "carries", "held", "holding up"), ("holding", False)),
    **dict.fromkeys(("flying", "flies", "fly", "flew"), ("flying", False)),
}
BREAKS = (
    ",",
    ".",
    ";",
    ":",
    "!",
    "?",
    "and",
    "with",
    "while",
    "as",
    "but",
    "or",
    "has",
    "have",
    "plus",
    "then",
    "without",
)
PRONOUNS = ("it", "him", "her", "them")
SKY_SIGNS = {  # further words that say the hour or the weather
    "storm": ("stormy", "rainy", "raining", "rains", "bad weather"),
    "night": ("starry", "moonlit", "midnight", "nocturnal"),
    "day": ("sunny", "blue sky", "blue skies", "clear sky", "clear skies", "bright sky", "sunlit", "clear blue sky"),
    "sunset": ("setting sun", "sun setting", "sun sets"),
    "dawn": ("rising sun", "sun rising", "sun rises", "mornings"),
}
_WATERS = [f"{lead} {water}" for lead in ("on the", "in the", "across the", "at") for water in ("sea", "ocean")]
GROUND_SIGNS = {  # out on the sea is water, by the sea is a beach
    "field": ("grassy", "grasses"),
    "snow": ("snowy", "snow covered", "snowing", "snows"),
    "desert": ("sand dunes", "sandy desert"),
    "lake": ("lake side", *_WATERS),
    "beach": ("sea", "ocean", "sandy shore", "sandy"),
    "room": ("indoors",),
}
_SNOWY_MOUNTAINS = [
    f"{lead} {noun}"
    for lead in ("snowy", "snow covered", "snow capped", "snowcapped")
    for noun in ("mountains", "mountain", "peaks")
]
SCENERY_SIGNS = {
    "mountains": (*_SNOWY_MOUNTAINS, "mountainous"),
    "clouds": ("cloudy", "overcast", "storm clouds"),
    "stars": ("starry",),
}


@dataclass(frozen=True)
class Entry:
    """What a word or compound is in a text: its role, what it stands for there, and whether it is in the plural.

    Roles: kind, colour, size, article, count, place, relation, ground, sky, scenery, garment, part, wearing, break,
    pronoun (of this world); near (value: what replaces it), none (nothing may be read into it).
    """

    role: str
    value: Any = None
    plural: bool = False
    singular: bool = True


@cache
def entries() -> dict[tuple[str, ...], Entry]:
    """All entries by their words; where several claim the same words, the world's own meaning comes first."""
    found: dict[tuple[str, ...], Entry] = {}
    for words, entry in itertools.chain(_nouns(), _signs(), _describing(), _linking(), _replaced()):
        found.setdefault(tuple(words.split()), entry)
    return found


def _nouns() -> Iterator[tuple[str, Entry]]:
    for kind in KINDS:
        for noun in dict.fromkeys((*phrases.NOUNS[kind], *table.synonyms(kind), kind)):
            yield from _both_numbers(noun, "kind", kind)
    yield "flowers", Entry("kind", "flowers")


def _both_numbers(noun: str, role: str, value: object) -> Iterator[tuple[str, Entry]]:
    plural = table.plural(noun)
    if plural == noun:
        yield noun, Entry(role, value, plural=True)
    else:
        yield noun, Entry(role, value)
        yield plural, Entry(role, value, plural=True, singular=False)
    if noun.endswith(" tree") or noun == "buffalo":
        yield noun + "s", Entry(role, value, plural=True, singular=False)


def _signs() -> Iterator[tuple[str, Entry]]:
    tables = (("sky", SKIES, SKY_SIGNS), ("ground", GROUNDS, GROUND_SIGNS), ("scenery", SCENERY, SCENERY_SIGNS))
    for role, names, signs in tables:
        for name in names:
            nouns = (name, *table.synonyms(name))
            yield from ((form, Entry(role, name)) for noun in nouns for form in (noun, table.plural(noun)))
            yield from ((sign, Entry(role, name)) for sign in signs.get(name, ()))


def _describing() -> Iterator[tuple[str, Entry]]:
    for colour in COLOURS:
        yield from ((word, Entry("colour", colour)) for word in (colour, *table.synonyms(colour)))
    yield from ((word, Entry("colour", None)) for word in COLOUR_SHADES)
    for size, words in SIZES.items():
        yield from ((word, Entry("size", size)) for word in words)
    yield from ((word, Entry("count", 2)) for word in PAIRS)
    yield from ((word, Entry("count", None)) for word in MANY)
    yield from ((word, Entry("article", count)) for word, count in ARTICLES.items())
    for number, word in enumerate(NUMBERS):
        yield from ((form, Entry("count", number if 0 < number < 4 else None)) for form in (word, str(number)))
    yield from ((form, Entry("garment")) for word in GARMENTS for form in (word, table.plural(word)))
    for kind, part in phrases.PARTS.items():
        yield from ((form, Entry("part", kind)) for form in (part, table.plural(part)))


def _linking() -> Iterator[tuple[str, Entry]]:
    for place, words in phrases.PLACE_WORDS.items():
        for word in (*words, *(("centre",) if place == "center" else ())):
            for lead, the, side in itertools.product(
                ("on", "at", "to", "in"), ("", "the ", "the far "), ("", " side", " hand side", " half")
            ):
                yield f"{lead} {the}{word}{side}", Entry("place", place)
    yield from ((word, Entry("relation", value)) for word, value in RELATIONS.items())
    yield from ((word, Entry("break")) for word in BREAKS)
    yield from ((word, Entry("wearing")) for word in WEARING)
    yield from ((word, Entry("pronoun")) for word in PRONOUNS)


def _replaced() -> Iterator[tuple[str, Entry]]:
    for word in (word for word, (_, how) in table.rows().items() if how == "none"):
        yield from ((form, Entry("none")) for form in (word, table.plural(word)))
    for word, (nearest, how) in table.rows().items():
        if how == "near":
            yield from _both_numbers(word, "near", nearest)
