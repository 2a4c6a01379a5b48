"""From images on disk to rows of numbers: per image first, then per scale."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from ldm_core.data import scenes
from ldm_core.images import from_uint8, load_png
from ldm_core.pipeline import LatentDiffusion

from . import statistics
from .jobs import Job
from .metrics.distribution import FrechetReference, KernelReference, Moments
from .metrics.reconstruction import psnr
from .metrics.scenes_detector import FEATURES, ScenesDetector, scene_accuracy
from .statistics import Estimate

BLOCKS = 20  # of the jackknife, at most
PER_IMAGE = ("clip_scenes", "scene_accuracy")
DISTANCES = ("fd_scenes", "kd_scenes")
HELD_OUT = 64  # drawings for vae_psnr
HIGHER_IS_BETTER = {
    "fd_scenes": False,
    "kd_scenes": False,
    "clip_scenes": True,
    "scene_accuracy": True,
    "vae_psnr": True,
}
TOO_FEW = "a distance needs images of three prompts or more"
NO_SCENE = "no prompt speaks of the drawn world"


def obstacle(metric: str, jobs: Sequence[Job]) -> str | None:
    """Why a metric cannot be computed from these jobs; known before the first picture."""
    if metric in DISTANCES:
        prompts = [job.prompt.id for job in jobs if job.guidance_scale == jobs[0].guidance_scale]
        return None if leave_out(np.array(prompts)) else TOO_FEW
    if metric == "scene_accuracy" and all(scenes.parse(job.prompt.text) is None for job in jobs):
        return NO_SCENE
    return None


@torch.inference_mode()
def look(jobs: Sequence[Job], images: Path, cache: Path, detector: ScenesDetector) -> tuple[pd.DataFrame, np.ndarray]:
    """Every image through the detector once: a row a job with its scores, and features (jobs, 64).

    What was seen before is kept in `cache`, by file name, so a longer run looks only at what is new.
    """
    known = _read_cache(cache, detector.sha256)
    fresh = [job for job in jobs if job.file not in known]
    for start in range(0, len(fresh), 32):
        batch = fresh[start : start + 32]
        pixels = from_uint8(np.stack([load_png(images / job.file) for job in batch]))
        features, shown = detector.image_features(pixels), detector.read(pixels)
        cosines = F.cosine_similarity(features, detector.text_features([job.prompt.text for job in batch]))
        for job, feature, cosine, scene in zip(batch, features.numpy(), cosines.tolist(), shown):
            asked = scenes.parse(job.prompt.text)
            accuracy = np.nan if asked is None else scene_accuracy(scene, asked)
            known[job.file] = (feature, 100 * max(cosine, 0.0), accuracy)
    if fresh:
        _write_cache(cache, detector.sha256, known)
    table = pd.DataFrame(
        {
            "prompt_id": job.prompt.id, "prompt": job.prompt.text, "category": job.prompt.category, "seed": job.seed,
            "guidance_scale": job.guidance_scale, "file": f"{images.parent.name}/{images.name}/{job.file}",
            "clip_scenes": known[job.file][1], "scene_accuracy": known[job.file][2],
        }
        for job in jobs
    )  # fmt: skip
    return table, np.stack([known[job.file][0] for job in jobs])


def _read_cache(path: Path, detector: str) -> dict[str, tuple[np.ndarray, float, float]]:
    if not path.exists():
        return {}
    with np.load(path) as stored:
        if str(stored["detector"]) != detector:
            return {}
        return dict(
            zip(stored["files"].tolist(), zip(stored["features"], stored["clip"].tolist(), stored["accuracy"].tolist()))
        )


def _write_cache(path: Path, detector: str, known: dict[str, tuple[np.ndarray, float, float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    files = sorted(known)
    features, clip, accuracy = zip(*(known[file] for file in files))
    with partial.open("wb") as file:
        np.savez(
            file, files=np.array(files), features=np.stack(features), clip=clip, accuracy=accuracy, detector=detector
        )
    os.replace(partial, path)


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
        rows.append(row(metric, None, None, note=f"not computed: {NO_SCENE}"))
    return rows


@dataclass(frozen=True)
class Distance:
    """A scale's distance to the reference, with each block of prompts left out in turn, and n."""

    whole: float
    left_out: list[float]
    n: int


