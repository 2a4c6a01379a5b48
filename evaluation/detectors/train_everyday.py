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
import re
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ldm_core.checks import check_whole
from ldm_core.data import everyday as world
from ldm_core.data.everyday.truth import MOST
from ldm_core.files import whole_file
from ldm_core.training.losses import update_ema
from ldm_core.training.muon import Muon
from ldm_core.training.resident.studio import WORKERS
from ldm_core.training.soup import mixed

from .. import command
from .everyday.arrangements import kept_arrangements, learn_sizes
from .everyday.audit import COUNT, ELSEWHERE, audit
from .everyday.detector import ALL, CEILING_COUNT, EverydayDetector, load_everyday_detector
from .everyday.lessons import CAPTIONS, CHOICES, Lessons, augment, kept_lessons
from .everyday.losses import loss_of
from .everyday.mirror import some_mirrored
from .everyday.moved import FURTHEST, moved, moved_truth
from .weights_file import save_weights

RATE, GO_ON_RATE = 4e-3, 2e-3  # the learning rate at its highest
WARM_UP, DECAY = 50, 0.4  # its steps of rise, its share of linear fall at the end
KEPT_EVERY = 50  # steps
ARRANGED = 400_000  # scenes from which sizes are learned
SIZE_STEPS = 9000  # in which they are, where nothing is known of them
AVERAGED = 0.999  # of the running average of the weights, how much a step leaves of it
JITTER = 0.8  # cells
TEXTS = 0.5  # the share of the steps that also learn from captions
MIRRORED = 0.5  # the share of the pictures of which the mirror images are learned from
MOVED = 0.3  # the share of the pictures that are moved by up to FURTHEST pixels
# What Adam moves, not Muon: embeddings, and the first and the last of the layers.
OUTER = re.compile(r"embed|position|stem\.1|where\.2|where_detail|about|quarter|scene\.")


def rate_at(step: int, steps: int, most: float = RATE) -> float:
    """The learning rate of a step: up, level, and down to nothing at the end."""
    return most * min(1.0, (step + 1) / WARM_UP, max((steps - step) / (DECAY * steps), 0.0))


def train(
    steps: int,
    batch: int,
    pool: int,
    folder: Path,
    begin: EverydayDetector | None = None,
    first: int = 0,
    compiler: str | None = None,
) -> EverydayDetector:
    """Muon, everything seeded; returns the average of the weights over the last steps. The state of the training is kept in the
    folder. `begin` is a detector to go on from, `first` the number of the first drawing of the pool, `compiler` a backend of
    torch.compile for its eye. ValueError where the folder holds a training on other drawings or batches."""
    torch.manual_seed(0)
    settings = {"batch": batch, "pool": pool, "first": first}
    kept, start = folder / "state.pt", 0
    state = torch.load(kept, weights_only=True) if kept.exists() else None
    check_settings(folder, settings if state is None else state["settings"], settings)
    drawn = kept_lessons(pool, folder, first)
    detector = begun(begin)
    if compiler is not None:
        detector.eye.compile(backend=compiler)
    most = RATE if begin is None else GO_ON_RATE
    optimizer = optimizer_of(detector)
    if state is not None:
        detector.load_state_dict(state["detector"])
        optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
    average = {name: value.clone() for name, value in weights_of(detector).items()}
    average |= {} if state is None else state.get("average", {})  # of an older training none was kept
    for step in (bar := tqdm(range(start, steps), unit="step", mininterval=10, initial=start, total=steps)):
        losses = learn(detector, optimizer, drawn, np.random.default_rng((1, step)), batch, rate_at(step, steps, most))
        update_ema(average, weights_of(detector), AVERAGED, step)
        bar.set_postfix_str(" ".join(f"{name} {value:.3f}" for name, value in losses.items()), refresh=False)
        if (step + 1) % KEPT_EVERY == 0 or step + 1 == steps:
            with whole_file(kept) as partial:
                learned = {"detector": detector.state_dict(), "optimizer": optimizer.state_dict(), "average": average}
                torch.save({**learned, "step": step + 1, "settings": settings}, partial)
    detector.load_state_dict(detector.state_dict() | average)
    return detector


