"""The autoencoder's own rows: what it keeps of real images, photographs of the reference folder or held-out drawings."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ldm_core.data.photos import open_photo, photo_files
from ldm_core.images import from_pil, from_uint8, rounded
from ldm_core.pipeline import LatentDiffusion

from .. import statistics
from ..detectors.detector import Detector
from ..downloads import NO_DOWNLOADS, Downloads
from ..paths import without_home
from ..worlds import DRAWN, DRAWN_WORLD
from .frechet import FrechetReference, Moments
from .metric import AutoencoderScore, Metric, Row
from .reconstruction import crop, lpips, psnr, require_lpips, ssim
from .rows import not_computed, row

DRAWINGS = 64  # held out, for figures per image
SAID = 5  # names of images in a note
FOR_DISTANCES = 512  # drawings where a distance is asked for, which needs more of them
PER_IMAGE = {"vae_psnr": psnr, "vae_ssim": ssim, "vae_lpips": lpips}


class AutoencoderDetector:
    """An autoencoder in the place of a detector: how much it keeps of each generated image, in dB. It has no features."""

    name, dimension, resize = "the model's autoencoder", 0, ""

    def __init__(self, model: LatentDiffusion):
        self.model, self.sha256 = model, model.weights

    def image_features(self, images: Tensor) -> Tensor:
        """None of images (B, 3, H, W): (B, 0)."""
        return torch.zeros(len(images), 0)

    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """No features; vae_psnr_generated of images (B, 3, H, W) in [0, 1] against their 8-bit reconstructions; NaN where
        these are equal to the last bit, which no mean holds."""
        values = psnr(images, rounded(self.model.reconstruct(images)))
        values = torch.where(values.isfinite(), values, torch.nan)
        return np.zeros((len(images), 0), np.float32), {"vae_psnr_generated": values.tolist()}


class Reconstructions:
    """A model's autoencoder over real images, each encoded and decoded once for all metrics that ask.

    The images are `photographs`, a folder, or drawings that nothing was trained on. What a metric lacks is fetched where
    `downloads` agrees. `seconds` are the networks' so far.
    """

    def __init__(self, model: LatentDiffusion, photographs: Path | None = None, downloads: Downloads = NO_DOWNLOADS):
        self.model, self.photographs, self.downloads, self.seconds = model, photographs, downloads, 0.0
        self.metrics: list[AutoencoderScore] = []  # what will be asked for
        self.detectors: Mapping[str, Detector] = {}
        self._found: dict[str, Row] = {}

    def obstacle(self, metric: AutoencoderScore) -> str | None:
        """Why a metric of these cannot be computed."""
        if self.model.spec.world == "fashion" and self.photographs is None:
            return "the data set does not ship; python -m evaluation.card fashion --data FOLDER computes it"
        if metric.name == "vae_lpips":
            try:
                require_lpips(self.downloads)
            except (ValueError, OSError) as error:
                return str(error)
        return None

    def prepare(self, metrics: Sequence[Metric], detectors: Mapping[str, Detector]) -> None:
        """Say beforehand which metrics will be asked for, and by which detectors they measure."""
        self.metrics = [metric for metric in metrics if isinstance(metric, AutoencoderScore)]
        self.detectors, self._found = detectors, {}

    def rows(self, metric: AutoencoderScore) -> list[Row]:
        """The row of a metric that was prepared for."""
        if not self._found:
            self._found = {found["metric"]: found for found in self._measure()}
        return [self._found[metric.name]]

    def _measure(self) -> Iterator[Row]:
        """A row for each metric, of reconstructions of the posterior mean, rounded to 8 bits, images in [0, 1]."""
        extracting = {metric.name: metric.detector for metric in self.metrics if metric.detector}
        values: dict[str, list[float]] = {metric.name: [] for metric in self.metrics if metric.name in PER_IMAGE}
        left_out: dict[str, list[str]] = {metric.name: [] for metric in self.metrics}
        features: dict[str, tuple[list, list]] = {name: ([], []) for name in extracting}
        count, used = FOR_DISTANCES if extracting else DRAWINGS, 0
        for label, image in real_images(self.model, self.photographs, count):
            if image is None:
                for labels in left_out.values():
                    labels.append(label)
                continue
            rebuilt, used = self._timed(self._rebuilt, image), used + 1
            # One number of drawings for figures per image, whatever else is asked for.
            for name in values if self.photographs or used <= DRAWINGS else ():
                value = float(PER_IMAGE[name](image, rebuilt))
                if math.isfinite(value):
                    values[name].append(value)
                else:
                    left_out[name].append(label)
            for name, detector in extracting.items():
                for side, pictured in zip(features[name], (image, rebuilt)):
                    side.append(self._timed(self.detectors[detector].image_features, pictured).numpy())
        of = without_home(str(self.photographs))
        where = f"on the photographs of {of}" if self.photographs else "on held-out drawings"
        for metric in self.metrics:
            said = where + _without(left_out[metric.name])
            yield _row(metric, values.get(metric.name, []), features.get(metric.name, ([], [])), said)

    def _rebuilt(self, image: Tensor) -> Tensor:
        return rounded(self.model.reconstruct(image))

    def _timed(self, work: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
        """What the work gives, its time counted as the networks'."""
        began = time.perf_counter()
        found = work(image)
        self.seconds += time.perf_counter() - began
        return found


