"""The table of words beyond the world's own, nearest.csv: what each means here, or what comes nearest to it.

Each row is word, nearest, how. `same`: a true synonym (lorry, truck), which captions and parser use as the word itself.
`near`: another thing that the world can only replace (zebra, horse), which a reader must be told. `none`: a compound
that holds a word of the world and does not mean it (hot dog), so that nothing may be read into it.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
_ALIKE = (
    "sheep",
    "aircraft",
    "spacecraft",
    "watercraft",
    "deer",
    "moose",
    "bison",
    "cattle",
    "livestock",
    "fowl",
    "poultry",
)
_IRREGULAR = {
    "child": "children",
    "grandchild": "grandchildren",
    "schoolchild": "schoolchildren",
    "person": "people",
    "goose": "geese",
    "ox": "oxen",
    "calf": "calves",
    "wolf": "wolves",
    "werewolf": "werewolves",
    "wife": "wives",
    "housewife": "housewives",
    "midwife": "midwives",
    "thief": "thieves",
    "elf": "elves",
    "dwarf": "dwarves",
    "human": "humans",
    "german": "germans",
    "loaf": "loaves",
    "buffalo": "buffaloes",
    "hero": "heroes",
    "superhero": "superheroes",
    "buddy": "buddies",
    "passerby": "passersby",
    "doe": "does",
    "foot": "feet",
}
_ENDINGS = {"ing": "verb", "ed": "adjective", "ly": "adverb"}  # of words that no list holds
_NOUNS_BY_ENDING = (
    "bedding",
    "ceiling",
    "clothing",
    "dumpling",
    "dumplings",
    "earring",
    "evening",
    "frosting",
    "icing",
    "lighting",
    "parking",
    "pudding",
    "railing",
    "stocking",
    "string",
    "topping",
    "wedding",
    "drawing",
    "sibling",
    "lightning",
    "offering",
    "morning",
    "weed",
    "seed",
    "sled",
    "reed",
    "speed",
    "breed",
    "hundred",
    "family",
    "belly",
    "jelly",
    "trolley",
    "italy",
    "july",
    "assembly",
    "monopoly",
    "butterfly",
    "dragonfly",
    "housefly",
    "supply",
    "reply",
    "homily",
    "spring",
    "shoestring",
    "opening",
    "meeting",
    "seaweed",
    "watershed",
    "bloodshed",
    "toothed",
)


@cache
def rows() -> dict[str, tuple[str, str]]:
    """Every word of nearest.csv: its nearest ("" where nothing is near) and how: same, near or none."""
    with (_FOLDER / "nearest.csv").open(encoding="utf-8", newline="") as file:
        return {row["word"]: (row["nearest"], row["how"]) for row in csv.DictReader(file)}


@cache
def synonyms(name: str) -> tuple[str, ...]:
    """The words that mean the same as one of the world's (a kind, ground, sky, colour), in the table's order."""
    return tuple(word for word, (nearest, how) in rows().items() if how == "same" and nearest == name)


def plural(noun: str) -> str:
    """The plural of a noun or compound: sheep, ponies, pine trees, cups of coffee."""
    head, of, rest = noun.partition(" of ")
    before, space, last = head.rpartition(" ")
    return f"{before}{space}{_plural_word(last)}{of}{rest}"


def _plural_word(word: str) -> str:
    if word in _ALIKE or word in ("men", "women", "children", "people"):
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("man"):
        return word[:-2] + "en"
    if re.search(r"(?:ss|us|x|z|ch|sh)$", word):
        return word + "es"
    if word.endswith(("s", "clothing")):
        return word  # clothes, dunes, mountains
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + "s"


def has_own_plural(noun: str) -> bool:
    """Whether singular and plural differ: not for sheep."""
    return plural(noun) != noun


@cache
def other_words() -> dict[str, tuple[str, ...]]:
    """The words of other_words.txt by class: function, unspoken (parts and abstractions), adjective, adverb, verb."""
    found: dict[str, tuple[str, ...]] = {}
    section = ""
    for line in (_FOLDER / "other_words.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif not line.startswith("#"):
            found[section] = (*found.get(section, ()), *line.split())
    return found


@cache
def _classes() -> tuple[dict[str, str], frozenset[str]]:
    """The first class of every listed word, and all verbs."""
    classes: dict[str, str] = {}
    for name, words in other_words().items():
        for word in words:
            classes.setdefault(word, name)
    return classes, frozenset(other_words()["verb"])


def word_class(word: str) -> str | None:
    """The class that other_words.txt gives a word, in whatever form a verb stands; None for every other word, a noun."""
    classes, verbs = _classes()
    if word in classes:
        return classes[word]
    if any(base in verbs for base in _bases(word)):
        return "verb"
    ends = next((kind for end, kind in _ENDINGS.items() if word.endswith(end) and len(word) > len(end) + 2), None)
    return None if word in _NOUNS_BY_ENDING else ends


def _bases(word: str) -> list[str]:
    """What a verb's form may come from: sitting, sit; hides, hide; tried, try; baked, bake."""
    stems = [word[: -len(end)] for end in ("ing", "ed", "es", "s") if word.endswith(end) and len(word) > len(end) + 1]
    stems += [word[:-3] + "y"] if word.endswith(("ies", "ied")) else []
    return [base for stem in stems for base in (stem, stem + "e", stem[:-1] if stem[-2:-1] == stem[-1:] else stem)]
