"""Every metric by name: what it is computed from, and which way is better. Imports no torch, so that --help is instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ldm_core.data import fashion_mnist, scenes

DISTANCE, IMAGE, AUTOENCODER = "distance", "image", "autoencoder"


@dataclass(frozen=True)
class Metric:
    """One metric. A distance compares a set of images with a reference; an image metric scores each against its prompt."""

    name: str
    kind: str
    higher_is_better: bool
    detector: str = ""  # the name in detectors.py
    reads: Callable[[str], object] | None = None  # None for a prompt that the metric has nothing to say about
    nothing_read: str = ""  # the reason where that is so of every prompt
    has_ceiling: bool = False  # whether the detector knows what real images score


def _of_world(name: str) -> tuple[Metric, ...]:
    """What any detector with a reference gives."""
    distances = (
        ("fd", False),
        ("kd", False),
        ("precision", True),
        ("recall", True),
        ("density", True),
        ("coverage", True),
    )
    return tuple(Metric(f"{short}_{name}", DISTANCE, better, name) for short, better in distances)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *_of_world("scenes"),
        Metric("clip_scenes", IMAGE, True, "scenes"),
        Metric("scene_accuracy", IMAGE, True, "scenes", scenes.parse, "no prompt speaks of the drawn world", True),
        *_of_world("fashion"),
        Metric(
            "fashion_accuracy", IMAGE, True, "fashion", fashion_mnist.parse, "no prompt names a piece of clothing", True
        ),
        Metric("vae_psnr", AUTOENCODER, True),
    )
}
LATER = ("fid", "kid", "clip_score", "fd_dinov2", "cmmd", "vae_ssim", "rfid")
DEFAULTS = {  # by the world that a model was made for
    "scenes": ("fd_scenes", "kd_scenes", "clip_scenes", "scene_accuracy", "vae_psnr"),
    "fashion": ("fd_fashion", "kd_fashion", "coverage_fashion", "fashion_accuracy", "vae_psnr"),
}


def detectors_of(names: Iterable[str], kind: str | None = None) -> list[str]:
    """The detectors that metrics need, each once; only for metrics of a kind where one is given."""
    needed = [METRICS[name] for name in names if kind in (None, METRICS[name].kind)]
    return list(dict.fromkeys(metric.detector for metric in needed if metric.detector))


def check(names: tuple[str, ...]) -> None:
    """ValueError for a metric that is not known, or not in this version."""
    for name in names:
        if name in LATER:
            raise ValueError(f"--metrics {name} is not in this version; known: {', '.join(METRICS)}")
        if name not in METRICS:
            raise ValueError(f"--metrics {name!r} is unknown; known: {', '.join(METRICS)}")
