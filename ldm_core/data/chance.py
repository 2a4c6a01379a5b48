"""Choices by a seeded generator that are the same in every Python."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

Choice = TypeVar("Choice")


def pick(rng: random.Random, choices: Sequence[Choice]) -> Choice:
    """random() is the one draw whose sequence Python promises to keep between versions; choice() is not."""
    return choices[int(rng.random() * len(choices))]
