"""Answers of the server: errors in a sentence, without its paths."""

from __future__ import annotations

import errno
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

Send = Callable[[dict], Awaitable[None]]
UNREADABLE = "This request cannot be answered as it stands."
FULL = "The disk of this server is full; nothing was kept. Try again later."
OWN = (503, 507)  # failures of the server that it may speak of
WORDS = {
    404: "There is nothing here by that name.",
    413: "This request is too large.",
    403: "This is not for visitors.",
}


def places_of_the_server() -> tuple[str, ...]:
    """Folders whose names are nobody's business."""
    folders = (tempfile.gettempdir(), sys.prefix, sys.base_prefix, Path.home(), Path.cwd(), Path(__file__).parents[1])
    return tuple({str(folder) for folder in folders if len(str(folder)) > 3})


def names_a_path(text: str) -> bool:
    """Whether a text speaks of a folder of this server."""
    return any(place in text for place in places_of_the_server())


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or what led to it, is a disk without room."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


async def answer(send: Send, status: int, words: str) -> None:
    """A short JSON answer. 422 is said as gradio's validators say it, so that its page and its client show the words."""
    detail: object = words
    if status == 422:
        detail = [{"__type__": "validate", "is_valid": False, "message": words, "parameter_name": "request"}]
    body = json.dumps({"detail": detail, "error": words}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Careful:
    """Passes an answer on; an error's is read first, and said in a sentence where it is a bare failure or names a path."""

    def __init__(self, send: Send):
        self.send, self.status, self.started, self.ended = send, 0, False, False
        self.held: dict | None = None
        self.body = b""  # of an error, or as much of another answer as fits an event's name

    async def __call__(self, message: dict) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status >= 400:
                self.held = message
                return
            self.started = True
        elif message["type"] == "http.response.body":
            if self.held is not None or len(self.body) < 1000:
                self.body += message.get("body", b"")
            self.ended = not message.get("more_body", False)
            if self.held is not None:
                if self.ended:
                    await self._flush()
                return
        await self.send(message)

    async def _flush(self) -> None:
        held, self.held, self.started = self.held or {}, None, True
        failed = self.status >= 500 and self.status not in OWN
        encoded = any(name == b"content-encoding" for name, _ in held.get("headers", []))
        text = self.body.decode("utf-8", "replace")
        bare = not self.body or text == "Internal Server Error" or '"error":null' in text.replace(" ", "")
        if encoded or names_a_path(text) or (failed and bare):
            status = 400 if failed else self.status
            await answer(self.send, status, WORDS.get(status, UNREADABLE))
            return
        await self.send(held | {"status": 400 if failed else self.status})
        await self.send({"type": "http.response.body", "body": self.body})

    async def give_up(self, status: int, words: str) -> None:
        """An answer where there is none yet; the end of one that has begun."""
        self.held = None
        if not self.started:
            self.status, self.started, self.ended = status, True, True
            await answer(self.send, status, words)
        elif not self.ended:
            self.ended = True
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    @property
    def event(self) -> str:
        """The event that a request to join has become; empty where it was turned away."""
        try:
            return str(json.loads(self.body)["event_id"]) if self.status == 200 else ""
        except (ValueError, TypeError, KeyError):
            return ""
