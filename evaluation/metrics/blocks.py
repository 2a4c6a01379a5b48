"""Samples in groups: the jackknife's blocks of prompts, and the portions in which large matrices are worked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ROWS = 2_000  # of a matrix of pairs at a time, for memory

Blocks = np.ndarray  # (n,) of integers: which jackknife block each sample belongs to


def without_each(blocks: Blocks) -> list[np.ndarray]:
    """For each block, which samples are in the others; none where there is but one block."""
    count = int(blocks.max()) + 1
    return [blocks != block for block in range(count)] if count > 1 else []


def portions(count: int) -> Iterator[slice]:
    """Slices of at most ROWS that cover a number of samples."""
    return (slice(start, start + ROWS) for start in range(0, count, ROWS))
