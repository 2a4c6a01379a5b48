"""Every image through a detector once: its features, and its scores against its prompt."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ldm_core.images import from_uint8, load_png

from .jobs import Job
from .metrics.detectors import Detector

BATCH = 32  # images
Seen = tuple[np.ndarray, dict[str, float]]  # of one image: its features and its scores


def job_table(jobs: Sequence[Job], images: Path) -> pd.DataFrame:
    """The rows of images.csv, before any score; `challenge` and `reference` only where the prompt file has them."""
    table = pd.DataFrame(
        {
            "prompt_id": job.prompt.id, "prompt": job.prompt.text, "category": job.prompt.category, "seed": job.seed,
            "guidance_scale": job.guidance_scale, "file": f"{images.parent.name}/{images.name}/{job.file}",
        }
        for job in jobs
    )  # fmt: skip
    for name in ("challenge", "reference"):
        values = [getattr(job.prompt, name) for job in jobs]
        if any(values):
            table[name] = values
    return table


def cache_file(out: Path, fingerprint: str, name: str, detector: Detector) -> Path:
    """Where a run folder keeps what a detector saw of the images of one protocol."""
    return out / "features" / f"{fingerprint}-{name}-{detector.sha256[:12]}.npz"


def look(jobs: Sequence[Job], images: Path, cache: Path, detector: Detector) -> tuple[np.ndarray, pd.DataFrame]:
    """Features (jobs, d), and a row a job with the detector's scores.

    What was seen before is kept in `cache`, by file name, so a longer run looks only at what is new.
    """
    known = read_cache(cache, detector.sha256)
    fresh = [job for job in jobs if job.file not in known]
    for start in range(0, len(fresh), BATCH):
        batch = fresh[start : start + BATCH]
        pixels = from_uint8(np.stack([load_png(images / job.file) for job in batch]))
        features, scores = detector.look(pixels, [job.prompt.text for job in batch])
        for index, job in enumerate(batch):
            known[job.file] = (features[index], {metric: values[index] for metric, values in scores.items()})
    if fresh:
        _write_cache(cache, detector.sha256, known)
    seen = [known[job.file] for job in jobs]
    return np.stack([features for features, _ in seen]), pd.DataFrame([scores for _, scores in seen])


def read_cache(path: Path, detector: str) -> dict[str, Seen]:
    """What a cache holds by file name; empty where there is none, or another detector's."""
    if not path.exists():
        return {}
    with np.load(path) as stored:
        if str(stored["detector"]) != detector:
            return {}
        metrics = stored["metrics"].tolist()
        scores = (dict(zip(metrics, row)) for row in stored["scores"].tolist())
        return dict(zip(stored["files"].tolist(), zip(stored["features"], scores)))


def _write_cache(path: Path, detector: str, known: dict[str, Seen]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, files = path.with_name(path.name + ".partial"), sorted(known)
    metrics = list(known[files[0]][1])
    scores = np.array([[known[file][1][metric] for metric in metrics] for file in files])
    with partial.open("wb") as file:
        np.savez(file, files=np.array(files), features=np.stack([known[file][0] for file in files]),
                 metrics=np.array(metrics), scores=scores, detector=detector)  # fmt: skip
    os.replace(partial, path)
