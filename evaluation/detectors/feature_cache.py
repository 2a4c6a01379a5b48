"""Every image through a detector once: its features, and its scores against its prompt."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from ldm_core.images import from_uint8, load_png

from ..generation.cost import CostLog
from ..generation.jobs import Job
from ..processes import Processes
from .detector import Detector

BATCH = 32  # images
KEPT_EVERY = 50 * BATCH  # what a kill can cost
FLAT = 2  # grey levels between the lightest and the darkest pixel
Seen = tuple[np.ndarray, dict[str, float]]  # of one image: its features and its scores


def job_table(jobs: Sequence[Job], images: Path) -> pd.DataFrame:
    """The rows of images.csv, before any score; `challenge` and `reference` only where the prompt file has them."""
    table = pd.DataFrame(
        {
            "prompt_id": job.prompt.id,
            "prompt": job.prompt.text,
            "category": job.prompt.category,
            "seed": job.seed,
            "guidance_scale": job.guidance_scale,
            "file": f"{images.parent.name}/{images.name}/{job.file}",
        }
        for job in jobs
    )
    for name in ("challenge", "reference"):
        values = [getattr(job.prompt, name) for job in jobs]
        if any(values):
            table[name] = values
    return table


def flat_images(files: Sequence[Path]) -> list[Path]:
    """Those that are of one colour all over: a model or a safety filter has failed there."""
    with ThreadPoolExecutor(4) as readers:
        flat = readers.map(lambda path: int(np.ptp(load_png(path), axis=(0, 1)).max()) <= FLAT, files)
        return [path for path, is_flat in zip(files, flat) if is_flat]


def cache_file(out: Path, fingerprint: str, name: str, who: str) -> Path:
    """Where a run folder keeps what a detector of an identity saw of the images of one protocol."""
    return out / "features" / f"{fingerprint}-{name}-{who[:12]}.npz"


def identity(sha256: str, resize: str) -> str:
    """What decides the features of an image: the weights, and how images are brought to their size."""
    return hashlib.sha256(f"{sha256} {resize}".encode()).hexdigest()


def look(
    jobs: Sequence[Job],
    images: Path,
    cache: Path,
    detector: Detector,
    processes: Processes | None = None,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Features (jobs, d), and a row a job with the detector's scores.

    What was seen before is kept in `cache`, by file name, so a longer run looks only at what is new. Of several
    processes each looks at its share, and the first gathers; only its result is whole.
    """
    processes, who = processes or Processes(), identity(detector.sha256, detector.resize)
    if processes.first:
        _gather(cache, who)  # what a killed run had seen
    known = set(processes.told(sorted(read_cache(cache, who))))
    share = processes.share([job for job in jobs if job.file not in known])
    for start in range(0, len(share), KEPT_EVERY):
        began, part = time.perf_counter(), share[start : start + KEPT_EVERY]
        seen, network_seconds = _see(part, images, detector)
        _write_cache(cache.with_suffix(f".{processes.rank}-{start}.part"), who, seen)
        CostLog(images, processes.rank).detectors(len(part), time.perf_counter() - began, network_seconds)
    processes.meet()
    if not processes.first:
        return np.zeros((0, detector.dimension), np.float32), pd.DataFrame()
    _gather(cache, who)
    found = read_cache(cache, who)
    rows = [found[job.file] for job in jobs]
    return np.stack([features for features, _ in rows]), pd.DataFrame([scores for _, scores in rows])


def _see(jobs: Sequence[Job], images: Path, detector: Detector) -> tuple[dict[str, Seen], float]:
    """What the detector sees in the jobs' images, and its own seconds.

    Every batch has one shape, the last filled up, so an image's features do not depend on which others are beside it.
    """
    seen, seconds = {}, 0.0
    for start in range(0, len(jobs), BATCH):
        batch = jobs[start : start + BATCH]
        filled = [*batch, *[batch[-1]] * (BATCH - len(batch))]
        pixels = {job.file: load_png(images / job.file) for job in batch}
        stacked = from_uint8(np.stack([pixels[job.file] for job in filled]))
        began = time.perf_counter()
        features, scores = detector.look(stacked, [job.prompt.text for job in filled])
        seconds += time.perf_counter() - began
        for index, job in enumerate(batch):
            seen[job.file] = (features[index], {metric: values[index] for metric, values in scores.items()})
    return seen, seconds


def _gather(cache: Path, who: str) -> None:
    """Put the parts that processes have left beside a cache into it."""
    parts = sorted(cache.parent.glob(f"{cache.stem}.*.part"))
    known = read_cache(cache, who)
    for part in parts:
        known |= read_cache(part, who)
    if parts:
        _write_cache(cache, who, known)
    for part in parts:
        part.unlink()


def read_cache(path: Path, who: str) -> dict[str, Seen]:
    """What a cache holds by file name; empty where there is none, or another detector's."""
    if not path.exists():
        return {}
    with np.load(path) as stored:
        if str(stored["detector"]) != who:
            return {}
        metrics = stored["metrics"].tolist()
        scores = (dict(zip(metrics, row)) for row in stored["scores"].tolist())
        return dict(zip(stored["files"].tolist(), zip(stored["features"], scores)))


def _write_cache(path: Path, who: str, known: dict[str, Seen]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, files = path.with_name(path.name + ".partial"), sorted(known)
    metrics = list(known[files[0]][1])
    scores = np.array([[known[file][1][metric] for metric in metrics] for file in files])
    with partial.open("wb") as file:
        np.savez(
            file,
            files=np.array(files),
            features=np.stack([known[file][0] for file in files]),
            metrics=np.array(metrics),
            scores=scores,
            detector=who,
        )
    os.replace(partial, path)
