"""The words of the everyday world: all that captions can hold and all that the parser reads."""

from __future__ import annotations

import re
from collections.abc import Iterable

from . import phrases, table
from .lexicon import entries

_LINKS = "a an the and with over in on at by to it them same all that is are one some several wearing of"


def known_words() -> list[str]:
    """Every word of the captions and every synonym that the parser takes silently, sorted: a tokenizer's vocabulary.

    Words that `substitute` replaces, and words that the world passes over, are not among them.
    """
    said = [" ".join(key) for key, entry in entries().items() if entry.role not in ("near", "none")]
    tables = [value for name, value in vars(phrases).items() if name.isupper()]
    garments = [table.plural(garment) for garment in _texts(phrases.GARMENTS)]
    return sorted(
        {word for text in (*said, *_texts(tables), *garments, _LINKS) for word in re.findall(r"[a-z]+", text)}
    )


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (*_texts(key), *_texts(inner))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)
