"""What a researcher brings: an own metric and an own detector, any objects of the shapes below, beside the catalogue's names."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ldm_core.checks import shown

from . import catalogue
from .detectors.detector import Detector
from .metrics.metric import FrechetDistance, ImageScore, KernelDistance, Metric
from .worlds import DRAWN


@runtime_checkable
class OwnMetric(Protocol):
    """A score an image. With an attribute `sha256`, which must change with what it computes, its scores are kept beside the
    images' features; without, they are computed anew each time. With `needs_captions = True` it is skipped without them."""

    name: str
    higher_is_better: bool

    def score(self, images: Tensor, prompts: Sequence[str]) -> Sequence[float]:
        """Images (B, 3, H, W), float32 in [0, 1], and their prompts ("" where unknown) -> B numbers, NaN where it has none."""
        ...


@runtime_checkable
class OwnDetector(Protocol):
    """Features of images. Given among the metrics it stands for its Fréchet and kernel distances, fd_NAME and kd_NAME."""

    name: str
    sha256: str  # of its weights: what was extracted before is used again where it is the same
    dimension: int
    resize: str  # in words, how it brings images to its size

    def image_features(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W), float32 in [0, 1] -> features (B, dimension), float32."""
        ...


Asked = str | Metric | OwnMetric | OwnDetector


@dataclass(frozen=True)
class ScoreDetector:
    """An own metric in a detector's place: its scores, and no features."""

    metric: OwnMetric
    sha256: str
    dimension: int = 0
    resize: str = ""

    @property
    def name(self) -> str:
        return self.metric.name

    def image_features(self, images: Tensor) -> Tensor:
        """None of any image: (B, 0)."""
        return torch.zeros(len(images), 0)

    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """No features, and a score an image. ValueError where the metric gives another number of them."""
        found = list(self.metric.score(images, prompts))
        try:
            scores = [float(score) for score in found]
        except (TypeError, ValueError):
            raise ValueError(
                f"the metric {self.name} must give numbers, NaN where it has none, got {shown(found)}"
            ) from None
        if len(scores) != len(images):
            raise ValueError(f"the metric {self.name} gave {len(scores)} scores for {len(images)} images")
        return np.zeros((len(images), 0), np.float32), {self.name: scores}


@dataclass(frozen=True)
class FeatureDetector:
    """An own detector with what extraction asks of it."""

    own: OwnDetector

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    @torch.inference_mode()
    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """Features (B, dimension), and no score. ValueError for another shape."""
        features = torch.as_tensor(self.own.image_features(images))
        if features.shape != (len(images), self.own.dimension):
            raise ValueError(
                f"the detector {self.own.name} gave features {tuple(features.shape)} for {len(images)} images and "
                f"dimension {self.own.dimension}"
            )
        return features.float().cpu().numpy(), {}


def resolve(asked: Sequence[Asked], world: str = "") -> tuple[list[Metric], dict[str, Detector]]:
    """Metrics, and the own detectors that they need by name; names of the catalogue as those of a drawn world. ValueError for
    what is neither a name nor of a known shape."""
    metrics: list[Metric] = []
    detectors: dict[str, Detector] = {}
    for one in asked:
        found, detector = _resolved(one, world)
        metrics += found
        if detector is not None:
            detectors[detector.name] = detector
    names = [metric.name for metric in metrics]
    if twice := [name for index, name in enumerate(names) if name in names[:index]]:
        raise ValueError(f"two metrics are called {twice[0]!r}")
    return metrics, detectors


def _resolved(one: Asked, world: str) -> tuple[list[Metric], Detector | None]:
    if isinstance(one, str):
        return catalogue.find([one], world), None
    if isinstance(one, Metric) or hasattr(one, "rows"):
        return [cast(Metric, one)], None
    if isinstance(one, OwnDetector):
        _check_name(one.name)
        own: Any = one if hasattr(one, "extract") else FeatureDetector(one)
        distances = (FrechetDistance, "fd"), (KernelDistance, "kd")
        made: list[Metric] = [
            kind(name=f"{short}_{one.name}", higher_is_better=False, detector=one.name) for kind, short in distances
        ]
        return made, own
    if isinstance(one, OwnMetric):
        _check_name(one.name)
        captions = bool(getattr(one, "needs_captions", False))
        metric = ImageScore(
            name=one.name, higher_is_better=bool(one.higher_is_better), detector=one.name, captions=captions
        )
        detector: Any = ScoreDetector(one, str(getattr(one, "sha256", "") or uuid.uuid4().hex))
        return [metric], detector
    raise ValueError(
        f"metrics must be names, or objects with name, higher_is_better and score(images, prompts), or detectors with name, "
        f"sha256, dimension, resize and image_features(images); got {type(one).__name__}"
    )


def _check_name(name: object) -> None:
    """It goes into tables and file names, and a name of the catalogue means the catalogue's metric."""
    if not isinstance(name, str) or not name.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"an own metric's name must be letters, digits, _ and -, got {name!r}")
    detectors = {*DRAWN, *(metric.detector for metric in catalogue.METRICS.values())}
    taken = {*catalogue.METRICS, *detectors, "prompt", "seed", "file"}
    if name in taken:
        raise ValueError(f"an own metric cannot be called {name!r}: that name is taken")
