"""Words that the everyday world does not hold, replaced by the nearest that it does, and said so.

True synonyms (lorry, puppy) are the world's own words and pass untouched. A word with a near thing in nearest.csv
(zebra, horse) is replaced and reported. A content word with nothing near (laptop) is reported as unknown. Content words
are nouns: all that is neither in the lexicon nor a function word, verb, adjective or adverb (other_words.txt).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import table
from .lexicon import SCENERY
from .tokens import Token, read_tokens
from .world import COLOURS, GROUNDS, KINDS, SKIES

_UNCOUNTED = (*COLOURS, *SKIES, "snow", "flowers", *SCENERY)  # of these one does not say "a"


@dataclass(frozen=True)
class Substitution:
    """A text in the world's words, and how it came about; words are given as the text had them, each once.

    replaced: (word, what stands in its place in `text`). unknown: content words with nothing near. ignored: words that
    say more about a thing than the world holds (shiny, grey, seven).
    """

    text: str
    replaced: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def describe(self) -> str:
        """One sentence for a reader: what is drawn instead, what is unknown; empty where every thing is known."""
        parts = [f"{_quoted(word)}: it draws {_with_article(nearest)} instead" for word, nearest in self.replaced]
        if self.unknown:
            parts.append(("it does not know " if parts else "") + _listed(self.unknown))
        return f"This model does not know {'; '.join(parts)}." if parts else ""


def substitute(text: str, enabled: bool = True) -> Substitution:
    """A text with each word that has a near one in its place. Any string will do; an empty one comes back as it is.

    Number and article follow: "an ostrich" becomes "a bird", "three zebras" "three horses", "a forest" "pine trees".
    With enabled=False the text is left alone and the words are reported as unknown.
    """
    tokens = read_tokens(text)
    edits: list[tuple[int, int, str]] = []  # spans of the text, and what to write there
    replaced: list[tuple[str, str]] = []
    unknown: list[str] = []
    ignored: list[str] = []
    for index, token in enumerate(tokens):
        word = text[token.start : token.end]
        if token.role == "near" and _says_more(tokens, index):
            ignored.append(word)
        elif token.role == "near" and enabled:
            nearest = _inflected(tokens, index)
            edits += [*_article_edits(text, tokens, index, nearest), (token.start, token.end, _cased(word, nearest))]
            replaced.append((word, nearest))
        elif token.role in ("near", "unknown", "none"):
            unknown.append(word)
        elif (token.role == "adjective" and not word.lower().endswith(("ing", "ed"))) or _is_beyond(token):
            ignored.append(word)
    once = lambda words: tuple(dict.fromkeys(words))  # noqa: E731  # said in place
    return Substitution(_edited(text, edits), once(replaced), once(unknown), once(ignored))


def _says_more(tokens: list[Token], index: int) -> bool:
    """Whether a noun only describes the noun right after it: "zebra" in "a zebra horse", "glass" in "a glass table"."""
    if index + 1 == len(tokens):
        return False
    token, following = tokens[index], tokens[index + 1]
    return token.singular and following.role in ("kind", "near", "none") and following.start - token.end == 1


def _is_beyond(token: Token) -> bool:
    """A colour or number that the world has not: grey, seven."""
    return token.value is None and (
        token.role == "colour"
        or (token.role == "count" and " " not in token.text and token.text not in ("several", "many", "few", "lots"))
    )


def _inflected(tokens: list[Token], index: int) -> str:
    """The nearest word in the number of the word that it replaces."""
    token, nearest = tokens[index], str(tokens[index].value)
    article = _article_of(tokens, index)
    single = not (token.plural and not token.singular) and article is not None and article.text in ("a", "an", "one")
    if nearest in ("flowers", *SCENERY):
        return nearest[:-1] if single else nearest
    several = token.plural and (not token.singular or (article is not None and (article.value or 0) > 1))
    return table.plural(nearest) if several and nearest in (*KINDS, *GROUNDS) and nearest != "snow" else nearest


def _article_of(tokens: list[Token], index: int) -> Token | None:
    """The article or number of a noun, adjectives between them or not."""
    for before in reversed(tokens[max(0, index - 4) : index]):
        if before.role in ("article", "count"):
            return before
        if before.role not in ("adjective", "colour", "size", "adverb", "unknown"):
            return None
    return None


def _article_edits(text: str, tokens: list[Token], index: int, nearest: str) -> list[tuple[int, int, str]]:
    """Takes the article away before what brings its own or is plural; else makes "a" and "an" fit."""
    article = _article_of(tokens, index)
    if article is None or article.role != "article" or article.text not in ("a", "an", "the"):
        return []
    own = nearest.startswith("a ")
    if own or (
        article.text != "the" and ((nearest.endswith("s") and nearest != "bus") or nearest in ("men", "children"))
    ):
        return [(article.start, article.end + 1, "")]
    if article.text == "the" or article.end + 1 != tokens[index].start:
        return []
    fitting = "an" if re.match("[aeio]|um", nearest) else "a"
    return [(article.start, article.end, _cased(text[article.start : article.end], fitting))]


def _cased(word: str, nearest: str) -> str:
    return nearest[:1].upper() + nearest[1:] if word[:1].isupper() else nearest


def _edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    for start, end, written in sorted(edits, reverse=True):
        text = text[:start] + written + text[end:]
    return text


def _quoted(word: str) -> str:
    return f"“{word}”"


def _with_article(nearest: str) -> str:
    if (
        nearest in _UNCOUNTED
        or nearest.startswith("a ")
        or nearest in ("men", "children")
        or (nearest.endswith("s") and nearest != "bus")
    ):
        return nearest
    return f"{'an' if nearest[0] in 'aeio' or nearest.startswith('um') else 'a'} {nearest}"


def _listed(words: tuple[str, ...]) -> str:
    quoted = [_quoted(word) for word in words]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + f" or {quoted[-1]}"
