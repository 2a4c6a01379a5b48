"""A published file brought here: resumed where it was cut, checked by size and hash, written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import http.client
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from filelock import FileLock
from tqdm import tqdm

from .downloads import Remote, megabytes

BLOCK = 1 << 20  # bytes
TIMEOUT = 30  # seconds without a byte
TRIES = 5  # one after another without a byte gained
MOST_TRIES = 100  # in all: no server keeps a command busy for ever
SPARE = 64 << 20  # bytes of disk that a download leaves free


class _CutOff(Exception):
    """The connection failed; trying again may help."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects are followed among http and https, and never from https to http."""

    def redirect_request(
        self,
        request: urllib.request.Request,
        stream: IO[bytes],
        code: int,
        message: str,
        headers: http.client.HTTPMessage,
        url: str,
    ) -> urllib.request.Request | None:
        old, new = urllib.parse.urlsplit(request.full_url).scheme, urllib.parse.urlsplit(url).scheme
        if new not in ("http", "https") or (old == "https" and new == "http"):
            raise ValueError(f"{request.full_url} redirects to {url}, which is not followed")
        return super().redirect_request(request, stream, code, message, headers, url)


def download(remote: Remote, path: Path, pause: float = 1.0) -> None:
    """Bring a published file to `path`, whole and checked, or not at all.

    What was cut off is kept beside it as .NAME.part, and the next call goes on from there. A file that is not the
    published one is removed, and so is what did not fit the disk. ValueError or OSError say which, in one line.

    pause   seconds between two tries
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with FileLock(lock):
        if not path.exists():  # another process may have been quicker
            part = path.with_name(f".{path.name}.part")
            _transfer(remote, part, path, pause)
            _verify(remote, part)
            part.replace(path)
        lock.unlink(missing_ok=True)


def require_room(folder: Path, size: int, what: str) -> None:
    """OSError where a folder's disk has not `size` bytes and some to spare."""
    free = shutil.disk_usage(folder).free
    if free < size + SPARE:
        raise OSError(
            errno.ENOSPC, f"No room for {what}: {megabytes(size)} needed, {megabytes(free)} free", str(folder)
        )


def _transfer(remote: Remote, part: Path, path: Path, pause: float) -> None:
    """Fill `part` up to the published size, however often the connection breaks as long as something is gained."""
    if _size(part) > remote.size:
        part.unlink()
    require_room(part.parent, remote.size - _size(part), remote.name)
    idle = 0
    with tqdm(
        total=remote.size, initial=_size(part), desc=remote.name, unit="B", unit_scale=True, mininterval=1
    ) as bar:
        for _ in range(MOST_TRIES):
            have, why = _size(part), "the connection ended early"
            if have == remote.size:
                return
            try:
                _receive(remote, part, path, bar)
            except _CutOff as error:
                why = str(error)
            idle = idle + 1 if _size(part) <= have else 0
            if idle == TRIES:
                break
            if _size(part) < remote.size:
                time.sleep(pause)
    if _size(part) == remote.size:
        return
    raise ValueError(
        f"{remote.name} cannot be fetched from {remote.url} ({why}); {megabytes(_size(part))} of "
        f"{megabytes(remote.size)} are kept, and the same command goes on from there"
    )


def _receive(remote: Remote, part: Path, path: Path, bar: tqdm) -> None:
    """One request for what is missing; _CutOff where the connection fails."""
    have = _size(part)
    with _opened(remote, have) as response:
        if response.status == 200:
            have = 0  # the whole file comes, whatever was asked for
        _check_offer(remote, response, have)
        bar.reset(remote.size)
        bar.update(have)
        try:
            with part.open("ab" if have else "wb") as file:
                for block in _blocks(response, remote.size - have):
                    file.write(block)
                    bar.update(len(block))
        except (
            OSError
        ) as error:  # of the disk: the connection's are _CutOff. What was taken of a full disk is given back
            part.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, str(path)) from None
        except ValueError as error:
            part.unlink(missing_ok=True)
            raise ValueError(f"{remote.url} {error} {remote.name}; removed") from None


def _opened(remote: Remote, have: int) -> http.client.HTTPResponse:
    """The answer to a request for everything from byte `have` on."""
    headers = {"User-Agent": "ldm-eval", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        return urllib.request.build_opener(_Redirects).open(
            urllib.request.Request(remote.url, headers=headers), timeout=TIMEOUT
        )
    except urllib.error.HTTPError as error:
        if error.code in (408, 429) or error.code >= 500:
            raise _CutOff(f"{error.code} {error.reason}") from None
        raise ValueError(
            f"{remote.name} cannot be fetched from {remote.url}: {error.code} {error.reason}".splitlines()[0]
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise _CutOff(str(getattr(error, "reason", error)) or type(error).__name__) from None


def _check_offer(remote: Remote, response: http.client.HTTPResponse, have: int) -> None:
    """ValueError where a server offers another size than the published one, or another part than asked for."""
    if response.status == 206:
        span, _, total = (response.headers.get("Content-Range") or "").removeprefix("bytes ").partition("/")
        if not span.startswith(f"{have}-"):
            raise ValueError(f"{remote.url} was asked for bytes from {have} on and answers with {span or 'no range'}")
    else:
        total = response.headers.get("Content-Length") or ""
    if total.isdecimal() and int(total) != remote.size:
        raise ValueError(f"{remote.url} offers {total} bytes for {remote.name}; {remote.size} are published")


def _blocks(response: http.client.HTTPResponse, most: int) -> Iterator[bytes]:
    """An answer's bytes; ValueError once there are more than `most`."""
    while True:
        try:
            block = response.read(BLOCK)
        except http.client.IncompleteRead as error:
            block = error.partial
        except (OSError, http.client.HTTPException) as error:
            raise _CutOff(str(error) or type(error).__name__) from None
        if not block:
            return
        most -= len(block)
        if most < 0:
            raise ValueError("sends more than the bytes of")
        yield block


def _verify(remote: Remote, part: Path) -> None:
    """ValueError, the file removed, where its hash is not the published one."""
    if not remote.digest:
        return
    algorithm, _, expected = remote.digest.partition(":")
    with part.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != expected:
        part.unlink()
        raise ValueError(
            f"{remote.url} is not {remote.name} as published: its {algorithm.upper()} begins with {found[:8]}, not "
            f"{expected[:8]}; removed"
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
