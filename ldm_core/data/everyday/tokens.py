"""A text cut into words and compounds, each with its role (lexicon.py), the longest compound first."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Any

from . import table
from .lexicon import Entry, entries

_WORDS = re.compile(r"[a-z]+(?:['’][a-z]+)?|\d+|[,.;:!?]")
_LONGEST = 6  # words in a compound


@dataclass(frozen=True)
class Token:
    """One word or compound of a text, text[start:end], lower case. See Entry for roles.

    Words outside the lexicon have the role of their class in other_words.txt (function, unspoken, adjective, adverb,
    verb), or unknown: any other noun.
    """

    text: str
    start: int
    end: int
    role: str
    value: Any = None
    plural: bool = False
    singular: bool = True


def read_tokens(text: str) -> list[Token]:
    """The tokens of any string, in order; what is neither a word, a number nor punctuation is passed over."""
    words = list(_WORDS.finditer(text.lower()))
    if len(text.lower()) != len(text):  # a few letters grow in lower case: spans count in what is read
        text = text.lower()
    tokens: list[Token] = []
    index = 0
    while index < len(words):
        length, entry = _longest(words, index, text)
        last = words[index + length - 1]
        said = " ".join(word.group() for word in words[index : index + length])
        start, end = words[index].start(), last.end()
        tokens.append(Token(said, start, end, entry.role, entry.value, entry.plural, entry.singular))
        index += length
    return [_in_context(tokens, index) for index in range(len(tokens))]


def _longest(words: list[re.Match], index: int, text: str) -> tuple[int, Entry]:
    for length in range(min(_LONGEST, len(words) - index), 0, -1):
        group = words[index : index + length]
        entry = entries().get(tuple(word.group() for word in group))
        if entry is not None and all(
            text[a.end() : b.start()].strip() in ("", "-") for a, b in itertools.pairwise(group)
        ):
            return length, entry
    word = words[index].group()
    if "'" in word or "’" in word or word.isdigit():
        return 1, Entry("function")
    return 1, Entry(table.word_class(word) or "unknown")


_DOERS = ("this", "that", "one", "another", "each", "her")
_BEFORE_NOUNS = ("article", "colour", "size", "count", "adjective")


def _in_context(tokens: list[Token], index: int) -> Token:
    """A verb's bare form after an article or adjective is a noun: "a watch", "two fish"."""
    token = tokens[index]
    if token.role != "verb" or index == 0 or token.text.endswith(("ing", "ed")):
        return token
    before = tokens[index - 1]
    acts = token.text.endswith("s") and (before.text in _DOERS or before.text.endswith("ing"))  # "this shows"
    if before.role in _BEFORE_NOUNS and before.end + 1 == token.start and not acts:
        return Token(token.text, token.start, token.end, "unknown")
    return token
