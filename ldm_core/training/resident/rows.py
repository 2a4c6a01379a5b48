"""Tensors that lie on the device and fill as lessons come."""

from __future__ import annotations

import torch
from torch import Tensor


class Rows:
    """Named tensors of `capacity` rows each, of which the first are filled.

    `shapes` says of each name the shape of a row and its type. What is added is not yet drawn from: `publish` says so, once
    the device has it all, by a number that lies on the device too, where a step that is recorded reads it.
    """

    def __init__(self, capacity: int, device: str, shapes: dict[str, tuple[tuple[int, ...], torch.dtype]]):
        self.capacity, self.filled = capacity, 0
        self.count = torch.zeros((), dtype=torch.float64, device=device)
        self.data = {
            name: torch.zeros(capacity, *shape, dtype=kind, device=device) for name, (shape, kind) in shapes.items()
        }

    def __getitem__(self, name: str) -> Tensor:
        return self.data[name]

    @property
    def full(self) -> bool:
        return self.filled >= self.capacity

    def add(self, rows: dict[str, Tensor]) -> None:
        """Rows of every name, those of other names left aside; what is beyond the capacity is too."""
        start = self.filled
        count = min(len(next(iter(rows.values()))), self.capacity - start)
        for name, kept in self.data.items():
            kept[start : start + count] = rows[name][:count].to(kept.dtype)
        self.filled = start + count

    def publish(self, filled: int) -> None:
        """From now on draw from so many."""
        self.count.fill_(filled)

    def chosen(self, batch: int) -> Tensor:
        """The places of random rows (batch,) of those published, drawn anew at each replay of a recorded step."""
        return (torch.rand(batch, dtype=torch.float64, device=self.count.device) * self.count).long()
