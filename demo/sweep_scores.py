"""What is measured of a sweep's pictures, and how that looks along the swept setting."""

from __future__ import annotations

import dataclasses
import functools

import gradio as gr
import numpy as np
import pandas as pd
import torch
from PIL import Image

from evaluation.condition import shown
from evaluation.detectors.detector import Detector, load_detector
from ldm_core.images import from_pil

from .sweep_grid import SweepCell

ALIGNMENT = {  # by world: metric, detector
    "scenes": ("clip_scenes", "scenes"),
    "everyday": ("clip_scenes", "everyday"),
    "fashion": ("fashion_accuracy", "fashion"),
}


def measured(world: str, prompt: str, cells: list[SweepCell]) -> list[SweepCell]:
    """The cells with their alignment to the prompt, whatever its wording (where the model's world has such a score),
    saturation, and change from the last value."""
    scores = alignment(world, prompt, [cell.picture for cell in cells])
    before: dict[int, Image.Image] = {}
    done = []
    for index, cell in enumerate(cells):
        values = {name: found[index] for name, found in scores.items()} | {"saturation": saturation(cell.picture)}
        if cell.seed in before:
            values["change"] = distance(cell.picture, before[cell.seed])
        before[cell.seed] = cell.picture
        done.append(dataclasses.replace(cell, scores=values))
    return done


def saturation(picture: Image.Image) -> float:
    """Mean HSV saturation, 0 to 1: too much guidance shows in it first."""
    return float(np.asarray(picture.convert("HSV"))[..., 1].mean() / 255)


def distance(picture: Image.Image, other: Image.Image) -> float:
    """Root mean square difference of two pictures of one size, in levels of 255."""
    first, second = (np.asarray(image.convert("RGB"), np.float64) for image in (picture, other))
    return float(np.sqrt(np.square(first - second).mean()))


@functools.cache
def _detector(name: str) -> Detector:
    return load_detector(name)


def alignment(world: str, prompt: str, pictures: list[Image.Image]) -> dict[str, list[float]]:
    """How well each picture fits the prompt, by the detector of the model's world, or by CLIP where it is at hand."""
    if not prompt:
        return {}
    metric, name = ALIGNMENT.get(world, ("clip_score", "clip"))
    try:
        detector = _detector(name)
    except ValueError:  # CLIP's weights are not on this machine
        return {}
    images = torch.stack([from_pil(picture) for picture in pictures])
    return {metric: detector.extract(images, [prompt] * len(pictures))[1][metric]}


def chart_of(cells: list[SweepCell]) -> gr.LinePlot:
    """Alignment along the swept setting, a line a seed; saturation where there is no alignment score."""
    ((axis, _),) = cells[0].condition.values
    x, score = axis.replace("_", " "), next(iter(cells[0].scores))
    values = [cell.condition.values[0][1] for cell in cells]
    numbers = all(isinstance(value, int | float) for value in values)
    places = values if numbers else [shown(value) for value in values]
    table = pd.DataFrame(
        {x: places, "score": [cell.scores[score] for cell in cells], "seed": [f"seed {cell.seed}" for cell in cells]}
    )
    order = None if numbers else list(dict.fromkeys(map(str, places)))
    return gr.LinePlot(table, x=x, x_title=x, sort=order, y_title=score, visible=len(set(values)) > 1)
