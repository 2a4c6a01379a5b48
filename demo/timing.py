"""How quick the page is on this machine once it is warm.

    python -m demo.timing

Calls what the page's buttons call, without a browser or a network between: the first preview, a whole picture, and a
sweep of eight guidance scales against the same eight pictures drawn one by one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterable

import torch

from ldm_core import command
from ldm_core.loading import quiet

from . import text_to_image
from .controls import EXAMPLES, FIRST_SEED
from .session import Session
from .tabs import guidance

SCALES = range(1, 9)


def seconds_of(frames: Iterable) -> tuple[float, float]:
    """Until the first of what a button shows, and until the last."""
    began = time.perf_counter()
    shown = [time.perf_counter() - began for _ in frames]
    return shown[0], shown[-1]


def rows(session: Session, repeats: int) -> list[tuple[str, str]]:
    """What was measured, in words: medians over turns of eight pictures and a sweep, after one turn that warms up."""
    prompt = EXAMPLES[session.model.spec.world][0]
    draw, sweep = text_to_image.handler(session), guidance.handler(session)
    firsts, pictures, eights, sweeps = [], [], [], []
    for turn in range(repeats + 1):
        singles = [seconds_of(draw(prompt, seed=FIRST_SEED, guidance_scale=scale)) for scale in SCALES]
        _, swept = seconds_of(sweep(prompt, ",".join(map(str, SCALES)), str(FIRST_SEED)))
        if turn:
            firsts += [first for first, _ in singles]
            pictures += [whole for _, whole in singles]
            eights.append(sum(whole for _, whole in singles))
            sweeps.append(swept)
    first, picture, eight, swept = map(statistics.median, (firsts, pictures, eights, sweeps))
    return [
        ("first preview", f"{first:.2f} s"),
        ("picture", f"{picture:.2f} s"),
        ("8-cell sweep / eight pictures", f"{swept:.2f} s / {eight:.2f} s = {swept / eight:.2f}"),
    ]


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("demo.timing", __doc__)
    parser.add_argument("--model", default="scenes", help="registry name, folder or hub id (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="turns that medians are taken of (default: %(default)s)")
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    if arguments.repeats < 1:
        raise ValueError(f"--repeats must be 1 or more, got {arguments.repeats}")
    quiet()
    session = Session.load(arguments.model)
    dtype = str(session.model.dtype).removeprefix("torch.")
    print(
        f"{session.model.spec.name}, {session.model.spec.steps} steps, {dtype} on {session.model.device}, "
        f"{torch.get_num_threads()} threads"
    )
    for what, measured in rows(session, arguments.repeats):
        print(f"{what}: {measured}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
