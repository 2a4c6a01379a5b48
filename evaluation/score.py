"""From images on disk to rows of numbers: per image first, then per scale."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ldm_core.data import scenes
from ldm_core.images import from_uint8, rounded
from ldm_core.pipeline import LatentDiffusion

from . import statistics
from .jobs import Job
from .metrics.catalogue import DISTANCE, METRICS
from .metrics.detectors import Detector
from .metrics.distribution import FrechetReference, KernelReference, Moments, NeighbourReference
from .metrics.reconstruction import psnr
from .statistics import Estimate

BLOCKS = 20  # of the jackknife, at most
HELD_OUT = 64  # drawings for vae_psnr
TOO_FEW = "a distance needs images of three prompts or more"
Target = FrechetReference | KernelReference | NeighbourReference


def obstacle(metric: str, jobs: Sequence[Job]) -> str | None:
    """Why a metric cannot be computed from these jobs; known before the first picture."""
    spec = METRICS[metric]
    if spec.kind == DISTANCE:
        prompts = [job.prompt.id for job in jobs if job.guidance_scale == jobs[0].guidance_scale]
        return None if leave_out(np.array(prompts)) else TOO_FEW
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
    references: Mapping[str, np.ndarray],
    metrics: Sequence[str],
) -> dict[tuple[str, float], Distance]:
    """The distances of every scale by every metric of `metrics` that is one; features and references by detector."""
    found = {}
    for metric in (name for name in metrics if METRICS[name].kind == DISTANCE):
        detector = METRICS[metric].detector
        target = _target(metric, references[detector])
        for scale in sorted(table["guidance_scale"].unique()):
            chosen = (table["guidance_scale"] == scale).to_numpy()
            masks = leave_out(table["prompt_id"].to_numpy()[chosen])
            found[metric, scale] = _distance(features[detector][chosen], masks, target)
    return found


def _target(metric: str, reference: np.ndarray) -> Target:
    """What a metric measures against, its own work on the reference done once."""
    statistic = metric.split("_")[0]
    if statistic == "fd":
        moments = Moments.of(reference)
        return FrechetReference(moments.mean, moments.covariance)
    return KernelReference(reference) if statistic == "kd" else NeighbourReference(reference, statistic)


def leave_out(prompts: np.ndarray) -> list[np.ndarray]:
    """Masks over images that drop one block of prompts each; none where a mask would keep fewer than two images."""
    ranks = np.unique(prompts, return_inverse=True)[1]
    blocks = min(BLOCKS, int(ranks.max()) + 1)
    keep = [statistics.block_of(ranks, blocks) != index for index in range(blocks)]
    return keep if min(mask.sum() for mask in keep) >= 2 else []


def _distance(features: np.ndarray, keep: list[np.ndarray], target: Target) -> Distance:
    """Leave-out by blocks of prompts; additive moments make each a subtraction and one small eigenvalue problem."""
    if not keep:
        return Distance(float("nan"), [], len(features))
    if not isinstance(target, FrechetReference):
        return Distance(target.distance(features), [target.distance(features[mask]) for mask in keep], len(features))
    whole = Moments.of(features)
    parts = [whole - Moments.of(features[~mask]) for mask in keep]
    left_out = [target.distance(part.mean, part.covariance) for part in parts]
    return Distance(target.distance(whole.mean, whole.covariance), left_out, len(features))


def score_distance(found: dict[tuple[str, float], Distance], metric: str, dimension: int) -> list[dict]:
    """Rows of a distance: each scale, with its jackknife error, and bias-corrected where n allows."""
    rows = []
    for scale, distance in ((scale, distance) for (name, scale), distance in found.items() if name == metric):
        if not distance.left_out:
            rows.append(row(metric, None, scale, note=f"not computed: {TOO_FEW}"))
            continue
        plain, corrected = statistics.jackknife(distance.whole, distance.left_out, distance.n)
        frechet = metric.startswith("fd_")
        few = f"n/d = {distance.n / dimension:.1f}: biased upwards, compare at equal n only"
        rows.append(row(metric, plain, scale, note=few if frechet else ""))
        if frechet and distance.n >= 2 * dimension:
            better = statistics.estimate(corrected, distance.n, plain.se, len(distance.left_out) - 1)
            rows.append(row(f"{metric}_jackknife", better, scale, note="bias-corrected"))
    return rows


def score_ceilings(detectors: Mapping[str, Detector], metrics: Sequence[str]) -> list[dict]:
    """What real images score, for the metrics that know it."""
    rows = []
    for metric in (name for name in metrics if METRICS[name].has_ceiling):
        value, words = detectors[METRICS[metric].detector].ceiling()
        rows.append(row(f"{metric}_ceiling", value, None, note=words))
    return rows


def score_autoencoder(model: LatentDiffusion) -> dict:
    """vae_psnr: reconstructions of held-out drawings at the model's size, per image, after rounding to 8 bits."""
    if model.spec.world == "fashion":
        return row(
            "vae_psnr", None, None, note="not computed: the data set does not ship; python -m evaluation.card fashion"
        )
    side = max(model.height, model.width)
    drawn = np.stack([scenes.draw(scenes.random_scene(seed), side) for seed in scenes.HELD_OUT_SEEDS[:HELD_OUT]])
    images = from_uint8(drawn)[:, :, : model.height, : model.width]
    rebuilt = rounded(model.reconstruct(images))
    return row("vae_psnr", statistics.mean(psnr(images, rebuilt).tolist()), None, note="dB, on held-out drawings")


def row(metric: str, estimate: Estimate | None, scale: float | None, category: str = "", note: str = "") -> dict:
    """One row of summary.csv, but for what is the same for the whole run; the runner adds the detector's own words."""
    spec = METRICS[metric.removesuffix("_jackknife").removesuffix("_ceiling")]
    found = estimate or Estimate(float("nan"), 0)
    return {
        "category": category, "guidance_scale": scale, "metric": metric, "value": found.value, "n": found.n,
        "se": found.se, "low": found.low, "high": found.high, "higher_is_better": spec.higher_is_better,
        "detector": spec.detector, "note": note,
    }  # fmt: skip
