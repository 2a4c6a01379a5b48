"""What a control of silhouettes is worth: whether a model draws its things where the control image asks for them.

    python -m evaluation.obedience scenes --control scenes-control

Silhouettes and captions are those of held-out scenes. The reader of silhouettes (detectors/silhouettes.py) tells the pixels of
things from the background; printed is the iou of what it reads in each picture and what was asked for, in pictures drawn with
the control and, from the same captions and seeds, without it. The reader's own iou on the real drawings, and on what the
autoencoder keeps of them, is the ceiling. Also what each picture shows of its caption. With --sheet,
silhouettes and pictures side by side.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

import ldm_core
from ldm_core.images import to_pil
from ldm_core.pipeline import LatentDiffusion
from ldm_core.training.held_out import WORLDS

from . import command
from .detectors.detector import load_detector
from .detectors.silhouettes import Drawings, SilhouetteReader, ious, load_silhouette_reader
from .statistics import mean
from .word_maps import said

BATCH = 16  # pictures
SHOWN = 8  # columns of a sheet
ADHERENCE = "scene_accuracy"  # the score that is told beside
REAL, RECONSTRUCTED, FREE = "the real drawing", "its reconstruction", "drawn without control"


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


def ways(model: LatentDiffusion, asked: Drawings, scales: Sequence[float]) -> dict[str, Tensor]:
    """Pictures (N, 3, H, W) of the captions by each way to one: real, out of the autoencoder, drawn without and with control."""
    return {
        REAL: asked.images,
        RECONSTRUCTED: torch.cat([model.reconstruct(image[None]) for image in asked.images]),
        FREE: drawn(model, asked),
        **{f"drawn with control, scale {scale:g}": drawn(model, asked, control_scale=scale) for scale in scales},
    }


def table(pictures: dict[str, Tensor], reader: SilhouetteReader, asked: Drawings) -> list[dict[str, str]]:
    """A row for each way to a picture: iou, the difference to the same seeds drawn without control, and the adherence."""
    rows, free = [], ious(reader, pictures[FREE], asked.silhouettes)
    for name, images in pictures.items():
        found = ious(reader, images, asked.silhouettes)
        more = [with_control - without for with_control, without in zip(found, free)]
        scores = load_detector(reader.world).extract(images, asked.captions)[1][ADHERENCE]
        rows.append(
            {
                "picture": name,
                "iou": said(mean(found, bounds=(0.0, 1.0))),
                "more than without": "" if name == FREE else said(mean(more)),
                ADHERENCE: said(mean([score for score in scores if score == score], bounds=(0.0, 1.0))),
            }
        )
    return rows


def sheet(pictures: dict[str, Tensor], asked: Drawings) -> Tensor:
    """Silhouettes, real drawings, and what was drawn without and with control, in a row each: (3, rows H, columns W)."""
    rows = [
        asked.silhouettes.expand(-1, 3, -1, -1),
        *(each for name, each in pictures.items() if name != RECONSTRUCTED),
    ]
    return torch.cat([torch.cat(list(row[:SHOWN]), dim=2) for row in rows], dim=1)


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("evaluation.obedience", __doc__)
    parser.add_argument("model", help="a model of a drawn world: a registry name or a folder")
    parser.add_argument("--control", required=True, metavar="NAME|FOLDER", help="a control of silhouettes for it")
    parser.add_argument("--count", type=int, default=100, metavar="N", help="held-out scenes (default: %(default)s)")
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0], metavar="X", help="control scales to try")
    note = "silhouettes, real drawings and pictures side by side, into a file"
    parser.add_argument("--sheet", type=Path, metavar="FILE", help=note)
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    model = ldm_core.load(arguments.model, dtype="float32", control=arguments.control, engine="torch")
    world = model.spec.world
    if world not in WORLDS:
        raise ValueError(f"model {arguments.model!r} draws no world with masks; those of {', '.join(WORLDS)} do")
    if arguments.count < 2:
        raise ValueError(f"--count must be 2 or more, got {arguments.count}")
    reader = load_silhouette_reader(world)
    seeds = itertools.islice(WORLDS[world][0].HELD_OUT_SEEDS, arguments.count)
    asked = Drawings.of(world, seeds, model.height)
    pictures = ways(model, asked, arguments.scales)
    print(f"{len(asked.captions)} held-out scenes with things in them; intervals of 95 %\n")
    print(pd.DataFrame(table(pictures, reader, asked)).to_string(index=False))
    if arguments.sheet is not None:
        to_pil(sheet(pictures, asked)).save(arguments.sheet)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
