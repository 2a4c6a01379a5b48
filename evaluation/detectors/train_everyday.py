"""Train the detector of the everyday world on drawings, and measure it on drawings it has never seen.

python -m evaluation.detectors.train_everyday                trains, saves, measures
python -m evaluation.detectors.train_everyday --go-on        the same, from the weights that ship; half way from them to what was
                                                             learned is kept if it reads better
python -m evaluation.detectors.train_everyday --measure      measures what is saved
python -m evaluation.detectors.train_everyday --go-on --seconds 120 --batch 512 --device cuda     by seconds, on a GPU
python -m evaluation.detectors.train_everyday --go-on --steps 0 --sizes 9000     only sizes, from scenes that are not drawn

By seconds processes draw ahead, and the lessons lie on the device (train_everyday_resident); nothing is resumed.

The same command resumes. The drawings and the last state of the training are kept in the folder --out.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import pandas as pd

from ldm_core.checks import check_whole
from ldm_core.data import everyday as world
from ldm_core.training.resident.studio import WORKERS

from .. import command
from . import train_everyday_resident as resident
from .everyday.arrangements import kept_arrangements, learn_sizes
from .everyday.audit import COUNT, ELSEWHERE, audit
from .everyday.detector import ALL, CEILING_COUNT, EverydayDetector, load_everyday_detector
from .everyday.lessons import CHOICES
from .everyday.training import begun, half_way, train
from .weights_file import save_weights

ARRANGED = 400_000  # scenes from which sizes are learned
SIZE_STEPS = 9000  # in which they are, where nothing is known of them


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("evaluation.detectors.train_everyday", __doc__)
    parser.add_argument("--measure", action="store_true", help="only measure the saved detector")
    parser.add_argument(
        "--go-on", action="store_true", help="begin with the weights that ship; their mean with what is learned is kept"
    )
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--pool", type=int, default=30_000, help="drawings to learn from")
    parser.add_argument(
        "--first",
        type=int,
        default=0,
        metavar="N",
        help="the number of the first of them: from others than before more is learned; default: %(default)s",
    )
    parser.add_argument(
        "--sizes",
        type=int,
        default=None,
        metavar="STEPS",
        help=f"steps in which sizes are learned afterwards, {ARRANGED} scenes; default: {SIZE_STEPS}, with --go-on 0",
    )
    note = "by --steps: compile it first, which makes a step on a CPU 0.7 of as long; needs a C++ compiler"
    parser.add_argument("--compile", action="store_true", help=note)
    parser.add_argument("--held-out", type=int, default=COUNT, help="drawings to measure on")
    parser.add_argument("--seconds", type=float, default=None, metavar="S", help="train for S seconds on the device")
    parser.add_argument(
        "--finished", type=Path, metavar="FILE", help="OUT/detector.safetensors of --seconds: only measure and keep it"
    )
    parser.add_argument(
        "--device", default=None, help="with --seconds: cuda or cpu; default: the best this machine has"
    )
    parser.add_argument(
        "--workers", type=int, default=WORKERS, metavar="N", help="with --seconds; default: %(default)s"
    )
    parser.add_argument("--out", type=Path, default=Path("runs") / "everyday-detector", help="default: %(default)s")
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    check_whole("--held-out", arguments.held_out, 1, len(world.HELD_OUT_SEEDS))
    if arguments.measure:
        print(audit(load_everyday_detector(), arguments.held_out).round(4).to_string(index=False))
        return 0
    unasked = 0 if arguments.go_on else SIZE_STEPS
    size_steps = unasked if arguments.sizes is None else arguments.sizes
    check_whole("--sizes", size_steps, 0, math.inf)
    begin = load_everyday_detector() if arguments.go_on else None
    detector = taught(arguments, begin).eval()
    detector = detector if begin is None else half_way(begin, detector)
    if size_steps:
        arguments.out.mkdir(parents=True, exist_ok=True)
        learn_sizes(detector.sizes, kept_arrangements(ARRANGED, arguments.out), size_steps)
    found = audit(detector, arguments.held_out)
    print(found.round(4).to_string(index=False))
    if begin is not None and not is_better(found, before := audit(begin, arguments.held_out)):
        print(f"not kept: the weights that ship read no worse\n{before.round(4).to_string(index=False)}")
        return 1
    save_weights(detector, {"audit": found.to_dict("records"), "real": rounded(detector.scores_of_real(CEILING_COUNT))})
    return 0


def rounded(scores: dict[str, list[float]]) -> dict[str, list[float]]:
    """To six places, which is more than a mean of hundreds tells."""
    return {name: [round(value, 6) for value in values] for name, values in scores.items()}


def taught(arguments: argparse.Namespace, begin: EverydayDetector | None) -> EverydayDetector:
    """By steps, or by seconds on the device. ValueError for a device without seconds."""
    if arguments.finished is not None:
        return resident.finished(arguments.finished)
    check_whole("--batch", arguments.batch, 1, math.inf)
    check_whole("--steps", arguments.steps, 0, math.inf)
    check_drawings(arguments.first, arguments.pool, arguments.seconds)
    if arguments.seconds is None:
        if arguments.device not in (None, "cpu"):
            raise ValueError(f"--device {arguments.device} needs --seconds: how long to train there")
        if arguments.steps == 0:  # nothing need be drawn
            return begun(begin)
        compiler = "inductor" if arguments.compile else None
        return train(arguments.steps, arguments.batch, arguments.pool, arguments.out, begin, arguments.first, compiler)
    sizes = (arguments.batch, arguments.pool, arguments.workers)
    return resident.train(arguments.seconds, *sizes, arguments.out, arguments.device, begin)


def check_drawings(first: int, pool: int, seconds: float | None) -> None:
    """ValueError where there are not so many drawings from the first on, or where drawings are made ahead, from 0 on."""
    most = len(world.TRAINING_SEEDS) // CHOICES
    check_whole("--pool", pool, 1, most)
    check_whole(f"--first, with --pool {pool},", first, 0, most - pool)
    if first and seconds is not None:
        raise ValueError(f"--first {first} goes with --steps; by --seconds drawings are made from 0 on")


def is_better(found: pd.DataFrame, before: pd.DataFrame) -> bool:
    """Whether more of all atoms is read right than before, of the same drawings as they are and moved."""
    now, then = (float(table.set_index("skill").loc[[ALL, ELSEWHERE], "value"].sum()) for table in (found, before))
    return now > then


if __name__ == "__main__":
    raise SystemExit(main())
