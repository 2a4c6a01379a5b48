"""Every metric by name. Imports no torch, so that --help is instant."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ldm_core.data import fashion_mnist

from .metrics.control_score import ControlScore
from .metrics.inside_score import InsideScore
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
from .metrics.scene_score import SceneScore
from .metrics.start_score import StartScore
from .worlds import DRAWN, DRAWN_WORLD

RESIZE_MODES = ("clean", "tf1", "pytorch")  # what they are: resize.py


def _distances(detector: str, frechet: str, kernel: str, ending: str = "") -> tuple[Distance, ...]:
    """What any detector with a reference gives, under its own names."""
    return (
        FrechetDistance(name=frechet, higher_is_better=False, detector=detector),
        KernelDistance(name=kernel, higher_is_better=False, detector=detector),
        *(
            Neighbours(
                name=f"{share}_{ending or detector}", higher_is_better=True, detector=detector, statistic=share, k=k
            )
            for share, k in NEIGHBOURS.items()
        ),
    )


def _start_distance(name: str, of: str) -> StartScore:
    """How far pictures went from their start images by the features of a detector."""
    return StartScore(
        name=f"start_distance_{name}", higher_is_better=False, detector=f"start_{of}", of=of, bounds=(0, 2)
    )


def _inside(name: str, of: str, **more: Any) -> InsideScore:
    """A score, by a detector, of what masks had drawn anew."""
    return InsideScore(name=name, higher_is_better=True, detector=f"inside_{of}", of=of, **more)


def _of_world(world: str) -> tuple[Metric, ...]:
    """The metrics of a drawn world, by its own detector; their names are the same for each."""
    read: dict[str, Any] = {
        "detector": world,
        "reads": DRAWN[world].parse,
        "nothing_read": "no prompt speaks of the drawn world",
        "has_ceiling": True,
    }
    return (
        *_distances(world, "fd_scenes", "kd_scenes", "scenes"),
        ImageScore(name="clip_scenes", higher_is_better=True, detector=world),
        SceneScore(name="scene_accuracy", higher_is_better=True, bounds=(0, 1), **read),
        SceneScore(name="scene_prompt_accuracy", higher_is_better=True, bounds=(0, 1), whole=True, **read),
        SceneScore(name="scene_extra", higher_is_better=False, by_skill=False, **read),
        AutoencoderScore(name="rfd_scenes", higher_is_better=False, detector=world),
        _start_distance("scenes", world),
        _inside("clip_scenes_inside", world),
        _inside("scene_accuracy_inside", world, bounds=(0, 1), nothing_read=read["nothing_read"]),
        ControlScore(
            name="control_iou",
            higher_is_better=True,
            detector=f"control_{world}",
            of=world,
            bounds=(0, 1),
            nothing_read="no control image asks for anything in white",
            has_ceiling=True,
        ),
    )


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *_distances("inception", "fid", "kid"),  # these two names are Inception's alone
        *_distances("dinov2", "fd_dinov2", "kd_dinov2"),
        Cmmd(name="cmmd", higher_is_better=False, detector="cmmd"),
        ImageScore(name="clip_score", higher_is_better=True, detector="clip"),
        *_of_world(DRAWN_WORLD),
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
        # Shares of thousandths: to an interval that reckons with values up to 1 they would all be alike.
        ImageScore(name="clipped", higher_is_better=False, detector="pixels", captions=False, bounds=(0, math.inf)),
        AutoencoderScore(name="vae_psnr", higher_is_better=True),
        AutoencoderScore(
            name="vae_ssim", higher_is_better=True, numbers=(("window", 11), ("sigma", 1.5), ("border", "reflected"))
        ),
        AutoencoderScore(name="vae_lpips", higher_is_better=False, numbers=(("network", "alex"),)),
        AutoencoderScore(name="rfid", higher_is_better=False, detector="inception"),
        AutoencoderScore(name="rfd_dinov2", higher_is_better=False, detector="dinov2"),
        StartScore(name="start_psnr", higher_is_better=True, detector="start"),
        StartScore(name="start_psnr_outside", higher_is_better=True, detector="start", masked=True),
        *(_start_distance(of, of) for of in ("fashion", "dinov2")),
        _inside("clip_score_inside", "clip"),
        ImageScore(
            name="vae_psnr_generated", higher_is_better=True, detector="autoencoder", captions=False, autoencoder=True
        ),
    )
}
SCENES = ("fd_scenes", "kd_scenes", "clip_scenes", "scene_accuracy", "scene_prompt_accuracy", "scene_extra")
GENERAL = ("fid", "kid", "clip_score", "vae_psnr", "vae_ssim")
DEFAULTS = {  # by the world that a model was made for
    **dict.fromkeys(DRAWN, (*SCENES, *GENERAL)),
    "fashion": ("fd_fashion", "kd_fashion", "coverage_fashion", "fashion_accuracy", *GENERAL),
    "": GENERAL,
}


OF_STARTS = {  # beside those of the model's world, for pictures that began at an image
    **dict.fromkeys(DRAWN, ("start_psnr", "start_distance_scenes")),
    "fashion": ("start_psnr", "start_distance_fashion"),
    "": ("start_psnr",),
}
OF_MASKS = {  # and beside these where a mask says what of it is drawn anew
    **dict.fromkeys(DRAWN, ("start_psnr_outside", "clip_scenes_inside", "scene_accuracy_inside")),
    "fashion": ("start_psnr_outside",),
    "": ("start_psnr_outside", "clip_score_inside"),
}
OF_CONTROL = dict.fromkeys(DRAWN, ("control_iou",))  # for pictures that an image steered
_IN_WORLD = {world: {metric.name: metric for metric in _of_world(world)} for world in DRAWN}


def defaults(world: str, *, started: bool = False, masked: bool = False, steered: bool = False) -> tuple[str, ...]:
    """What is measured where nothing is asked for, of a world's pictures: of those that began at images, under masks, or
    that control images steered, more."""
    more = ((started, OF_STARTS), (masked, OF_MASKS), (steered, OF_CONTROL))
    return (*DEFAULTS[world], *(name for so, known in more if so for name in known.get(world, ())))


def find(names: Iterable[str], world: str = "") -> list[Metric]:
    """The metrics of names, those of the drawn worlds by the detector of `world`, where that is one of them. ValueError for
    one that is not known."""
    names = list(names)
    check(names)
    return [_IN_WORLD.get(world, METRICS).get(name, METRICS[name]) for name in names]


def drawn_world(detectors: Iterable[str]) -> str:
    """The drawn world whose detector is among these, as a finished run names them; "" where none is."""
    return next((name for name in detectors if name in DRAWN), "")


def check(names: Iterable[str]) -> None:
    """ValueError for a metric that is not known."""
    for name in names:
        if name not in METRICS:
            raise ValueError(f"--metrics {name!r} is unknown; known: {', '.join(METRICS)}")
