"""What stands before a noun of a text and belongs to it."""

from __future__ import annotations

from .tokens import Token
from .world import COLOURED_KINDS, COUNTED_ONCE, PEOPLE, Thing

_BEFORE_NOUNS = ("colour", "size", "adjective", "adverb", "unknown")


class NounPhrase:
    """What stands before a noun and belongs to it: article or number, size, colour."""

    def __init__(self, tokens: list[Token], index: int):
        self.noun = tokens[index]
        self.colour: str | None = None
        self.size: str | None = None
        self.determiners: list[Token] = []
        self.same = False
        strangers = 0
        for token in reversed(tokens[max(0, index - 7) : index]):
            if token.role == "unknown":
                strangers += 1
            if token.text == "same":
                self.same = True
            elif token.role in ("article", "count"):
                self.determiners.append(token)
            elif token.role not in _BEFORE_NOUNS or self.determiners or strangers > 2:
                break
            elif token.role == "colour":
                self.colour = self.colour or token.value
            elif token.role == "size" and not (self.noun.value in PEOPLE and token.text == "little"):
                self.size = self.size or token.value  # a little girl is not a small one

    def thing(self, place: str | None) -> Thing:
        """The thing that the phrase names. People's colour is that of their clothes, said elsewhere."""
        kind = str(self.noun.value)
        colour = self.colour if kind in COLOURED_KINDS and kind not in PEOPLE else None
        return Thing(kind, colour, self._count(kind), place, self.size)

    def _count(self, kind: str) -> int | None:
        if kind in COUNTED_ONCE:
            return 1
        counts = [token.value for token in self.determiners]
        if self.noun.plural and not self.noun.singular:
            return next((n for n in counts if n is None or n > 1), None)
        if self.noun.plural:  # sheep: one or several, as the word before it says
            return next((n for n in counts if n is not None), None)
        return 1
