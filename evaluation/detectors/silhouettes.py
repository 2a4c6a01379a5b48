"""The reader of silhouettes: which pixels of a drawn world's picture are a thing's, and which are background.

A small network, one a world, that learned from drawings by `python -m evaluation.detectors.train_silhouettes WORLD`. It shares
nothing with any generator or control, so what it reads says whether a picture obeys an image that asked for places.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ldm_core.images import from_uint8
from ldm_core.training.corpus import silhouette
from ldm_core.training.held_out import WORLDS

from ..statistics import Estimate, mean
from .weights_file import OwnDetector, load_weights

SIDE = 64  # pixels that the reader sees along a side
CELLS = 32  # along a side, of each of which it says whether a thing is there
WIDTHS = (24, 48, 96)  # channels at 32, 16 and 8 values along a side
CEILING_COUNT = 300  # drawings
CEILING_SIDE = 128  # pixels along a side


@dataclass(frozen=True)
class Drawings:
    """Pictures (N, 3, H, W) in [0, 1], where their things are (N, 1, H, W) in [0, 1], and what they show in words."""

    images: Tensor
    silhouettes: Tensor
    captions: list[str]

    @classmethod
    def of(cls, world: str, seeds: Iterator[int], size: int) -> Drawings:
        """Of the scenes of seeds; those of nothing but a background are left out."""
        module, say = WORLDS[world]
        made: list[tuple[np.ndarray, np.ndarray, str]] = []
        for seed in seeds:
            scene: Any = module.random_scene(seed)
            if scene.things:
                masks = module.masks(scene, size)
                made.append((module.draw(scene, size), silhouette(masks), say(scene, seed)))
        images, silhouettes, captions = zip(*made)
        asked = torch.from_numpy(np.stack(silhouettes))[:, None].float() / 255
        return cls(from_uint8(np.stack(images)), asked, list(captions))


class SilhouetteReader(OwnDetector):
    """Pictures (B, 3, SIDE, SIDE) -> logits (B, 1, CELLS, CELLS) of a cell's being a thing's: a small U-Net."""

    dimension, resize = 0, f"area-{SIDE}"

    def __init__(self, world: str):
        super().__init__()
        self.world, self.name = world, f"{world}_silhouettes"
        self.weights = Path(__file__).parent / "weights" / self.name / "model.safetensors"
        fine, middle, coarse = WIDTHS
        self.down = nn.ModuleList(
            [
                _block(3, fine, kernel=5, stride=2),
                nn.Sequential(_block(fine, middle, stride=2), _block(middle, middle)),
                nn.Sequential(_block(middle, coarse, stride=2), _block(coarse, coarse)),
            ]
        )
        self.up = nn.ModuleList([nn.Conv2d(coarse, middle, 1), nn.Conv2d(middle, fine, 1)])
        self.joined = nn.ModuleList([_block(middle, middle), _block(fine, fine)])
        self.out = nn.Conv2d(fine, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        fine = self.down[0](images)
        middle = self.down[1](fine)
        coarse = self.down[2](middle)
        middle = self.joined[0](middle + F.interpolate(self.up[0](coarse), scale_factor=2, mode="bilinear"))
        fine = self.joined[1](fine + F.interpolate(self.up[1](middle), scale_factor=2, mode="bilinear"))
        return self.out(fine)

    def ceiling(self) -> Estimate:
        """The iou of what it reads in real drawings and where their things are: the most that any control can come to."""
        seeds = itertools.islice(WORLDS[self.world][0].HELD_OUT_SEEDS, CEILING_COUNT)
        real = Drawings.of(self.world, seeds, CEILING_SIDE)
        return mean(ious(self, real.images, real.silhouettes), bounds=(0.0, 1.0))


def _block(channels_in: int, channels: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels, kernel, stride, kernel // 2)
    return nn.Sequential(convolution, nn.GroupNorm(8, channels), nn.SiLU())


def seen(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) at the reader's size."""
    return F.adaptive_avg_pool2d(images, SIDE)


def in_cells(silhouettes: Tensor) -> Tensor:
    """Silhouettes (N, 1, H, W) in [0, 1] as the shares (N, 1, CELLS, CELLS) of its cells."""
    return F.adaptive_avg_pool2d(silhouettes, CELLS)


@torch.inference_mode()
def ious(reader: nn.Module, images: Tensor, silhouettes: Tensor) -> list[float]:
    """Intersection over union of what the reader sees in each picture (B, 3, H, W) and what was asked for (B, 1, H, W), both in
    [0, 1]; NaN where nothing was asked for."""
    read, asked = reader(seen(images)) > 0, in_cells(silhouettes) > 0.5
    both, either = ((read & asked).sum((1, 2, 3)), (read | asked).sum((1, 2, 3)))
    return [
        float(shared / whole) if wanted else math.nan
        for shared, whole, wanted in zip(both, either, asked.any(dim=(1, 2, 3)).tolist())
    ]


@functools.cache
def load_silhouette_reader(world: str) -> SilhouetteReader:
    """The trained reader of a drawn world: float32, on the CPU; ValueError for a world that has none."""
    reader = SilhouetteReader(world)
    if world not in WORLDS or not reader.weights.exists():
        makes = "python -m evaluation.detectors.train_silhouettes"
        raise ValueError(
            f"no reader of silhouettes knows the world {world!r}; {makes} makes those of {', '.join(WORLDS)}"
        )
    load_weights(reader)
    return reader
