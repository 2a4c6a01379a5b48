"""The autoencoder's own rows: what it keeps of real images, photographs of the reference folder or held-out drawings."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ldm_core.data import scenes
from ldm_core.data.photos import open_photo, photo_files
from ldm_core.images import from_pil, from_uint8, rounded
from ldm_core.pipeline import LatentDiffusion

from .. import statistics
from ..catalogue import METRICS
from ..detectors.detector import Detector
from .frechet import FrechetReference, Moments
from .reconstruction import crop, lpips, psnr, ssim
from .scoring import BLOCKS, row

DRAWINGS = 64  # held out, for figures per image
FOR_DISTANCES = 512  # drawings where a distance is asked for, which needs more of them
PER_IMAGE = {"vae_psnr": psnr, "vae_ssim": ssim, "vae_lpips": lpips}


class AutoencoderDetector:
    """An autoencoder in the place of a detector: how much it keeps of each generated image, in dB. It has no features."""

    name, dimension, resize = "the model's autoencoder", 0, ""

    def __init__(self, model: LatentDiffusion):
        self.model, self.sha256 = model, model.weights

    def image_features(self, images: Tensor) -> Tensor:
        return torch.zeros(len(images), 0)

    def look(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """No features; vae_psnr_generated of images (B, 3, H, W) in [0, 1] against their 8-bit reconstructions."""
        values = psnr(images, rounded(self.model.reconstruct(images)))
        return np.zeros((len(images), 0), np.float32), {"vae_psnr_generated": values.tolist()}


def obstacle(metric: str, model: LatentDiffusion, photographs: Path | None) -> str | None:
    """Why one of these metrics cannot be computed."""
    if model.spec.world == "fashion" and photographs is None:
        return "the data set does not ship; python -m evaluation.card fashion --data FOLDER computes it"
    if metric == "vae_lpips":
        try:
            lpips(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))
        except (ImportError, OSError, RuntimeError) as error:
            return f"LPIPS needs torchvision and its AlexNet weights ({str(error).splitlines()[0]})"
    return None


def score_autoencoder(
    model: LatentDiffusion, metrics: Sequence[str], photographs: Path | None, detectors: Mapping[str, Detector]
) -> tuple[list[dict], float]:
    """A row for each of the metrics, and the networks' seconds; reconstructions of the posterior mean, rounded to 8 bits,
    images in [0, 1]."""
    looking = {name: METRICS[name].detector for name in metrics if METRICS[name].detector}
    values: dict[str, list[float]] = {name: [] for name in metrics if name in PER_IMAGE}
    features: dict[str, tuple[list, list]] = {name: ([], []) for name in looking}
    seconds = 0.0
    for image in real_images(model, photographs, FOR_DISTANCES if looking else DRAWINGS) if metrics else ():
        began = time.perf_counter()
        rebuilt = rounded(model.reconstruct(image))
        seconds += time.perf_counter() - began
        for name in values:
            values[name] += PER_IMAGE[name](image, rebuilt).tolist()
        for name, detector in looking.items():
            began = time.perf_counter()
            for side, seen in zip(features[name], (image, rebuilt)):
                side.append(detectors[detector].image_features(seen).numpy())
            seconds += time.perf_counter() - began
    where = f"on the photographs of {photographs}" if photographs else "on held-out drawings"
    rows = [row(name, statistics.mean(found), None, note=_note(name, found, where)) for name, found in values.items()]
    return rows + [_distance(name, *map(np.concatenate, features[name]), where) for name in looking], seconds


def real_images(model: LatentDiffusion, photographs: Path | None, count: int) -> Iterator[Tensor]:
    """Images (1, 3, H, W) in [0, 1]: photographs, their middles cropped to sides the model takes; else drawings."""
    if photographs is None:
        side = max(model.height, model.width)
        for seed in scenes.HELD_OUT_SEEDS[:count]:
            drawn = from_uint8(scenes.draw(scenes.random_scene(seed), side)[None])
            yield drawn[:, :, : model.height, : model.width]
        return
    for path in photo_files(photographs):
        try:
            image = crop(from_pil(open_photo(path)), model.factor)
        except ValueError:  # counted and named with the reference
            continue
        if image.numel():
            yield image[None]


def _note(name: str, found: list[float], where: str) -> str:
    """Beside the mean of images: their spread, and for PSNR that of the mean error, which papers give as well."""
    spread = f"std {np.std(found, ddof=1):.3g}" if len(found) > 1 else ""
    if name != "vae_psnr":
        return f"{spread}, {where}"
    whole = -10 * np.log10(np.mean(10 ** (-np.asarray(found) / 10)))
    return f"dB, {spread}, of the mean error {whole:.2f}, {where}"


def _distance(name: str, real: np.ndarray, rebuilt: np.ndarray, where: str) -> dict:
    """The Frechet distance of reconstructions to what they were made from, image by image left out in blocks."""
    moments, blocks = Moments.of(real), statistics.shuffled_blocks(len(real), min(BLOCKS, len(real)))
    whole, left_out = FrechetReference(moments.mean, moments.covariance).leave_out(rebuilt, blocks)
    value, _ = statistics.jackknife(whole, left_out, len(real))
    return row(name, value, None, note=where)