def real_images(model: LatentDiffusion, photographs: Path | None, count: int) -> Iterator[tuple[str, Tensor | None]]:
    """What each is called and the image (1, 3, H, W) in [0, 1]: photographs, their middles cropped to sides that the model
    takes, None for one that cannot be read or is too small; else drawings."""
    if photographs is None:
        side = max(model.height, model.width)
        world = DRAWN[model.spec.world if model.spec.world in DRAWN else DRAWN_WORLD]
        for seed in world.HELD_OUT_SEEDS[:count]:
            drawn = from_uint8(world.draw(world.random_scene(seed), side)[None])
            yield f"drawing {seed}", drawn[:, :, : model.height, : model.width]
        return
    for path in photo_files(photographs):
        label = path.relative_to(photographs).as_posix()
        try:
            image = crop(from_pil(open_photo(path)), model.factor)
        except ValueError:
            yield label, None
            continue
        yield label, image[None] if image.numel() else None


def _without(labels: Sequence[str]) -> str:
    """What a note says of images that a figure leaves out."""
    if not labels:
        return ""
    more = f" and {len(labels) - SAID} more" if len(labels) > SAID else ""
    return f", without {', '.join(labels[:SAID])}{more} (unreadable, too small, or no finite value)"


def _row(metric: AutoencoderScore, values: list[float], features: tuple[list, list], said: str) -> Row:
    """Of a metric's values, an image each, or of the features of both sides; `said` of which images."""
    if values:
        return row(metric, statistics.mean(values), note=_note(metric.name, values, said))
    if features[0]:
        real, rebuilt = (np.concatenate(side) for side in features)
        return _distance(metric, real, rebuilt, said)
    return not_computed(metric, f"no image has a value; {said}")


def _note(name: str, found: list[float], where: str) -> str:
    """Beside the mean of images: their spread, and for PSNR that of the mean error, which papers give as well."""
    spread = f"std {np.std(found, ddof=1):.3g}" if len(found) > 1 else ""
    if name != "vae_psnr":
        return f"{spread}, {where}"
    whole = -10 * np.log10(np.mean(10 ** (-np.asarray(found) / 10)))
    return f"dB, {spread}, of the mean error {whole:.2f}, {where}"


def _distance(metric: AutoencoderScore, real: np.ndarray, rebuilt: np.ndarray, where: str) -> Row:
    """The Frechet distance of reconstructions to what they were made from, image by image left out in blocks."""
    moments = Moments.of(real)
    found = FrechetReference(moments.mean, moments.covariance).measure(rebuilt, np.arange(len(rebuilt)))
    value = None if found is None else found.estimate()
    return row(metric, value, note=where)
