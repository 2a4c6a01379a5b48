"""One run on many processes: who this process is, what its share is, and where all of them meet.

    torchrun --nproc_per_node 2 -m evaluation.run ...         accelerate launch -m evaluation.run ...

Both set RANK and WORLD_SIZE. All processes, of one machine or several, work in one run folder on a file system that
they share; images go through files, so what is sent between them is a few words. Work is taken in small portions by
whoever is free, so a slow process holds nobody up. A job array's members, who never meet, are in shard.py.
"""

from __future__ import annotations

import datetime
import math
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")
PATIENCE = datetime.timedelta(
    days=7
)  # at a meeting: what one takes beforehand alone, a reference for instance, may be long
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
    member: str = ""  # of a job array, by its shard's name

    @classmethod
    def join(cls) -> Processes:
        """Meet the others that torchrun or accelerate started; alone where neither did."""
        if "WORLD_SIZE" not in os.environ:
            # accelerate sets a meeting point for several processes even where it then starts one.
            if "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_PORT" in os.environ:
                raise ValueError(TOO_FEW)
            return cls()
        rank, count, local = (int(os.environ.get(name, "0")) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        if count > 1 and not dist.is_initialized():
            dist.init_process_group("gloo", store=_meeting_point(), rank=rank, world_size=count, timeout=PATIENCE)
        return cls(rank, count, local)

    @property
    def first(self) -> bool:
        """Whether this is the one process that prints, merges and writes the tables."""
        return self.rank == 0

    @property
    def name(self) -> str:
        """What tells its files from those of any other process at work in the folder."""
        return f"{self.member}-{self.rank}" if self.member else str(self.rank)

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

    def draw(self, count: int) -> Iterator[int]:
        """Of 0 to `count` - 1 this process's, each number in one process alone: whoever is free takes the next.

        Every process must come here, with the same count. What is drawn must not depend on who draws it.
        """
        if self.count == 1:
            yield from range(count)
            return
        # A counter at the meeting point, which outlives the processes that torchrun starts again: each draw has a new one.
        store, key = dist.distributed_c10d._get_default_store(), f"draw {self.broadcast(uuid.uuid4().hex)}"
        while (place := store.add(key, 1) - 1) < count:
            yield place

    def portion(self, count: int, most: int) -> int:
        """How many of `count` things are drawn at a time: `most`, or fewer where some process would be left without any."""
        return max(1, min(most, math.ceil(count / self.count)))

    def part(self) -> None:
        """Leave the others, at the end."""
        if self.count > 1 and dist.is_initialized():
            dist.destroy_process_group()


def _meeting_point() -> dist.Store:
    """Where processes leave words for each other. The launcher's outlives processes that it starts again, with the addresses
    of those that are gone: each attempt has a corner of its own. Of several launchers each counts its own attempts; they
    have a new meeting point each time (--rdzv_backend c10d)."""
    store, _, _ = next(dist.rendezvous("env://", timeout=PATIENCE))
    one = os.environ.get("GROUP_WORLD_SIZE", "1") == "1"
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if one else "0"
    return dist.PrefixStore(f"attempt {attempt}", store)
