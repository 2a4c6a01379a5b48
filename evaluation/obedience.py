"""What a control of silhouettes is worth: whether a model draws its things where the control image asks for them.

    python -m evaluation.obedience scenes --control scenes-control

Silhouettes and captions are those of held-out scenes. A small network that learns here, from training drawings, to tell the
pixels of things from the background reads each picture; printed is the iou of what it reads and what was asked for, in
pictures drawn with the control and, from the same captions and seeds, without it. The reader's own iou on the real drawings,
and on what the autoencoder keeps of them, is the ceiling. For `scenes` also what each picture shows of its caption.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

import ldm_core
from ldm_core.images import from_uint8
from ldm_core.pipeline import LatentDiffusion
from ldm_core.training.corpus import silhouette
from ldm_core.training.held_out import WORLDS

from . import command
from .detectors.detector import load_detector
from .statistics import mean
from .word_maps import said

SIDE = 64  # pixels that the reader sees along a side
BATCH = 16  # pictures
ADHERENCE = {"scenes": "scene_accuracy"}  # of a world, the detector's score that is told beside


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


def reader() -> nn.Sequential:
    """Pictures (B, 3, SIDE, SIDE) -> logits (B, 1, SIDE, SIDE) of a pixel's being a thing's; it sees 31 pixels across."""
    layers: list[nn.Module] = []
    width = 3
    for dilation in (1, 2, 4, 8):
        layers += [nn.Conv2d(width, 16, 3, padding=dilation, dilation=dilation), nn.ReLU()]
        width = 16
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 1))


def learn(known: Drawings, steps: int) -> nn.Sequential:
    """A reader that has seen the drawings; every other batch is softened, as pictures out of an autoencoder are."""
    torch.manual_seed(0)
    net = reader()
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    images, asked = seen(known.images), seen(known.silhouettes)
    rng = torch.Generator().manual_seed(0)
    for step in tqdm(range(steps), "the reader learns", mininterval=2):
        chosen = torch.randint(len(images), (BATCH,), generator=rng)
        shown = images[chosen]
        if step % 2:
            shown = F.avg_pool2d(F.pad(shown, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        loss = F.binary_cross_entropy_with_logits(net(shown), asked[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


def seen(images: Tensor) -> Tensor:
    """Images (N, C, H, W) at the reader's size."""
    return F.adaptive_avg_pool2d(images, SIDE)


@torch.inference_mode()
def ious(net: nn.Module, images: Tensor, silhouettes: Tensor) -> list[float]:
    """Of what the reader sees in each picture and what was asked for."""
    read, asked = net(seen(images)) > 0, seen(silhouettes) > 0.5
    both, either = ((read & asked).sum((1, 2, 3)), (read | asked).sum((1, 2, 3)))
    return (both / either.clamp(min=1)).tolist()


def drawn(model: LatentDiffusion, asked: Drawings, **control: Any) -> Tensor:
    """The pictures of the captions, each by the seed of its place; control is that of all of them."""
    parts = []
    for start in tqdm(range(0, len(asked.captions), BATCH), "drawing", unit="batch", mininterval=2):
        part = slice(start, start + BATCH)
        given = dict(control)
        if given:
            given["control_images"] = asked.silhouettes[part].expand(-1, 3, -1, -1)
        captions = asked.captions[part]
        images = model.sample(captions, list(range(start, start + len(captions))), **given)
        assert isinstance(images, Tensor), "of one size"
        parts.append(images)
    return torch.cat(parts)


def table(
    model: LatentDiffusion, net: nn.Module, asked: Drawings, world: str, scales: Sequence[float]
) -> list[dict[str, str]]:
    """A row for each way to a picture: iou, and the adherence where the world has a detector of it."""
    ways = {
        "the real drawing": asked.images,
        "its reconstruction": torch.cat([model.reconstruct(image[None]) for image in asked.images]),
        "drawn without control": drawn(model, asked),
        **{f"drawn with control, scale {scale:g}": drawn(model, asked, control_scale=scale) for scale in scales},
    }
    rows = []
    for name, images in ways.items():
        row = {"picture": name, "iou": said(mean(ious(net, images, asked.silhouettes), bounds=(0.0, 1.0)))}
        if world in ADHERENCE:
            scores = load_detector(world).extract(images, asked.captions)[1][ADHERENCE[world]]
            row[ADHERENCE[world]] = said(mean(scores, bounds=(0.0, 1.0)))
        rows.append(row)
    return rows


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("evaluation.obedience", __doc__)
    parser.add_argument("model", help="a model of a drawn world: a registry name or a folder")
    parser.add_argument("--control", required=True, metavar="NAME|FOLDER", help="a control of silhouettes for it")
    parser.add_argument("--count", type=int, default=100, metavar="N", help="held-out scenes (default: %(default)s)")
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0], metavar="X", help="control scales to try")
    note = "training drawings that the reader learns from, and its steps (default: %(default)s)"
    parser.add_argument("--reader", type=int, default=400, metavar="N", help=note)
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    model = ldm_core.load(arguments.model, dtype="float32", control=arguments.control, engine="torch")
    world = model.spec.world
    if world not in WORLDS:
        raise ValueError(f"model {arguments.model!r} draws no world with masks; those of {', '.join(WORLDS)} do")
    if min(arguments.count, arguments.reader) < 2:
        raise ValueError("--count and --reader must be 2 or more")
    module, _ = WORLDS[world]
    known, asked = (
        Drawings.of(world, itertools.islice(seeds, count), model.height)
        for seeds, count in ((module.TRAINING_SEEDS, arguments.reader), (module.HELD_OUT_SEEDS, arguments.count))
    )
    net = learn(known, arguments.reader)
    print(f"{len(asked.captions)} held-out scenes with things in them; intervals of 95 %\n")
    print(pd.DataFrame(table(model, net, asked, world, arguments.scales)).to_string(index=False))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
