"""Every metric by name: what it is computed from, and which way is better. Imports no torch, so that --help is instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ldm_core.data import fashion_mnist, scenes

DISTANCE, IMAGE, AUTOENCODER = "distance", "image", "autoencoder"
RESIZE_MODES = ("clean", "tf1", "pytorch")  # what they are: resize.py


@dataclass(frozen=True)
class Metric:
    """One metric. A distance compares a set of images with a reference; an image metric scores each against its prompt."""

    name: str
    kind: str
    higher_is_better: bool
    detector: str = ""  # the name in detectors.py
    statistic: str = ""  # of a distance: its name in score.target_of
    reads: Callable[[str], object] | None = None  # None for a prompt that the metric has nothing to say about
    nothing_read: str = ""  # the reason where that is so of every prompt
    has_ceiling: bool = False  # whether the detector knows what real images score


NEIGHBOURS = ("precision", "recall", "density", "coverage")  # higher is better


def _distances(detector: str, ending: str, frechet: str, kernel: str) -> tuple[Metric, ...]:
    """What any detector with a reference gives, under its own names."""
    return (
        Metric(frechet, DISTANCE, False, detector, "frechet"),
        Metric(kernel, DISTANCE, False, detector, "kernel"),
        *(Metric(f"{statistic}_{ending}", DISTANCE, True, detector, statistic) for statistic in NEIGHBOURS),
    )


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *_distances("inception", "inception", "fid", "kid"),  # these two names are Inception's alone
        *_distances("dinov2", "dinov2", "fd_dinov2", "kd_dinov2"),
        Metric("cmmd", DISTANCE, False, "cmmd", "cmmd"),
        Metric("clip_score", IMAGE, True, "clip"),
        *_distances("scenes", "scenes", "fd_scenes", "kd_scenes"),
        Metric("clip_scenes", IMAGE, True, "scenes"),
        Metric("scene_accuracy", IMAGE, True, "scenes", "", scenes.parse, "no prompt speaks of the drawn world", True),
        *_distances("fashion", "fashion", "fd_fashion", "kd_fashion"),
        Metric(
            "fashion_accuracy",
            IMAGE,
            True,
            "fashion",
            "",
            fashion_mnist.parse,
            "no prompt names a piece of clothing",
            True,
        ),
        Metric("vae_psnr", AUTOENCODER, True),
        Metric("vae_ssim", AUTOENCODER, True),
        Metric("vae_lpips", AUTOENCODER, False),
        Metric("rfid", AUTOENCODER, False, "inception"),
        Metric("rfd_dinov2", AUTOENCODER, False, "dinov2"),
        Metric("rfd_scenes", AUTOENCODER, False, "scenes"),
        Metric("vae_psnr_generated", IMAGE, True, "autoencoder"),
    )
}
GENERAL = ("fid", "kid", "clip_score", "vae_psnr", "vae_ssim")
DEFAULTS = {  # by the world that a model was made for
    "scenes": ("fd_scenes", "kd_scenes", "clip_scenes", "scene_accuracy", *GENERAL),
    "fashion": ("fd_fashion", "kd_fashion", "coverage_fashion", "fashion_accuracy", *GENERAL),
    "": GENERAL,
}


def detectors_of(names: Iterable[str], kind: str | None = None) -> list[str]:
    """The detectors that metrics need, each once; only for metrics of a kind where one is given."""
    needed = [METRICS[name] for name in names if kind in (None, METRICS[name].kind)]
    return list(dict.fromkeys(metric.detector for metric in needed if metric.detector))


def check(names: tuple[str, ...]) -> None:
    """ValueError for a metric that is not known."""
    for name in names:
        if name not in METRICS:
            raise ValueError(f"--metrics {name!r} is unknown; known: {', '.join(METRICS)}")
