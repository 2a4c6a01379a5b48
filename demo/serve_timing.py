"""How long clients of `demo.serve` wait on this machine.

    python -m demo.serve_timing

1, 4 and 16 clients at a time, each asking for its next picture when it has its last; no network between. p50 and p95 of
a request, and pictures a second; how long loading and the very first picture take.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np
import torch

import ldm_core
from ldm_core import command
from ldm_core.files import write_whole
from ldm_core.loading import quiet
from ldm_core.registry import ENGINES

from .controls import EXAMPLES
from .serve import Service
from .session import Limits, Session

CLIENTS = (1, 4, 16)
PATH = "http://localhost/v1/images/generations"


@dataclass(frozen=True)
class Waited:
    """What so many clients waited: p50 and p95 of a request in seconds, and the pictures a second that all got."""

    clients: int
    p50: float
    p95: float
    rate: float


async def waits(service: Service, clients: int, requests: int, steps: int | None = None) -> tuple[list[float], float]:
    """Seconds of every request, and of all together; `steps` of a picture, None for the model's own."""
    prompts = EXAMPLES[service.session.model.spec.world]
    transport = httpx.ASGITransport(app=service.app())
    found: list[float] = []

    async def client(number: int) -> None:
        for turn in range(requests):
            body = {"prompt": prompts[(number + turn) % len(prompts)], "seed": 1000 * number + turn, "steps": steps}
            began = time.perf_counter()
            answer = await http.post(PATH, json=body)
            answer.raise_for_status()
            found.append(time.perf_counter() - began)

    async with httpx.AsyncClient(transport=transport, timeout=None) as http:
        began = time.perf_counter()
        await asyncio.gather(*(client(number) for number in range(clients)))
        return found, time.perf_counter() - began


def rows(service: Service, requests: int, steps: int | None = None) -> Iterator[Waited]:
    """Of each number of clients, after a turn that warms up."""
    for clients in CLIENTS:
        asyncio.run(waits(service, clients, 1, steps))
        found, whole = asyncio.run(waits(service, clients, requests, steps))
        middle, late = np.percentile(found, [50, 95])
        yield Waited(clients, float(middle), float(late), len(found) / whole)


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("demo.serve_timing", __doc__)
    parser.add_argument("--model", default="scenes", help="registry name, folder or hub id (default: %(default)s)")
    parser.add_argument("--engine", choices=ENGINES, default=None, help="default: the quicker one here")
    parser.add_argument("--dtype", default=None, help="default: what the device is quickest in")
    parser.add_argument("--requests", type=int, default=5, help="of each client (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=None, help="of a picture (default: the model's)")
    parser.add_argument("--csv", type=Path, default=None, metavar="FILE", help="write the table there too")
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    for name in ("requests", "steps"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} must be 1 or more, got {value}")
    quiet()
    began = time.perf_counter()
    model = ldm_core.load(arguments.model, dtype=arguments.dtype, engine=arguments.engine)
    session = Session(model, replace(Limits(), waiting_per_address=max(CLIENTS)), arguments.engine)
    loaded = time.perf_counter() - began
    service = Service(session)
    (first,), _ = asyncio.run(waits(service, 1, 1, arguments.steps))
    print(
        f"{model.spec.name}, {arguments.steps or model.spec.steps} steps, {model.precision} by {model.engine}, "
        f"{torch.get_num_threads()} threads; loaded in {loaded:.2f} s, the first picture in {first:.2f} s\n"
    )
    print("| clients | p50 | p95 | pictures a second |\n| --- | --- | --- | --- |")
    found = []
    for row in rows(service, arguments.requests, arguments.steps):
        print(f"| {row.clients} | {row.p50:.2f} s | {row.p95:.2f} s | {row.rate:.2f} |", flush=True)
        found.append(row)
    service.close()
    if arguments.csv is not None:
        write_whole(arguments.csv, table(found, model.engine, model.precision, loaded, first))
    return 0


def table(found: Sequence[Waited], engine: str, precision: str, loaded: float, first: float) -> str:
    """CSV: what was waited, with what is the same for all rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["engine", "precision", "load_seconds", "first_seconds", "clients", "p50", "p95", "rate"])
    for row in found:
        writer.writerow([engine, precision, loaded, first, row.clients, row.p50, row.p95, row.rate])
    return text.getvalue()


if __name__ == "__main__":
    raise SystemExit(main())