def measure_distances(table: pd.DataFrame, features: np.ndarray, reference: np.ndarray,
                      metrics: Sequence[str]) -> dict[tuple[str, float], Distance]:  # fmt: skip
    """The distances of every scale by every metric of `metrics` that is one."""
    moments, kernel = Moments.of(reference), KernelReference(reference)
    targets = {"fd_scenes": FrechetReference(moments.mean, moments.covariance), "kd_scenes": kernel}
    found = {}
    for metric, scale in itertools.product(metrics, sorted(table["guidance_scale"].unique())):
        if metric in targets:
            chosen = (table["guidance_scale"] == scale).to_numpy()
            masks = leave_out(table["prompt_id"].to_numpy()[chosen])
            found[metric, scale] = _distance(features[chosen], masks, targets[metric])
    return found


def leave_out(prompts: np.ndarray) -> list[np.ndarray]:
    """Masks over images that drop one block of prompts each; none where a mask would keep fewer than two images."""
    ranks = np.unique(prompts, return_inverse=True)[1]
    blocks = min(BLOCKS, int(ranks.max()) + 1)
    keep = [statistics.block_of(ranks, blocks) != index for index in range(blocks)]
    return keep if min(mask.sum() for mask in keep) >= 2 else []


def _distance(features: np.ndarray, keep: list[np.ndarray], target: FrechetReference | KernelReference) -> Distance:
    """Leave-out by blocks of prompts; additive moments make each a subtraction and one small eigenvalue problem."""
    if not keep:
        return Distance(float("nan"), [], len(features))
    if isinstance(target, KernelReference):
        return Distance(target.distance(features), [target.distance(features[mask]) for mask in keep], len(features))
    whole = Moments.of(features)
    parts = [whole - Moments.of(features[~mask]) for mask in keep]
    left_out = [target.distance(part.mean, part.covariance) for part in parts]
    return Distance(target.distance(whole.mean, whole.covariance), left_out, len(features))


def score_distance(found: dict[tuple[str, float], Distance], metric: str) -> list[dict]:
    """Rows of a distance: each scale, with its jackknife error, and bias-corrected where n allows."""
    rows = []
    for scale, distance in ((scale, distance) for (name, scale), distance in found.items() if name == metric):
        if not distance.left_out:
            rows.append(row(metric, None, scale, note=f"not computed: {TOO_FEW}"))
            continue
        plain, corrected = statistics.jackknife(distance.whole, distance.left_out, distance.n)
        few = f"n/d = {distance.n / FEATURES:.1f}: biased upwards, compare at equal n only"
        rows.append(row(metric, plain, scale, note=few if metric == "fd_scenes" else ""))
        if metric == "fd_scenes" and distance.n >= 2 * FEATURES:
            better = statistics.estimate(corrected, distance.n, plain.se, len(distance.left_out) - 1)
            rows.append(row("fd_scenes_jackknife", better, scale, note="bias-corrected"))
    return rows


def score_autoencoder(model: LatentDiffusion) -> dict:
    """vae_psnr: reconstructions of held-out drawings at the model's size, per image, after rounding to 8 bits."""
    side = max(model.height, model.width)
    drawn = np.stack([scenes.draw(scenes.random_scene(seed), side) for seed in scenes.HELD_OUT_SEEDS[:HELD_OUT]])
    images = from_uint8(drawn)[:, :, : model.height, : model.width]
    rebuilt = (model.reconstruct(images) * 255).round() / 255
    return row("vae_psnr", statistics.mean(psnr(images, rebuilt).tolist()), None, note="dB, on held-out drawings")


def ceiling(detector: ScenesDetector, count: int = 400) -> dict:
    """scene_accuracy of real drawings against their own captions: the most that any model can score."""
    scores = []
    for start in range(0, count, 50):
        pictured = [scenes.random_scene(seed) for seed in scenes.HELD_OUT_SEEDS[start : start + 50]]
        shown = detector.read(from_uint8(np.stack([scenes.draw(scene) for scene in pictured])))
        asked = [scenes.parse(scenes.caption(scene, start + index)) for index, scene in enumerate(pictured)]
        scores += [scene_accuracy(found, wanted) for found, wanted in zip(shown, asked)]
    return row("scene_accuracy_ceiling", statistics.mean(scores), None, note="real drawings against their own captions")


def row(metric: str, estimate: Estimate | None, scale: float | None, category: str = "", note: str = "") -> dict:
    """One row of summary.csv, but for what is the same for the whole run."""
    base = metric.removesuffix("_jackknife").removesuffix("_ceiling")
    found = estimate or Estimate(float("nan"), 0)
    return {
        "category": category, "guidance_scale": scale, "metric": metric, "value": found.value, "n": found.n,
        "se": found.se, "low": found.low, "high": found.high, "higher_is_better": HIGHER_IS_BETTER[base],
        "detector": "" if base == "vae_psnr" else "scenes_detector", "resize": "" if base == "vae_psnr" else "clean-64",
        "note": note,
    }  # fmt: skip
