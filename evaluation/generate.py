"""Makes the images that are missing, in batches, and keeps account of what they cost.

Files are written whole or not at all, by threads while the next batch denoises, so a killed run loses one batch at most.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from tqdm import tqdm

from ldm_core.images import load_png, save_png, to_uint8
from ldm_core.pipeline import LatentDiffusion

from .jobs import Job
from .processes import Processes

COST_LOG = "cost-{rank}.jsonl"  # a process each


def missing(jobs: Sequence[Job], folder: Path) -> list[Job]:
    """The jobs without a sound image; damaged files are named and will be made again."""
    absent = []
    for job in jobs:
        path = folder / job.file
        if not path.exists():
            absent.append(job)
            continue
        try:
            load_png(path)
        except (OSError, SyntaxError):  # PIL raises SyntaxError for a broken PNG chunk
            print(f"damaged, made again: {path}")
            absent.append(job)
    return absent


def generate(model: LatentDiffusion, jobs: Sequence[Job], folder: Path, batch_size: int, settings: dict,
             processes: Processes | None = None) -> None:  # fmt: skip
    """Make the jobs' images in `folder`; settings are those of LatentDiffusion.denoise, the same for all.

    Of several processes each is given its own jobs; the first shows its progress.
    """
    processes = processes or Processes()
    folder.mkdir(parents=True, exist_ok=True)
    terminal = sys.stderr.isatty()
    words = "images" if processes.count == 1 else f"images, 1 of {processes.count} processes"
    bar = tqdm(total=len(jobs), desc=words, unit="image", smoothing=0.1, dynamic_ncols=True, ascii=not terminal,
               mininterval=0.5 if terminal else 15, disable=not processes.first)  # fmt: skip
    with bar, ThreadPoolExecutor(4) as writers:
        for start in range(0, len(jobs), batch_size):
            batch = jobs[start : start + batch_size]
            began = time.perf_counter()
            images = to_uint8(model.sample(
                [job.prompt.text for job in batch], [job.seed for job in batch],
                [job.guidance_scale for job in batch], **settings,
            ))  # fmt: skip
            written = [writers.submit(save_png, folder / job.file, pixels) for job, pixels in zip(batch, images)]
            for future in written:
                future.result()  # a full disk is said here, not at the end
            log_cost(folder / COST_LOG.format(rank=processes.rank), batch, time.perf_counter() - began)
            bar.update(len(batch))


def log_cost(log: Path, batch: Sequence[Job], seconds: float) -> None:
    """Add a batch's seconds to the account, shared out by the network rows that each scale needs."""
    weights = [1 if job.guidance_scale in (0, 1) else 2 for job in batch]
    rows = {}
    for job, weight in zip(batch, weights):
        images, share = rows.get(job.guidance_scale, (0, 0.0))
        rows[job.guidance_scale] = (images + 1, share + seconds * weight / sum(weights))
    with log.open("a", encoding="utf-8") as file:
        for scale, (images, share) in rows.items():
            row = {"guidance_scale": scale, "images": images, "seconds": share, "peak_memory_gb": peak_memory_gb()}
            file.write(json.dumps(row) + "\n")


def peak_memory_gb() -> float:
    """The most this process has held so far: on the GPU where there is one, else in RAM."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