def weights_of(detector: EverydayDetector) -> dict[str, torch.Tensor]:
    """All of its numbers but counts."""
    return {name: value for name, value in detector.state_dict().items() if value.is_floating_point()}


def check_settings(folder: Path, before: dict[str, int], now: dict[str, int]) -> None:
    """ValueError unless a training goes on with what it began with; only its steps may be more."""
    changed = [f"--{name} {now[name]} ({before[name]} before)" for name in now if now[name] != before[name]]
    if changed:
        raise ValueError(
            f"--out {folder} holds a training with other settings: {', '.join(changed)}; choose a new folder"
        )


def begun(begin: EverydayDetector | None) -> EverydayDetector:
    """A detector to be trained, with the weights of another or with random ones."""
    detector = EverydayDetector()
    if begin is not None:
        detector.load_state_dict(begin.state_dict())
    return detector.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # it takes that too


def optimizer_of(detector: EverydayDetector, capturable: bool = False) -> Muon:
    """At the rate of a training from random weights; `capturable` as Muon says."""
    outer = [weights for name, weights in detector.named_parameters() if OUTER.search(name)]
    return Muon(detector.parameters(), lr=RATE, weight_decay=0.02, plain=outer, capturable=capturable)


def learn(
    detector: EverydayDetector,
    optimizer: torch.optim.Optimizer,
    drawn: Lessons,
    rng: np.random.Generator,
    batch: int,
    rate: float,
) -> dict[str, float]:
    """One step on a batch of the lessons; returns the parts of its loss."""
    chosen = np.sort(rng.integers(len(drawn), size=batch))
    images = torch.from_numpy(drawn.images[chosen]).permute(0, 3, 1, 2).float() / 255
    truth = {name: torch.from_numpy(values[chosen]) for name, values in drawn.truth.items()}
    turned = torch.from_numpy(rng.random(batch) < MIRRORED)
    jitter = torch.from_numpy(rng.uniform(-JITTER, JITTER, (batch, MOST, 2)).astype(np.float32))
    said = truth["said"][:, int(rng.integers(CAPTIONS))].long()
    said = said[:, : int((said != 0).sum(1).max())]  # the rest is padding
    images, truth, said = some_mirrored(turned, images, truth, said, detector.text.words)
    steps = torch.from_numpy(rng.integers(-FURTHEST, FURTHEST + 1, (batch, 2)) * (rng.random((batch, 1)) < MOVED))
    images, truth = moved(images, steps), moved_truth(truth, steps)
    for group in optimizer.param_groups:
        group["lr"] = rate
    losses = loss_of(detector, augment(images, rng), truth, said if rng.random() < TEXTS else None, jitter)
    optimizer.zero_grad(set_to_none=True)
    sum(losses.values(), torch.zeros(())).backward()
    torch.nn.utils.clip_grad_norm_(detector.parameters(), 5.0)
    optimizer.step()
    return {name: value.item() for name, value in losses.items()}


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


def half_way(before: EverydayDetector, after: EverydayDetector) -> EverydayDetector:
    """The mean of the weights before and after a training that went on from the former (WiSE-FT: Wortsman et al. 2022, arXiv
    2109.01903): it reads what either reads best."""
    found = EverydayDetector()
    found.load_state_dict(after.state_dict() | mixed(weights_of(before), weights_of(after), 0.5))
    return found.eval()


def rounded(scores: dict[str, list[float]]) -> dict[str, list[float]]:
    """To six places, which is more than a mean of hundreds tells."""
    return {name: [round(value, 6) for value in values] for name, values in scores.items()}


def taught(arguments: argparse.Namespace, begin: EverydayDetector | None) -> EverydayDetector:
    """By steps, or by seconds on the device. ValueError for a device without seconds."""
    from . import train_everyday_resident as resident  # it takes the loss from here

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
