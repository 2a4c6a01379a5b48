"""Turns away, before gradio sees them, requests that would make this server fetch an address or swallow a flood."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

LARGEST = 1_000_000  # bytes of a request that is no upload: prompts and settings take a few thousand
EVENTS = ("/queue/join", "/call/", "/run/", "/api/")
REMOTE = ("http:", "https:", "ftp:", "//", "data:")


class Guard:
    """ASGI middleware. gradio downloads an image whose `path` is an address, whole and without a limit; and serves
    /file=ADDRESS by fetching it. Nobody on this page needs either: photos are uploaded."""

    def __init__(self, app: Callable[..., Awaitable]):
        self.app = app

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif "/file=" in scope["path"] and scope["path"].split("/file=", 1)[1].lower().startswith(REMOTE):
            await answer(send, 403, "This server fetches no addresses.")
        elif scope["method"] == "POST" and any(part in scope["path"] + "/" for part in EVENTS):
            await self._event(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _event(self, scope: dict, receive: Callable, send: Callable) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
            if len(body) > LARGEST:
                await answer(send, 413, "This request is larger than any that this page makes.")
                return
        try:
            remote = names_an_address(json.loads(body))
        except (ValueError, RecursionError):
            await answer(send, 422, "This request is no JSON that can be read.")
            return
        if remote:
            await answer(send, 422, "This server fetches no addresses: upload the picture.")
            return
        sent = False

        async def again() -> dict:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)


def names_an_address(value: object) -> bool:
    """Whether a file in a request is to be fetched from elsewhere."""
    if isinstance(value, list):
        return any(names_an_address(item) for item in value)
    if not isinstance(value, dict):
        return False
    path = value.get("path")
    if isinstance(path, str) and path.strip().lower().startswith(REMOTE):
        return True
    if path is None and isinstance(value.get("url"), str) and "meta" in value:
        return True
    return any(names_an_address(item) for item in value.values())


async def answer(send: Callable, status: int, words: str) -> None:
    """A short JSON answer."""
    body = json.dumps({"detail": words}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
