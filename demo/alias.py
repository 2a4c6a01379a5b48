"""The folder of visitors' files under another name: where it lies on this server is nobody's business."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from .answers import Send

NAME = "/visitors"  # in place of the folder's own
TEXTS = (b"text/html", b"application/json", b"text/event-stream")


class Alias:
    """Stands inside gradio's own layers, so that it sees answers before they are compressed. `/visitors` becomes the folder
    in an address and in a file's `path`; the folder becomes `/visitors` in every text that leaves."""

    def __init__(self, app: Callable[..., Awaitable], folder: str):
        self.app, self.folder = app, folder.rstrip("/")

    async def __call__(self, scope: dict, receive: Callable, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        before, called, after = scope["path"].partition(f"/file={NAME}/")
        if called:
            path = f"{before}/file={self.folder}/{after}"
            scope = scope | {"path": path, "raw_path": quote(path, "/=").encode()}
        await self.app(scope, self._own(receive), self._called(send))

    def _own(self, receive: Callable) -> Callable[[], Awaitable[dict]]:
        """Bodies, which the guard has made whole, with the folder's own name in the paths of files."""

        async def read() -> dict:
            message = await receive()
            body = message.get("body", b"")
            if f'"{NAME}/'.encode() not in body:
                return message
            try:
                value = json.loads(body)
            except (ValueError, RecursionError):
                return message
            return message | {"body": json.dumps(self._placed(value)).encode()}

        return read

    def _placed(self, value: object) -> object:
        if isinstance(value, list):
            return [self._placed(item) for item in value]
        if not isinstance(value, dict):
            return value
        path = value.get("path")
        own = {key: self._placed(item) for key, item in value.items()}
        if isinstance(path, str) and path.startswith(f"{NAME}/"):
            own["path"] = self.folder + path.removeprefix(NAME)
        return own

    def _called(self, send: Send) -> Send:
        """Texts without the folder's own name; their length changes, so it is left out."""
        text = False
        name, own = NAME.encode(), self.folder.encode()

        async def written(message: dict) -> None:
            nonlocal text
            if message["type"] == "http.response.start":
                headers = message.get("headers", [])
                kind = next((value for key, value in headers if key.lower() == b"content-type"), b"")
                text = kind.startswith(TEXTS)
                if text:
                    kept = [header for header in headers if header[0].lower() != b"content-length"]
                    message = message | {"headers": kept}
            elif text and own in message.get("body", b""):
                message = message | {"body": message["body"].replace(own, name)}
            await send(message)

        return written
