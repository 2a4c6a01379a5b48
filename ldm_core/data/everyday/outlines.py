"""Outlines in a bundle: closed polygons that are placed, scaled and painted together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Outlines:
    """The points (n, 2) of all outlines, where each starts, and for each point the next along its outline."""

    points: np.ndarray
    starts: np.ndarray
    following: np.ndarray

    @classmethod
    def of(cls, outlines: Sequence[np.ndarray]) -> Outlines:
        """Outlines that are each painted for themselves."""
        sizes = [len(outline) for outline in outlines]
        starts = np.cumsum([0, *sizes[:-1]])
        following = np.arange(sum(sizes)) + 1
        following[starts + sizes - 1] = starts
        return cls(np.concatenate(outlines), starts, following)

    @classmethod
    def joined(cls, outlines: Sequence[np.ndarray]) -> Outlines:
        """Outlines that are painted as one, in one colour: many small things at the price of one."""
        apart = cls.of(outlines)
        return cls(apart.points, np.array([0]), apart.following)
