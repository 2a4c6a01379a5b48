"""Pictures by HTTP, in the shape that OpenAI's clients send and read.

    python -m demo.serve --port 8000

    POST /v1/images/generations    {"prompt": "a red house", "n": 1, "size": "auto"}
    GET  /v1/models                GET /health                GET /metrics    (Prometheus)

Requests that come together are drawn together. The door is the page's: names, limits, and no prompt in any log.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from torch import Tensor

from ldm_core import command

from .batching import Batcher, Wanted
from .guard import Doors, Guard
from .hosting import Hosting, check_free, household, port_of
from .image_request import ImageRequest, Unfit, encoded
from .options import options
from .places import Allowance, Places
from .session import Session, limits_of

WAITING = 64  # requests that wait or are drawn, of all addresses
log = logging.getLogger("demo")


class Service:
    """The endpoints over a session's model, and what they have done."""

    def __init__(self, session: Session, waiting: int = WAITING):
        self.session, self.batcher = session, Batcher(session.model)
        self.places = Places(waiting, session.limits.waiting_per_address)
        self.answered: Counter[int] = Counter()  # requests for images, by status
        self.seconds = 0.0  # that those with pictures took, waiting included

    async def generations(self, request: Request) -> JSONResponse:
        """POST /v1/images/generations."""
        began = time.monotonic()
        ticket = self.places.enter(household(request.client.host if request.client else ""))
        if isinstance(ticket, str):
            return self._refused(Unfit("", ticket, 503 if "full" in ticket else 429))
        try:
            wanted = ImageRequest.read(self.session, _json(await request.body()))
            answer = await self._drawn(wanted)
        except Unfit as unfit:
            return self._refused(unfit)
        except Exception as error:  # noqa: BLE001  # the edge: whatever the networks raise is not the visitor's to read
            log.warning("a picture failed: %s", type(error).__name__)
            return self._refused(Unfit("", "These pictures could not be drawn.", 503))
        finally:
            self.places.became(ticket, "")
        self.answered[200] += 1
        self.seconds += time.monotonic() - began
        return JSONResponse(answer)

    async def _drawn(self, wanted: ImageRequest) -> dict[str, Any]:
        asked = [self.batcher.ask(Wanted(wanted.prompt, seed, wanted.settings)) for seed in wanted.seeds]
        pictures = await asyncio.gather(*map(asyncio.wrap_future, asked))
        files = await asyncio.to_thread(self._files, wanted, pictures)
        data = [{"b64_json": base64.b64encode(file).decode(), "seed": seed} for file, seed in zip(files, wanted.seeds)]
        size = f"{wanted.settings.width}x{wanted.settings.height}"
        return {"created": int(time.time()), "data": data, "size": size, "output_format": wanted.format}

    def _files(self, wanted: ImageRequest, pictures: list[Tensor]) -> list[bytes]:
        recipe = self.session.model.recipe(wanted.prompt, wanted.seeds[0], wanted.settings)
        each = zip(pictures, wanted.seeds)
        return [encoded(picture, wanted.format, replace(recipe, seed=seed)) for picture, seed in each]

    def _refused(self, unfit: Unfit) -> JSONResponse:
        self.answered[unfit.status] += 1
        kind = "invalid_request_error" if unfit.status in (400, 404) else "server_busy"
        error = {"message": str(unfit), "type": kind, "param": unfit.field, "code": ""}
        headers = {"Retry-After": "5"} if unfit.status in (429, 503) else {}
        return JSONResponse({"error": error}, unfit.status, headers)

    async def models(self) -> dict[str, Any]:
        """GET /v1/models."""
        spec = self.session.model.spec
        return {
            "object": "list",
            "data": [{"id": spec.name, "object": "model", "created": 0, "owned_by": spec.licence}],
        }

    async def health(self) -> JSONResponse:
        """GET /health: 503 where nothing can be drawn any more."""
        well = self.batcher.thread.is_alive()
        model = self.session.model
        about = {"model": model.spec.name, "device": str(model.device), "engine": model.engine}
        return JSONResponse({"status": "ok" if well else "failed"} | about, 200 if well else 503)

    async def metrics(self) -> PlainTextResponse:
        """GET /metrics, as Prometheus reads it."""
        counts = self.batcher.counts
        lines = [
            *(f'ldm_requests_total{{status="{status}"}} {count}' for status, count in sorted(self.answered.items())),
            f"ldm_request_seconds_sum {self.seconds:.6f}",
            f"ldm_request_seconds_count {self.answered[200]}",
            f"ldm_pictures_total {counts.pictures}",
            f"ldm_turns_total {counts.turns}",
            f"ldm_drawing_seconds_total {counts.seconds:.6f}",
            f"ldm_waiting {len(self.places.held)}",
        ]
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    def app(self, hosting: Hosting | None = None) -> Callable:
        """The application, behind its guard."""
        made = FastAPI(title="Latent diffusion", docs_url=None, redoc_url=None, openapi_url=None)
        made.add_api_route("/v1/images/generations", self.generations, methods=["POST"], response_model=None)
        for path, answer in (("/v1/models", self.models), ("/health", self.health), ("/metrics", self.metrics)):
            made.add_api_route(path, answer, methods=["GET"], response_model=None)
        return Guard(made, Doors(hosting or Hosting(), Places(10**6, 10**6), Allowance(0, 0, 1)))

    def close(self) -> None:
        """When what waits is drawn."""
        self.batcher.close()
        self.session.scratch.close()


def _json(body: bytes) -> Any:
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()  # lone halves of surrogate pairs are in no encoding
    except (ValueError, RecursionError):
        raise Unfit("body", "This request is no JSON that can be read.") from None
    return value


def main(argv: list[str] | None = None) -> int:
    parser = options("demo.serve", "Serve pictures by HTTP, in the shape that OpenAI's clients send.", "8000")
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """Until a signal ends it."""
    limits, port = limits_of(arguments.limits), port_of(arguments.port)
    hosting = Hosting.of(arguments.host, arguments.allow_host, arguments.trust_proxy)
    check_free(arguments.host, port)
    service = Service(Session.load(arguments.model, limits, arguments.engine))
    model = service.session.model
    print(
        f"{model.spec.name} by {model.engine} on {model.device}: http://{arguments.host}:{port}/v1/images/generations",
        flush=True,
    )
    with suppress(KeyboardInterrupt):
        uvicorn.run(
            service.app(hosting),
            host=hosting.host,
            port=port,
            access_log=False,
            log_level="warning",
            proxy_headers=False,  # whose word is taken for an address says --trust-proxy
            server_header=False,
        )
    service.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
