"""Turns away, before gradio sees them, requests under foreign names, floods, addresses in place of pictures, events that do
not exist; and lets no failure out but as a sentence."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .answers import FULL, UNREADABLE, Careful, Send, disk_is_full
from .hosting import Hosting, household
from .listeners import Listeners, stream_of, tab_of
from .places import Allowance, Patience, Places

LARGEST = 1_000_000  # bytes of a request that is no upload: prompts and settings take a few thousand
LARGEST_UPLOAD = 21 * 2**20  # bytes; gradio refuses a file of more than 20 MB in words of its own
FILES = 4  # of one upload
PATIENCE = 60.0  # seconds that a request may take to arrive
ROOM = 64 * 10**6  # bytes of the disk that uploads leave free
KEPT = 2400.0  # seconds after which an upload is surely deleted
EVENTS = ("/queue/join", "/call/", "/run/", "/api/")
JOINS = ("/queue/join/", "/call/")
REMOTE = ("http:", "https:", "ftp:", "//", "data:")
READS = ("GET", "HEAD", "OPTIONS")
log = logging.getLogger("demo")


class Refused(Exception):
    """A request that is turned away: the status, and why in words."""

    def __init__(self, status: int, words: str):
        super().__init__(words)
        self.status, self.words = status, words


@dataclass
class Doors:
    """What the guard counts and knows of the page: the inputs' numbers that each event takes, by its index and its name."""

    hosting: Hosting = field(default_factory=Hosting)
    places: Places = field(default_factory=lambda: Places(10**6, 10**6))
    uploads: Allowance = field(default_factory=lambda: Allowance(200 * 10**6, 2 * 10**9, KEPT))
    arriving: Places = field(default_factory=lambda: Places(12, 3))  # uploads, which are in memory while they arrive
    upload_folder: Path | None = None
    takes: dict[int | str, set[int]] | None = None
    one_upload: asyncio.Lock = field(default_factory=asyncio.Lock)
    listeners: Listeners = field(default_factory=Listeners)
    patience: Patience = field(default_factory=Patience)


