"""From images on disk to rows of numbers: per image first, then per scale."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import statistics
from ..catalogue import DISTANCE, METRICS
from ..detectors.detector import WorldDetector
from ..detectors.references import Reference
from ..generation.jobs import Job
from ..statistics import Estimate
from .blocks import Blocks
from .frechet import FrechetReference
from .kernel import KernelReference
from .neighbours import NeighbourReference

BLOCKS = 20  # of the jackknife, at most
TOO_FEW = "a distance needs images of three prompts or more"
NO_FEATURES = "the reference holds mean and covariance alone"
Target = FrechetReference | KernelReference | NeighbourReference


def obstacle(metric: str, jobs: Sequence[Job]) -> str | None:
    """Why a metric cannot be computed from these jobs; known before the first picture."""
    spec = METRICS[metric]
    if spec.kind == DISTANCE:
        prompts = [job.prompt.id for job in jobs if job.guidance_scale == jobs[0].guidance_scale]
        return TOO_FEW if blocks_of(np.array(prompts)) is None else None
    if spec.reads is not None and all(spec.reads(job.prompt.text) is None for job in jobs):
        return spec.nothing_read
    return None


def score_images(table: pd.DataFrame, metric: str) -> list[dict]:
    """Rows of a per-image metric: each scale, over all prompts and over each category; errors cluster by prompt."""
    rows = []
    named = [name for name in table["category"].unique() if name]
    for scale, category in itertools.product(sorted(table["guidance_scale"].unique()), ["", *named]):
        part = table[table["guidance_scale"] == scale].dropna(subset=[metric])
        part = part[part["category"] == category] if category else part
        if len(part):
            rows.append(row(metric, statistics.mean(part[metric], part["prompt_id"]), scale, category))
    if not rows:
        rows.append(row(metric, None, None, note=f"not computed: {METRICS[metric].nothing_read}"))
    return rows


@dataclass(frozen=True)
class Distance:
    """A scale's distance to the reference, with each block of prompts left out in turn, and n."""

    whole: float
    left_out: list[float]
    n: int


def measure_distances(
    table: pd.DataFrame,
    features: Mapping[str, np.ndarray],
    references: Mapping[str, Reference],
    metrics: Sequence[str],
) -> dict[tuple[str, float], Distance]:
    """The distances of every scale by every metric of `metrics` that is one; features and references by detector."""
    found = {}
    for metric in (name for name in metrics if METRICS[name].kind == DISTANCE):
        detector = METRICS[metric].detector
        target = target_of(metric, references[detector])
        for scale in sorted(table["guidance_scale"].unique()):
            chosen = (table["guidance_scale"] == scale).to_numpy()
            blocks, n = blocks_of(table["prompt_id"].to_numpy()[chosen]), int(chosen.sum())
            if blocks is None:
                found[metric, scale] = Distance(float("nan"), [], n)
            else:
                found[metric, scale] = Distance(*target.leave_out(features[detector][chosen], blocks), n)
    return found


def target_of(metric: str, reference: Reference) -> Target:
    """What a metric measures against, its own work on the reference done once."""
    statistic = METRICS[metric].statistic
    if statistic == "frechet":
        return FrechetReference(reference.mean, reference.covariance)
    if reference.features is None:
        raise ValueError(f"{metric}: {NO_FEATURES}")
    if statistic in ("kernel", "cmmd"):
        return KernelReference(reference.features, statistic)
    return NeighbourReference(reference.features, statistic)


def blocks_of(prompts: np.ndarray) -> Blocks | None:
    """The jackknife block of each image, by its prompt; None where leaving one out would keep fewer than two images."""
    ranks = np.unique(prompts, return_inverse=True)[1]
    prompts_in_all = int(ranks.max()) + 1
    count = min(BLOCKS, prompts_in_all)
    blocks = statistics.shuffled_blocks(prompts_in_all, count)[ranks]
    return blocks if len(blocks) - np.bincount(blocks).max() >= 2 and count > 1 else None


def score_distance(found: dict[tuple[str, float], Distance], metric: str, dimension: int) -> list[dict]:
    """Rows of a distance: each scale, with its jackknife error, and bias-corrected where n allows."""
    rows = []
    for scale, distance in ((scale, distance) for (name, scale), distance in found.items() if name == metric):
        if not distance.left_out:
            rows.append(row(metric, None, scale, note=f"not computed: {TOO_FEW}"))
            continue
        plain, corrected = statistics.jackknife(distance.whole, distance.left_out, distance.n)
        frechet = METRICS[metric].statistic == "frechet"
        few = f"n/d = {distance.n / dimension:.1f}: biased upwards, compare at equal n only"
        rows.append(row(metric, plain, scale, note=few if frechet else ""))
        if frechet and distance.n >= 2 * dimension:
            better = statistics.estimate(corrected, distance.n, plain.se, len(distance.left_out) - 1)
            rows.append(row(f"{metric}_jackknife", better, scale, note="bias-corrected"))
    return rows


def score_ceilings(detectors: Mapping[str, WorldDetector], metrics: Sequence[str]) -> list[dict]:
    """What real images score, for the metrics that know it."""
    rows = []
    for metric in (name for name in metrics if METRICS[name].has_ceiling):
        value, words = detectors[METRICS[metric].detector].ceiling()
        rows.append(row(f"{metric}_ceiling", value, None, note=words))
    return rows


def row(metric: str, estimate: Estimate | None, scale: float | None, category: str = "", note: str = "") -> dict:
    """One row of summary.csv, but for what is the same for the whole run; the runner adds the detector's own words."""
    spec = METRICS[metric.removesuffix("_jackknife").removesuffix("_ceiling")]
    found = estimate or Estimate(float("nan"), 0)
    return {
        "category": category,
        "guidance_scale": scale,
        "metric": metric,
        "value": found.value,
        "n": found.n,
        "se": found.se,
        "low": found.low,
        "high": found.high,
        "higher_is_better": spec.higher_is_better,
        "detector": spec.detector,
        "note": note,
    }
