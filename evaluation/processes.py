"""One run on many processes: who this process is, what its share is, and where all of them meet.

    torchrun --nproc_per_node 2 -m evaluation.run ...         accelerate launch -m evaluation.run ...

Both set RANK and WORLD_SIZE. All processes, of one machine or several, work in one run folder on a file system that
they share; images go through files, so what is sent between them is a few words.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")
PATIENCE = datetime.timedelta(days=7)  # at a meeting: the slowest share may take long
TOO_FEW = (
    "accelerate was told of several processes and started one, as it does where there is no GPU; "
    "use torchrun --nproc_per_node N -m evaluation.run"
)


@dataclass(frozen=True)
class Processes:
    """This process among `count`, numbered from 0."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0  # on its machine: which of its GPUs it takes

    @classmethod
    def join(cls) -> Processes:
        """Meet the others that torchrun or accelerate started; alone where neither did."""
        if "WORLD_SIZE" not in os.environ:
            # accelerate sets a meeting point for several processes even where it then starts one.
            if "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_PORT" in os.environ:
                raise ValueError(TOO_FEW)
            return cls()
        numbers = [int(os.environ.get(name, "0")) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")]
        if numbers[1] > 1 and not dist.is_initialized():
            dist.init_process_group("gloo", timeout=PATIENCE)
        return cls(*numbers)

    @property
    def first(self) -> bool:
        """Whether this is the one process that prints, merges and writes the tables."""
        return self.rank == 0

    def device(self, asked: str | None) -> str | None:
        """The device asked for; where none is, a GPU of its own for each process of a machine."""
        if asked is None and self.count > 1 and torch.cuda.is_available():
            index = self.local_rank % torch.cuda.device_count()
            torch.cuda.set_device(index)  # what torch says of memory is then of this one
            return f"cuda:{index}"
        return asked

    def broadcast(self, value: T) -> T:
        """The first process's value, for all; every process must come here."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def first_then_all(self, work: Callable[[], T]) -> T:
        """What `work` gives, in each: the others begin when the first has done it, and find what it fetched.

        A ValueError or an OSError of the first's is everyone's.
        """
        if self.count == 1:
            return work()
        failed: Exception | None = None
        if self.first:
            try:
                value = work()
            except (ValueError, OSError) as error:
                failed = error
        failed = self.broadcast(failed)
        if failed is not None:
            raise failed
        return value if self.first else work()

    def meet(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            dist.barrier()

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part of a list that is the same for all: one run of neighbours, none padded, none twice."""
        return items[len(items) * self.rank // self.count : len(items) * (self.rank + 1) // self.count]

    def part(self) -> None:
        """Leave the others, at the end."""
        if self.count > 1 and dist.is_initialized():
            dist.destroy_process_group()
