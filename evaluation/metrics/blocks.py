"""Samples in groups: the jackknife's blocks of prompts, and the portions in which large matrices are worked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..statistics import shuffled_blocks

BLOCKS = 20  # of the jackknife, at most
ROWS, PAIRS = 2_000, 1 << 24  # of a matrix of pairs at a time, for memory: 128 MB, however many images there are

Blocks = np.ndarray  # (n,) of integers: which jackknife block each sample belongs to


def without_each(blocks: Blocks) -> list[np.ndarray]:
    """For each block, which samples are in the others; none where there is but one block."""
    count = int(blocks.max()) + 1
    return [blocks != block for block in range(count)] if count > 1 else []


def without_pairs(blocks: Blocks) -> list[np.ndarray]:
    """For each block, which samples are neither in it nor in the next (after the last comes the first)."""
    count = int(blocks.max()) + 1
    return [(blocks != block) & (blocks != (block + 1) % count) for block in range(count)]


def blocks_of(prompts: np.ndarray) -> Blocks | None:
    """The jackknife block of each image (n,), by its prompt; None where leaving one out would keep fewer than two."""
    ranks = np.unique(prompts, return_inverse=True)[1]
    prompts_in_all = int(ranks.max()) + 1
    count = min(BLOCKS, prompts_in_all)
    blocks = shuffled_blocks(prompts_in_all, count)[ranks]
    return blocks if len(blocks) - np.bincount(blocks).max() >= 2 and count > 1 else None


def finite(features: np.ndarray, name: str = "features") -> np.ndarray:
    """Features (n, d) in float64; ValueError names the first row with a value that is not finite."""
    found = np.asarray(features, np.float64)
    odd = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(odd):
        raise ValueError(
            f"{name}: {len(odd)} of {len(found)} rows hold a value that is not finite (the first is row {odd[0]}); "
            "leave those images out"
        )
    return found


def portions(count: int, beside: int) -> Iterator[slice]:
    """Slices that cover a number of samples, each of which makes a row of so many values."""
    rows = max(1, min(ROWS, PAIRS // max(1, beside)))
    return (slice(start, start + rows) for start in range(0, count, rows))
