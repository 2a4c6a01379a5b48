"""A fixed part of a run's images, for a member of a job array (Slurm, Kubernetes): members never speak to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count`, numbered from 0."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From "I/N": I of N, counted from 0 to N - 1 or from 1 to N, as arrays are (N/N is 0/N). ValueError for all else."""
        index, _, count = text.partition("/")
        if not (index.isdecimal() and count.isdecimal() and int(count) > 0 and int(index) <= int(count)):
            raise ValueError(f"--shard must be I/N, I from 0 to N - 1 or from 1 to N, got {text!r}")
        return cls(int(index) % int(count), int(count))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def name(self) -> str:
        """For files."""
        return f"{self.index}-of-{self.count}"

    def part(self, items: Sequence[T]) -> Sequence[T]:
        """Of a list that is the same for all members: one run of neighbours, so that a prompt's images stay together."""
        return items[len(items) * self.index // self.count : len(items) * (self.index + 1) // self.count]
