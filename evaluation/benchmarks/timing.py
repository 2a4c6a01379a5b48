"""Seconds of work, measured so that two things can be compared on a machine that is not quiet."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch


def synchronize() -> None:
    """Wait for what the GPU still has to do, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def once(work: Callable[[], object]) -> float:
    """Seconds of one run."""
    synchronize()
    began = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - began


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median of several runs, after one that warms up."""
    work()
    return statistics.median(once(work) for _ in range(repeats))


def alternating(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Medians of both, run turn by turn, so that a slow moment of the machine meets both."""
    ours(), theirs()
    pairs = [(once(ours), once(theirs)) for _ in range(repeats)]
    return tuple(statistics.median(times) for times in zip(*pairs))
