"""Train the reader of a drawn world's silhouettes, and measure it on drawings that it never saw.

    python -m evaluation.detectors.train_silhouettes everyday --drawings 3000 --steps 5000

Minutes on a CPU; the weights go where the reader looks for them, with what was measured.
"""

from __future__ import annotations

import argparse
import itertools

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from ldm_core.training.held_out import WORLDS

from .. import command
from .silhouettes import CEILING_COUNT, CEILING_SIDE, Drawings, SilhouetteReader, in_cells, seen
from .weights_file import load_weights, save_weights

BATCH = 16  # pictures
RATE = 4e-3  # of learning, at its highest


def learn(world: str, known: Drawings, steps: int) -> SilhouetteReader:
    """A reader that has seen the drawings; every other batch is softened, as pictures out of an autoencoder are."""
    torch.manual_seed(0)
    reader = SilhouetteReader(world)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    images, asked = seen(known.images), in_cells(known.silhouettes)
    rng = torch.Generator().manual_seed(0)
    for step in tqdm(range(steps), "the reader learns", mininterval=2):
        chosen = torch.randint(len(images), (BATCH,), generator=rng)
        shown = images[chosen]
        if step % 2:
            shown = F.avg_pool2d(F.pad(shown, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        loss = F.binary_cross_entropy_with_logits(reader(shown), asked[chosen])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return reader.eval()


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("evaluation.detectors.train_silhouettes", __doc__)
    parser.add_argument("world", choices=sorted(WORLDS))
    parser.add_argument("--drawings", type=int, default=600, metavar="N", help="to learn from (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=1_200, metavar="N", help="of 16 of them (default: %(default)s)")
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    seeds = itertools.islice(WORLDS[arguments.world][0].TRAINING_SEEDS, arguments.drawings)
    reader = learn(arguments.world, Drawings.of(arguments.world, seeds, CEILING_SIDE), arguments.steps)
    found = reader.ceiling()
    measured = {"iou": found.value, "se": found.se, "drawings": CEILING_COUNT}
    save_weights(reader, measured)
    load_weights(reader)
    print(
        f"iou on {CEILING_COUNT} held-out scenes, drawn at {CEILING_SIDE} pixels: {reader.ceiling().value:.3f} ± {found.se:.3f}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
