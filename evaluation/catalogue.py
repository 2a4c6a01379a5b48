"""Every metric by name. Imports no torch, so that --help is instant."""

from __future__ import annotations

from collections.abc import Iterable

from ldm_core.data import fashion_mnist, scenes

from .metrics.metric import (
    NEIGHBOURS,
    AutoencoderScore,
    Cmmd,
    Distance,
    FrechetDistance,
    ImageScore,
    KernelDistance,
    Metric,
    Neighbours,
)
from .metrics.start_score import StartScore

RESIZE_MODES = ("clean", "tf1", "pytorch")  # what they are: resize.py


def _distances(detector: str, frechet: str, kernel: str) -> tuple[Distance, ...]:
    """What any detector with a reference gives, under its own names."""
    return (
        FrechetDistance(name=frechet, higher_is_better=False, detector=detector),
        KernelDistance(name=kernel, higher_is_better=False, detector=detector),
        *(
            Neighbours(name=f"{share}_{detector}", higher_is_better=True, detector=detector, statistic=share, k=k)
            for share, k in NEIGHBOURS.items()
        ),
    )


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *_distances("inception", "fid", "kid"),  # these two names are Inception's alone
        *_distances("dinov2", "fd_dinov2", "kd_dinov2"),
        Cmmd(name="cmmd", higher_is_better=False, detector="cmmd"),
        ImageScore(name="clip_score", higher_is_better=True, detector="clip"),
        *_distances("scenes", "fd_scenes", "kd_scenes"),
        ImageScore(name="clip_scenes", higher_is_better=True, detector="scenes"),
        ImageScore(
            name="scene_accuracy",
            higher_is_better=True,
            detector="scenes",
            reads=scenes.parse,
            nothing_read="no prompt speaks of the drawn world",
            bounds=(0, 1),
            has_ceiling=True,
        ),
        *_distances("fashion", "fd_fashion", "kd_fashion"),
        ImageScore(
            name="fashion_accuracy",
            higher_is_better=True,
            detector="fashion",
            reads=fashion_mnist.parse,
            nothing_read="no prompt names a piece of clothing",
            bounds=(0, 1),
            has_ceiling=True,
        ),
        ImageScore(name="clipped", higher_is_better=False, detector="pixels", captions=False, bounds=(0, 1)),
        AutoencoderScore(name="vae_psnr", higher_is_better=True),
        AutoencoderScore(name="vae_ssim", higher_is_better=True, numbers=(("window", 11), ("sigma", 1.5))),
        AutoencoderScore(name="vae_lpips", higher_is_better=False, numbers=(("network", "alex"),)),
        AutoencoderScore(name="rfid", higher_is_better=False, detector="inception"),
        AutoencoderScore(name="rfd_dinov2", higher_is_better=False, detector="dinov2"),
        AutoencoderScore(name="rfd_scenes", higher_is_better=False, detector="scenes"),
        StartScore(name="start_psnr", higher_is_better=True, detector="start"),
        StartScore(name="start_psnr_outside", higher_is_better=True, detector="start", masked=True),
        *(
            StartScore(
                name=f"start_distance_{of}", higher_is_better=False, detector=f"start_{of}", of=of, bounds=(0, 2)
            )
            for of in ("scenes", "fashion", "dinov2")
        ),
        ImageScore(
            name="vae_psnr_generated", higher_is_better=True, detector="autoencoder", captions=False, autoencoder=True
        ),
    )
}
GENERAL = ("fid", "kid", "clip_score", "vae_psnr", "vae_ssim")
DEFAULTS = {  # by the world that a model was made for
    "scenes": ("fd_scenes", "kd_scenes", "clip_scenes", "scene_accuracy", *GENERAL),
    "fashion": ("fd_fashion", "kd_fashion", "coverage_fashion", "fashion_accuracy", *GENERAL),
    "": GENERAL,
}


OF_STARTS = {  # beside those of the model's world, for pictures that began at an image
    "scenes": ("start_psnr", "start_psnr_outside", "start_distance_scenes"),
    "fashion": ("start_psnr", "start_psnr_outside", "start_distance_fashion"),
    "": ("start_psnr", "start_psnr_outside"),
}


def find(names: Iterable[str]) -> list[Metric]:
    """The metrics of names. ValueError for one that is not known."""
    names = list(names)
    check(names)
    return [METRICS[name] for name in names]


def metric_of(row_name: str) -> Metric:
    """The metric that a row of summary.csv belongs to, its corrected value and its ceiling too."""
    return METRICS[row_name.removesuffix("_jackknife").removesuffix("_ceiling")]


def check(names: Iterable[str]) -> None:
    """ValueError for a metric that is not known."""
    for name in names:
        if name not in METRICS:
            raise ValueError(f"--metrics {name!r} is unknown; known: {', '.join(METRICS)}")
