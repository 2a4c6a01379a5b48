"""What a run costs: a line in a log for each batch, an estimate beforehand, a table at the end."""

from __future__ import annotations

import io
import json
import math
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ldm_core.files import naming
from ldm_core.images import to_pil
from ldm_core.pipeline import LatentDiffusion

from ..report.tables import at_conditions
from .axes import Condition
from .batches import batches, sample
from .jobs import Job

LOGS = "cost-*.jsonl"  # a process each, of each member of a job array
TRIAL_PIXELS = 1 << 22  # of the batch that an estimate draws
LOGGED = [
    "folder",
    "stage",
    "guidance_scale",
    "wording",
    "images",
    "seconds",
    "network_seconds",
    "rows",
    "peak_memory_gb",
]
KEYS = ["stage", "folder", "guidance_scale", "wording"]
COLUMNS = [
    "stage",
    "guidance_scale",
    "images",
    "seconds",
    "network_seconds",
    "images_per_second",
    "network_calls_per_image",
    "peak_memory_gb",
    "condition",
]


@dataclass(frozen=True)
class Spent:
    """Seconds in all, and those of them within networks."""

    seconds: float
    network_seconds: float


class CostLog:
    """Appends to a process's logs beside the images in a run's folder, so that the sessions of a run add up."""

    def __init__(self, out: Path, process: str = "0"):
        self.out, self.name = out, LOGS.replace("*", process)

    def images(
        self, model: LatentDiffusion, batch: Sequence[Job], seconds: float, network_seconds: float, rows: int
    ) -> None:
        """A batch of generated images, its seconds and rows shared out by the network rows that each scale needs."""
        counts = Counter(job.condition for job in batch)
        weights = {condition: count * model.rows_alone(condition.settings) for condition, count in counts.items()}
        whole = sum(weights.values())
        for condition, count in counts.items():
            share = weights[condition] / whole if whole else count / len(batch)  # no row at strength 0
            spent = (count, share * seconds, share * network_seconds, share * rows)
            self._add("images", condition.folder, *spent, condition)

    def detectors(self, folder: str, count: int, seconds: float, network_seconds: float) -> None:
        """Images of a folder that went through a detector."""
        self._add("detectors", folder, count, seconds, network_seconds, 0.0)

    def _add(
        self,
        stage: str,
        folder: str,
        images: int,
        seconds: float,
        network: float,
        rows: float,
        condition: Condition | None = None,
    ) -> None:
        row = {
            "stage": stage,
            "guidance_scale": condition.guidance_scale if condition else None,
            "wording": condition.wording if condition else "",
            "images": images,
            "seconds": seconds,
            "network_seconds": network,
            "rows": rows,
            "peak_memory_gb": peak_memory_gb(),
        }
        path = self.out / folder / self.name
        with naming(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def cost_table(out: Path, calls: Mapping[Condition, int], tables: Spent, summary: pd.DataFrame) -> pd.DataFrame:
    """A row per condition with what its images cost, over all sessions, and what they are worth; then a row for the
    detectors and one for the tables, the autoencoder's own figures among them.

    calls are the network rows of one image by itself, at the conditions that count. `network_seconds` is the part of
    `seconds` spent in the model and the detectors; all else is PNG files, statistics and book-keeping.
    """
    spent = _logged(out, {condition.folder for condition in calls})
    named = {condition.key: condition for condition in calls}
    keys = list(zip(spent["folder"], spent["guidance_scale"], spent["wording"]))
    spent = spent[spent["guidance_scale"].isna() | np.array([key in named for key in keys], bool)]
    sums = {"images": "sum", "seconds": "sum", "network_seconds": "sum", "rows": "sum", "peak_memory_gb": "max"}
    spent.loc[spent["guidance_scale"].isna(), ["folder", "wording"]] = ""
    total = spent.groupby(KEYS, dropna=False, sort=False).agg(sums).reset_index()
    total["rank"] = total["stage"].map({"images": 0, "detectors": 1})
    total = total.sort_values(["rank", "guidance_scale"], kind="stable").drop(columns="rank").reset_index(drop=True)
    total["images_per_second"] = total["images"] / total["seconds"]
    at = [named.get(key) for key in zip(total["folder"], total["guidance_scale"], total["wording"])]
    total["network_calls_per_image"] = [calls[condition] if condition else float("nan") for condition in at]
    total["condition"] = [condition.label if condition else "" for condition in at]
    total.loc[len(total)] = {
        "stage": "tables",
        "seconds": tables.seconds,
        "network_seconds": tables.network_seconds,
        "condition": "",
    }
    found = at_conditions(summary)
    worth = found.pivot(index="condition", columns="metric", values="value")[list(dict.fromkeys(found["metric"]))]
    return total[COLUMNS].merge(worth, how="left", left_on="condition", right_index=True)


def _logged(out: Path, folders: Iterable[str]) -> pd.DataFrame:
    """Every line of the logs in a run's image folders; one that is damaged is passed over, and said."""
    rows = []
    for folder in sorted(folders):
        for log in sorted((out / folder).glob(LOGS)):
            found = [_entry(line) for line in log.read_bytes().split(b"\n") if line.strip()]
            rows += [{"folder": folder} | row for row in found if row is not None]
            if passed := found.count(None):
                print(f"{log}: {passed} damaged {'line' if passed == 1 else 'lines'} passed over; the costs lack them")
    return pd.DataFrame(rows, columns=LOGGED)


def _entry(line: bytes) -> dict[str, Any] | None:
    """A line of a log; None where it is damaged."""
    try:
        row = {"wording": "{}"} | json.loads(line)
        numbers = [row[name] for name in ("images", "seconds", "network_seconds", "rows", "peak_memory_gb")]
        sound = all(type(number) in (int, float) and 0 <= number < math.inf for number in numbers)
        scale, known = row["guidance_scale"], row["stage"] in ("images", "detectors")
        sound &= known and isinstance(row["wording"], str) and (scale is None or type(scale) in (int, float))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return {name: row[name] for name in LOGGED if name in row} if sound else None


def outside_networks(cost: pd.DataFrame) -> float:
    """The share of a run's seconds that went into anything but the networks."""
    return 1 - cost["network_seconds"].sum() / cost["seconds"].sum()


def estimate(model: LatentDiffusion, jobs: Sequence[Job], batch_size: int) -> tuple[float, int]:
    """Seconds that jobs would take by themselves, tried on a batch at a few steps, and the bytes of their PNG files.

    Those of other sizes than the batch that is tried count by their pixels.
    """
    trial = next(batches(jobs, min(batch_size, max(1, TRIAL_PIXELS // _pixels(jobs[0].condition)))))
    pixels = _pixels(trial[0].condition)

    def seconds(steps: int) -> float:
        began = time.perf_counter()
        sample(model, trial, steps=steps)
        return time.perf_counter() - began

    def rows(steps: int) -> int:
        return sum(model.rows_alone(job.condition.settings.replaced(steps=steps)) for job in trial)

    image = sample(model, trial[:1], steps=1)[0]  # first calls allocate
    short, long = seconds(2), seconds(4)
    row = max(0.0, long - short) / max(1, rows(4) - rows(2))
    rest = max(0.0, short - row * rows(2)) / len(trial)  # of an image: text, decoding
    counts = Counter(job.condition for job in jobs)
    shares = {one: count * _pixels(one) / pixels for one, count in counts.items()}
    total = sum(share * (rest + row * model.rows_alone(one.settings)) for one, share in shares.items())
    buffer = io.BytesIO()
    to_pil(image).save(buffer, format="PNG")
    return total, round(buffer.tell() * sum(shares.values()))


def _pixels(condition: Condition) -> int:
    return condition.settings["height"] * condition.settings["width"]


def peak_memory_gb() -> float:
    """The most this process has held so far: on the GPU where there is one, else in RAM."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
