"""The way of lessons onto the device: what workers made is copied there beside the steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from .rows import Rows
from .studio import Arrays, Studio

Add = Callable[[str, dict[str, Tensor]], list[Rows]]  # of a kind, what was made, on the device; which rows grew


class Intake:
    """Takes from a studio, and has `add` put it into rows.

    On a GPU that is done on a stream of its own, from memory that the device reads by itself, one job at a time: the next is
    begun when the device is through with the one before, and no step waits for either.
    """

    def __init__(self, studio: Studio, add: Add, device: str):
        self.studio, self.add, self.device = studio, add, device
        self.side = torch.cuda.Stream() if device == "cuda" else None
        if self.side is not None:
            self.side.wait_stream(torch.cuda.current_stream())  # which fills the rows with zeros first
        self.coming: Callable[[], bool] | None = None

    def ingest(self, wait: float = 0.0) -> bool:
        """Publish what the device has by now, and begin with what workers have made next; whether anything was begun."""
        if self.coming is not None and not self.coming():
            return False
        made = self.studio.take(wait)
        if made is not None:
            self._begin(*made)
        return made is not None

    def wait_for(self, rows: Rows, least: int) -> None:
        """Ingest until so many rows are there, or all that fit."""
        while float(rows.count) < min(least, rows.capacity):
            self.ingest(wait=0.05)

    def _begin(self, kind: str, arrays: Arrays) -> None:
        stream: AbstractContextManager = torch.cuda.stream(self.side) if self.side is not None else nullcontext()
        with stream:
            held, copies = self._copied(arrays)
            grown = [(rows, rows.filled) for rows in self.add(kind, copies)]
        event = self.side.record_event() if self.side is not None else None

        def there() -> bool:
            if event is not None and not event.query():
                return False
            held.clear()  # until now the device may have been reading from it
            for rows, filled in grown:
                rows.publish(filled)
            self.coming = None
            return True

        self.coming = there
        there()

    def _copied(self, arrays: Arrays) -> tuple[list[Tensor], dict[str, Tensor]]:
        """What is to be held until the copies are made, and the copies."""
        held = [torch.from_numpy(values) for values in arrays.values()]
        if self.side is not None:
            held = [values.pin_memory() for values in held]
        copies = [values.to(self.device, non_blocking=True) for values in held]
        return held, dict(zip(arrays, copies))