class Guard:
    """ASGI middleware around all of gradio. gradio downloads an image whose `path` is an address, whole and without a
    limit; and serves /file=ADDRESS by fetching it. Nobody on this page needs either: photos are uploaded."""

    def __init__(self, app: Callable[..., Awaitable], doors: Doors | None = None):
        self.app, self.doors = app, doors or Doors()

    async def __call__(self, scope: dict, receive: Callable, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        careful = Careful(send)
        try:
            self._enter(scope)
            await self.doors.patience.pause(household((scope.get("client") or ("",))[0]))
            if scope["method"] in READS:
                await self._read(scope, receive, careful)
            elif scope["path"].rstrip("/").endswith("/upload"):
                await self._upload(scope, receive, careful)
            else:
                await self._post(scope, receive, careful)
        except Refused as refused:
            await careful.give_up(refused.status, refused.words)
        except Exception as error:  # noqa: BLE001  # the edge: whatever gradio did not foresee
            log.warning("%s %s: %s", scope["method"], ascii(scope["path"][:60]), type(error).__name__)
            await careful.give_up(*((507, FULL) if disk_is_full(error) else (400, UNREADABLE)))
        if careful.status >= 400:
            self.doors.patience.refused(household((scope.get("client") or ("",))[0]))

    def _enter(self, scope: dict) -> None:
        """Refuses foreign names and origins; sets the visitor's address; hides what only a proxy may say."""
        hosting, peer = self.doors.hosting, (scope.get("client") or ("",))[0]
        headers = {name.lower(): value.decode("latin-1") for name, value in scope.get("headers", [])}
        host = headers.get(b"host")
        if hosting.trusts(peer):
            host = headers.get(b"x-forwarded-host", host or "").split(",")[0].strip() or host
            chain = [value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for"]
            scope["client"] = (hosting.client(peer, b",".join(chain).decode("latin-1")), 0)
        elif "headers" in scope:
            scope["headers"] = [each for each in scope["headers"] if not each[0].lower().startswith(b"x-forwarded-")]
        if host is not None and not hosting.serves(host):
            raise Refused(421, "This page is not served under that name; --allow-host adds one.")
        origin = headers.get(b"origin")
        if scope["method"] not in READS and origin is not None and not hosting.same_origin(origin, host or ""):
            raise Refused(403, "Other pages may not ask this one to do anything.")
        if "/file=" in scope["path"] and scope["path"].split("/file=", 1)[1].strip().lower().startswith(REMOTE):
            raise Refused(403, "This server fetches no addresses.")

    async def _read(self, scope: dict, receive: Callable, careful: Careful) -> None:
        """A request without a body; a stream of answers is counted as long as it is open."""
        name, listeners = stream_of(scope), self.doors.listeners
        if name:
            name = listeners.opened(name)
        try:
            await self.app(scope, receive, careful)
        finally:
            if name:
                listeners.closed(name)

    async def _post(self, scope: dict, receive: Callable, careful: Careful) -> None:
        """A request with a body that is no upload; an event is read before gradio reads it."""
        body = await whole(receive, LARGEST)
        path, places = scope["path"] + "/", self.doors.places
        ticket: Any = None
        if any(part in path for part in EVENTS):
            check_event(path, body, self.doors.takes)
        if any(way in path for way in JOINS):
            ticket = places.enter(household((scope.get("client") or ("",))[0]))
            if isinstance(ticket, str):
                raise Refused(503 if "full" in ticket else 422, ticket)
        try:
            await self.app(scope, again(body, receive), careful)
        finally:
            if ticket is not None:
                places.became(ticket, careful.event)
            if ticket is not None and careful.event:
                self.doors.listeners.joined(careful.event, tab_of(body))

    async def _upload(self, scope: dict, receive: Callable, careful: Careful) -> None:
        """Files, which gradio gets when they have arrived whole: a visitor who hangs up leaves no part of one."""
        address, doors = household((scope.get("client") or ("",))[0]), self.doors
        ticket = doors.arriving.enter(address)
        if isinstance(ticket, str):
            raise Refused(503, "Too many uploads at a time; try again in a moment.")
        try:
            body = await whole(receive, LARGEST_UPLOAD)
            if parts_of(dict(scope.get("headers", [])).get(b"content-type", b""), body) > FILES:
                raise Refused(413, f"One upload may have {FILES} files at the most.")
            folder = doors.upload_folder
            if folder is not None and shutil.disk_usage(folder.parent).free < len(body) + ROOM:
                raise Refused(507, FULL)
            if words := doors.uploads.take(address, len(body)):
                raise Refused(429, words)
            async with doors.one_upload:  # so that what lies about afterwards is what a failed upload left
                before = files_in(folder)
                try:
                    await self.app(scope, again(body, receive), careful)
                finally:
                    for part in files_in(folder) - before:
                        part.unlink(missing_ok=True)
        finally:
            doors.arriving.became(ticket, "")


def files_in(folder: Path | None) -> set[Path]:
    """Files that lie in a folder itself; gradio writes a finished upload into a folder of its own within it."""
    return {path for path in folder.glob("*") if path.is_file()} if folder is not None else set()


async def whole(receive: Callable, largest: int) -> bytes:
    """A request's body; Refused where it is larger or slower than any honest one."""
    parts, size, more = [], 0, True
    try:
        async with asyncio.timeout(PATIENCE):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(400, "The request broke off.")
                parts.append(message.get("body", b""))
                size, more = size + len(parts[-1]), message.get("more_body", False)
                if size > largest:
                    raise Refused(413, "This request is larger than any that this page makes.")
    except TimeoutError:
        raise Refused(408, "The request did not arrive in time.") from None
    return b"".join(parts)


def again(body: bytes, receive: Callable) -> Callable[[], Awaitable[dict]]:
    """What the application receives: a body that has been read, then whatever comes."""
    given = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> dict:
        return given.pop() if given else await receive()

    return next_message


def check_event(path: str, body: bytes, takes: dict[int | str, set[int]] | None) -> None:
    """Refused where a request names an address, is no JSON, or asks for an event that is not there or takes other inputs."""
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()
        remote = names_an_address(value)
    except UnicodeEncodeError:
        raise Refused(422, "A text holds half a character (a lone surrogate).") from None
    except (ValueError, RecursionError):
        raise Refused(422, "This request is no JSON that can be read.") from None
    if remote:
        raise Refused(422, "This server fetches no addresses: upload the picture.")
    if not isinstance(value, dict):
        raise Refused(422, "This request must be a JSON object.")
    if takes is None:
        return
    named = path.strip("/").rpartition("/")[2]
    key = named if "/call/" in path else value.get("fn_index", named)
    if not isinstance(key, int | str) or isinstance(key, bool) or key not in takes:
        raise Refused(404, "This page has no such endpoint; /gradio_api/info lists those that it has.")
    if "/call/v2/" in path or not any(way in path for way in JOINS):
        return  # by names; or past the queue, which gradio refuses or the page answers in words
    data, counts = value.get("data"), takes[key]
    if not isinstance(data, list) or len(data) not in counts:
        wanted = " or ".join(map(str, sorted(counts)))
        raise Refused(422, f"This endpoint takes a list `data` of {wanted} values.")


def parts_of(content_type: bytes, body: bytes) -> int:
    """How many parts a multipart body has, by its boundary."""
    _, found, boundary = content_type.partition(b"boundary=")
    boundary = boundary.split(b";")[0].strip().strip(b'"')
    return body.count(b"--" + boundary) - 1 if found and boundary else 0


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
