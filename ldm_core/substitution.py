"""What a model draws in the place of a word that its world does not hold: the nearest one that it does, and never unsaid.

Only worlds with a table of nearest words have this. It is a setting of the picture, `substitute`; the recipe, the page and
the report name what stands for what.
"""

from __future__ import annotations

from collections.abc import Callable

from .data.everyday.nearest import Substitution, substitute

TABLES: dict[str, Callable[[str, bool], Substitution]] = {"everyday": substitute}  # by world


def in_own_words(world: str, prompt: str, enabled: bool = True) -> Substitution:
    """A prompt as a model of a world draws it, and what was replaced; the prompt itself where the world has no table.

    With enabled=False nothing is replaced, and the words are named as unknown.
    """
    return TABLES[world](prompt, enabled) if world in TABLES else Substitution(prompt)
