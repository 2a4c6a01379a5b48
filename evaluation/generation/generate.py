"""Makes the images that are missing, in batches, and keeps account of what they cost.

Files are written whole or not at all, by threads while the next batch denoises, so a killed run loses two batches at most.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from ldm_core.images import load_png, save_png, to_uint8
from ldm_core.pipeline import LatentDiffusion

from ..processes import Processes
from .batches import batches, sample
from .cost import CostLog
from .jobs import Job


def missing(jobs: Sequence[Job], out: Path) -> list[Job]:
    """The jobs without a sound image in a run's folder; damaged files are named and will be made again."""
    absent = []
    for job in jobs:
        path = out / job.file
        if not path.exists():
            absent.append(job)
            continue
        try:
            load_png(path)
        except (OSError, SyntaxError):  # PIL raises SyntaxError for a broken PNG chunk
            print(f"damaged, made again: {path}")
            absent.append(job)
    return absent


def generate(
    model: LatentDiffusion, jobs: Sequence[Job], out: Path, batch_size: int, processes: Processes | None = None
) -> None:
    """Make the jobs' images in a run's folder.

    Jobs that differ in nothing but prompt, seed and guidance share batches, and there every network row that they have in
    common. Of several processes each is given its own jobs; the first shows its progress.
    """
    processes = processes or Processes()
    for job in jobs:
        (out / job.file).parent.mkdir(parents=True, exist_ok=True)
    terminal = sys.stderr.isatty()
    words = "images" if processes.count == 1 else f"images, 1 of {processes.count} processes"
    bar = tqdm(
        total=len(jobs),
        desc=words,
        unit="image",
        smoothing=0.1,
        dynamic_ncols=True,
        ascii=not terminal,
        mininterval=0.5 if terminal else 15,
        disable=not processes.first,
    )
    log = CostLog(out, processes.rank)
    pending: list[Future] = []
    with bar, ThreadPoolExecutor(4) as writers:
        for batch in batches(jobs, batch_size):
            began, rows = time.perf_counter(), model.network_rows
            images = sample(model, batch)
            drawn = time.perf_counter()
            _finish(pending)  # those of the batch before, written meanwhile
            pixels = to_uint8(images)
            pending = [writers.submit(save_png, out / job.file, image) for job, image in zip(batch, pixels)]
            log.images(model, batch, time.perf_counter() - began, drawn - began, model.network_rows - rows)
            bar.update(len(batch))
        _finish(pending)


def _finish(written: Sequence[Future]) -> None:
    for future in written:
        future.result()  # a full disk is said here, not at the end
