"""Worker processes that make lessons ahead of the steps that need them."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import queue
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

Arrays = dict[str, np.ndarray]  # of one number of rows
Maker = Callable[[int, int], Arrays]  # the number of the first lesson, and how many
ROOM = 2**30  # bytes
WORKERS = max(1, (os.cpu_count() or 2) - 2)  # by default: two processors are left to who takes the steps
AHEAD = 3  # jobs a worker: one at work, one waiting, one made


class Studio:
    """Makers by kind at work in processes of their own; what they made is taken as it comes.

    Start it before the process touches a GPU: on Linux the workers are forks. A job is numbered by the lesson it begins with,
    no two of any kind alike. At its end, or where a block ends that it was opened for, the workers are.
    """

    def __init__(self, makers: Mapping[str, Maker], workers: int, chunk: int, say: Callable[[str], None] = print):
        self.folder = tempfile.mkdtemp(prefix="lessons-", dir=_memory())
        context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self.jobs, self.done, self.chunk, self.say = context.Queue(), context.Queue(), chunk, say
        self.plan(*makers)
        self.starts = itertools.count(0, chunk)
        work = (self.jobs, self.done, dict(makers), self.folder)
        self.workers = [context.Process(target=_work, args=work, daemon=True) for _ in range(workers)]
        for worker in self.workers:
            worker.start()
        for _ in range(AHEAD * workers):
            self._ask()

    def plan(self, *kinds: str) -> None:
        """From now on ask for these kinds, in turn; what is asked for already still comes."""
        self.kinds = itertools.cycle(kinds)

    def _ask(self) -> None:
        self.jobs.put((next(self.kinds), next(self.starts), self.chunk))

    def take(self, wait: float = 0.0) -> tuple[str, Arrays] | None:
        """A kind and what was made of it; None where nothing is there within `wait` seconds, or its making failed, which is
        said."""
        try:
            kind, path, problem = self.done.get(timeout=wait) if wait else self.done.get_nowait()
        except queue.Empty:
            return None
        self._ask()
        if problem:
            self.say(f"a worker could not make {kind}: {problem}")
            return None
        with np.load(path) as stored:
            made = {name: stored[name] for name in stored.files}
        Path(path).unlink()
        return kind, made

    def close(self) -> None:
        """End the workers, and leave no file."""
        for worker in self.workers:
            worker.kill()
            worker.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _memory() -> Path | None:
    """A folder whose files are never written to a disk, if there is one with room: in a container it may be small."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM else None


def _work(jobs: Any, done: Any, makers: Mapping[str, Maker], folder: str) -> None:
    os.nice(5)  # the process that launches the steps goes first
    torch.set_num_threads(1)
    for sent in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C reaches them too: who started them ends them
        signal.signal(sent, signal.SIG_IGN)
    parent = os.getppid()
    while os.getppid() == parent:  # or it was killed
        try:
            kind, start, count = jobs.get(timeout=10)
        except queue.Empty:
            continue
        path, problem = f"{folder}/{kind}-{start}.npz", ""
        try:
            np.savez(path, **makers[kind](start, count))  # type: ignore[arg-type]  # its hint takes every keyword for its own
        except Exception as error:  # noqa: BLE001  # said by the process that teaches, which goes on with the others' work
            problem = repr(error)
        done.put((kind, path, problem))
