"""What a run costs: a line in a log for each batch, an estimate beforehand, a table at the end."""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from ldm_core.images import to_pil
from ldm_core.pipeline import LatentDiffusion

from ..report.tables import at_scales
from .jobs import Job

LOGS = "cost-*.jsonl"  # a process each
COLUMNS = [
    "stage",
    "guidance_scale",
    "images",
    "seconds",
    "network_seconds",
    "images_per_second",
    "network_calls_per_image",
    "peak_memory_gb",
]


@dataclass(frozen=True)
class Spent:
    """Seconds in all, and those of them within networks."""

    seconds: float
    network_seconds: float


class CostLog:
    """Appends to one process's log beside the images, so that the sessions of a run add up."""

    def __init__(self, folder: Path, rank: int = 0):
        self.path = folder / LOGS.replace("*", str(rank))

    def images(self, batch: Sequence[Job], seconds: float, network_seconds: float, rows: int) -> None:
        """A batch of generated images, its seconds and rows shared out by the network rows that each scale needs."""
        weights: Counter[float] = Counter()
        for job in batch:
            weights[job.guidance_scale] += 1 if job.guidance_scale in (0, 1) else 2
        counts = Counter(job.guidance_scale for job in batch)
        for scale, count in counts.items():
            share = weights[scale] / weights.total()
            self._add("images", count, share * seconds, share * network_seconds, scale, share * rows)

    def detectors(self, count: int, seconds: float, network_seconds: float) -> None:
        """Images that a detector has looked at."""
        self._add("detectors", count, seconds, network_seconds, None, 0.0)

    def _add(self, stage: str, images: int, seconds: float, network: float, scale: float | None, rows: float) -> None:
        row = {
            "stage": stage,
            "guidance_scale": scale,
            "images": images,
            "seconds": seconds,
            "network_seconds": network,
            "rows": rows,
            "peak_memory_gb": peak_memory_gb(),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def cost_table(folder: Path, calls: Mapping[float, int | None], tables: Spent, summary: pd.DataFrame) -> pd.DataFrame:
    """A row per scale with what its images cost, over all sessions, and what they are worth; then a row for the
    detectors and one for the tables, the autoencoder's own figures among them.

    calls are the network rows of one image by itself, at the scales that count; where one is None, the rows that there
    really were, those that images had in common counted once. `network_seconds` is the part of
    `seconds` spent in the model and the detectors; all else is PNG files, statistics and book-keeping.
    """
    lines = [line for log in sorted(folder.glob(LOGS)) for line in log.read_text(encoding="utf-8").splitlines()]
    spent = pd.DataFrame(
        [json.loads(line) for line in lines if line.endswith("}")],
        columns=["stage", "guidance_scale", "images", "seconds", "network_seconds", "rows", "peak_memory_gb"],
    )
    spent = spent[spent["guidance_scale"].isna() | spent["guidance_scale"].isin(list(calls))]
    sums = {"images": "sum", "seconds": "sum", "network_seconds": "sum", "rows": "sum", "peak_memory_gb": "max"}
    total = spent.groupby(["stage", "guidance_scale"], dropna=False, sort=False).agg(sums).reset_index()
    total["rank"] = total["stage"].map({"images": 0, "detectors": 1})
    total = total.sort_values(["rank", "guidance_scale"]).drop(columns="rank")
    total["images_per_second"] = total["images"] / total["seconds"]
    known = total["guidance_scale"].map(calls).astype(float)
    total["network_calls_per_image"] = known.fillna(
        (total["rows"] / total["images"]).where(total["guidance_scale"].notna())
    )
    total.loc[len(total)] = {"stage": "tables", "seconds": tables.seconds, "network_seconds": tables.network_seconds}
    found = at_scales(summary)
    worth = found.pivot(index="guidance_scale", columns="metric", values="value")[list(dict.fromkeys(found["metric"]))]
    return total[COLUMNS].merge(worth, how="left", left_on="guidance_scale", right_index=True)


def outside_networks(cost: pd.DataFrame) -> float:
    """The share of a run's seconds that went into anything but the networks."""
    return 1 - cost["network_seconds"].sum() / cost["seconds"].sum()


def estimate(model: LatentDiffusion, jobs: Sequence[Job], protocol: Mapping) -> tuple[float, int]:
    """Seconds an image, tried on a batch at a few steps, and the bytes of one PNG."""
    steps, trial = protocol["steps"], 2
    size = {name: protocol[name] for name in ("height", "width", "rows_per_call")}

    def draw(count: int) -> Tensor:
        return model.sample(
            [job.prompt.text for job in jobs],
            [job.seed for job in jobs],
            [job.guidance_scale for job in jobs],
            steps=count,
            **size,
        )

    draw(1)  # first calls allocate
    began = time.perf_counter()
    short = draw(trial)
    middle = time.perf_counter()
    draw(2 * trial)
    step = max(0.0, (time.perf_counter() - middle) - (middle - began)) / trial
    seconds = (middle - began) + step * (steps - trial)
    buffer = io.BytesIO()
    to_pil(short[0]).save(buffer, format="PNG")
    return seconds / len(jobs), buffer.tell()


def peak_memory_gb() -> float:
    """The most this process has held so far: on the GPU where there is one, else in RAM."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
