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

from .sweep_axes import SEED
from .sweep_grid import SweepCell, table_of

ALIGNMENT = {  # by world: metric, detector
    "everyday": ("clip_scenes", "everyday"),
    "fashion": ("fashion_accuracy", "fashion"),
}


# What each score is, for who looks at the pictures.
EXPLAINED = {
    "clip_scenes": "How well the picture fits its prompt, 0 to 100, by a small network that learned this drawn world; higher "
    "is better. It is one opinion: a few points between two pictures mean little.",
    "clip_score": "How well the picture fits its prompt by CLIP, 0 to 100; higher is better, and above 30 is usual for a fit.",
    "fashion_accuracy": "1 where a classifier sees the kind of clothing that the prompt names, else 0.",
    "saturation": "Mean saturation of the colours, 0 (grey) to 1: it climbs when guidance pushes too hard.",
    "change": "How far the picture is from its left neighbour: the root mean square difference, in levels of 255.",
}


def measured(world: str, prompt: str, cells: list[SweepCell], across: str = "") -> list[SweepCell]:
    """The cells with their alignment to the prompt, in whatever wording, or to a prompt of their own (where the model's world
    has such a score), saturation, and change from the last picture of the row."""
    table = table_of(cells, across)
    asked = [prompt if "{}" in cell.condition.wording else cell.prompt for cell in cells]
    scores = alignment(world, asked, [cell.picture for cell in cells])
    before: dict[str, Image.Image] = {}
    done = []
    for index, cell in enumerate(cells):
        values = {name: found[index] for name, found in scores.items()} | {"saturation": saturation(cell.picture)}
        row = table.row(cell.condition, cell.seed)
        if row in before:
            values["change"] = distance(cell.picture, before[row])
        before[row] = cell.picture
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


def alignment(world: str, prompts: list[str], pictures: list[Image.Image]) -> dict[str, list[float]]:
    """How well each picture fits its prompt, by the detector of the model's world, or by CLIP where it is at hand; nothing
    where a prompt is empty."""
    if not all(prompts):
        return {}
    metric, name = ALIGNMENT.get(world, ("clip_score", "clip"))
    try:
        detector = _detector(name)
    except ValueError:  # CLIP's weights are not on this machine
        return {}
    images = torch.stack([from_pil(picture) for picture in pictures])
    return {metric: detector.extract(images, prompts)[1][metric]}


def chart_of(cells: list[SweepCell], across: str = "") -> gr.LinePlot:
    """Alignment along what is swept across, a line a row; saturation where there is no alignment score."""
    table, score = table_of(cells, across), next(iter(cells[0].scores))
    x = table.across.replace("_", " ")
    values = [{**dict(cell.condition.values), SEED: str(cell.seed)}[table.across] for cell in cells]
    numbers = all(isinstance(value, int | float) for value in values)
    places = values if numbers else [shown(value) for value in values]
    rows = [table.row(cell.condition, cell.seed) or "all" for cell in cells]
    down = [name.replace("_", " ") for name, _ in cells[0].condition.values if name != table.across]
    line = ", ".join(down) or ("row" if table.across == SEED else SEED)
    shows = pd.DataFrame({x: places, "score": [cell.scores[score] for cell in cells], line: rows})
    order = None if numbers else list(dict.fromkeys(map(str, places)))
    return gr.LinePlot(shows, x=x, x_title=x, sort=order, y_title=score, color=line, visible=len(set(values)) > 1)
