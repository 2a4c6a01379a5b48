"""Captions with an attribute left out, or taken apart: "a red dog" into "a dog", "a red thing" and "a thing".

So that a model meets attributes singly, and can be asked whether two of them act independently.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import pairwise

import numpy as np

NOTHING_IN_PARTICULAR = "thing"
_WORD = re.compile(r"[\w-]+")


def less_one_attribute(
    caption: str, colours: Collection[str], nouns: Collection[str], share: float, rng: np.random.Generator
) -> str:
    """By that chance, the caption with a coloured thing's colour left out, its noun, or both; else as it is."""
    parts = taken_apart(caption, colours, nouns, rng) if rng.random() < share else None
    return parts[int(rng.integers(3))] if parts else caption


def taken_apart(
    caption: str, colours: Collection[str], nouns: Collection[str], rng: np.random.Generator
) -> tuple[str, str, str] | None:
    """The caption with one coloured thing's colour gone, its noun gone, both gone; None where no colour precedes a noun."""
    words = list(_WORD.finditer(caption))
    pairs = [
        (colour.span(), noun.span()) for colour, noun in pairwise(words) if colour[0] in colours and noun[0] in nouns
    ]
    if not pairs:
        return None
    (start, end), (noun_start, noun_end) = pairs[int(rng.integers(len(pairs)))]
    before, coloured, noun, after = (
        caption[:start],
        caption[start:end],
        caption[noun_start:noun_end],
        caption[noun_end:],
    )
    parts = (before + noun, before + f"{coloured} {NOTHING_IN_PARTICULAR}", before + NOTHING_IN_PARTICULAR)
    first, second, neither = (_articled(part + after) for part in parts)
    return first, second, neither


def _articled(caption: str) -> str:
    """With a and an as the words now want them, and single spaces."""
    spaced = re.sub(r"\s+", " ", caption).strip()
    spaced = re.sub(r"\ban (?=[^aeiou\s])", "a ", spaced)
    return re.sub(r"\ba (?=[aeio]|umb)", "an ", spaced)
