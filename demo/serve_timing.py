"""How long clients of `demo.serve` wait on this machine.

    python -m demo.serve_timing

1, 4 and 16 clients at a time, each asking for its next picture when it has its last; no network between. p50 and p95 of
a request, and pictures a second.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import replace

import httpx
import numpy as np
import torch

from ldm_core import command
from ldm_core.loading import quiet
from ldm_core.registry import ENGINES

from .controls import EXAMPLES
from .serve import Service
from .session import Limits, Session

CLIENTS = (1, 4, 16)
PATH = "http://localhost/v1/images/generations"


async def waits(service: Service, clients: int, requests: int) -> tuple[list[float], float]:
    """Seconds of every request, and of all together."""
    prompts = EXAMPLES[service.session.model.spec.world]
    transport = httpx.ASGITransport(app=service.app())
    found: list[float] = []

    async def client(number: int) -> None:
        for turn in range(requests):
            body = {"prompt": prompts[(number + turn) % len(prompts)], "seed": 1000 * number + turn}
            began = time.perf_counter()
            answer = await http.post(PATH, json=body)
            answer.raise_for_status()
            found.append(time.perf_counter() - began)

    async with httpx.AsyncClient(transport=transport, timeout=None) as http:
        began = time.perf_counter()
        await asyncio.gather(*(client(number) for number in range(clients)))
        return found, time.perf_counter() - began


def rows(service: Service, requests: int) -> list[tuple[int, float, float, float]]:
    """Clients, p50 and p95 in seconds, pictures a second; each after a turn that warms up."""
    measured = []
    for clients in CLIENTS:
        asyncio.run(waits(service, clients, 1))
        found, whole = asyncio.run(waits(service, clients, requests))
        middle, late = np.percentile(found, [50, 95])
        measured.append((clients, float(middle), float(late), len(found) / whole))
    return measured


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("demo.serve_timing", __doc__)
    parser.add_argument("--model", default="scenes", help="registry name, folder or hub id (default: %(default)s)")
    parser.add_argument("--engine", choices=ENGINES, default=None, help="default: the quicker one here")
    parser.add_argument("--requests", type=int, default=5, help="of each client (default: %(default)s)")
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    if arguments.requests < 1:
        raise ValueError(f"--requests must be 1 or more, got {arguments.requests}")
    quiet()
    session = Session.load(arguments.model, replace(Limits(), waiting_per_address=max(CLIENTS)), arguments.engine)
    service = Service(session)
    model = session.model
    print(
        f"{model.spec.name}, {model.spec.steps} steps, {model.precision} by {model.engine}, {torch.get_num_threads()} threads\n"
    )
    print("| clients | p50 | p95 | pictures a second |\n| --- | --- | --- | --- |")
    for clients, middle, late, rate in rows(service, arguments.requests):
        print(f"| {clients} | {middle:.2f} s | {late:.2f} s | {rate:.2f} |", flush=True)
    service.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
