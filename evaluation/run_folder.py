"""A run's folder: that what will be written there can be, that nobody else is writing, and its tables read back."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout
from pandas.api.types import is_numeric_dtype

from ldm_core.files import write_whole

from .shard import Shard

WRITTEN = [f"{name}.csv" for name in ("summary", "images", "differences", "cost")] + [
    "run.json",
    "report.md",
    "report.html",
]
FOLDERS = ("images", "features", "references")
KEPT = ("features/*.npz", "features/*.part", "references/*.npz", "images/*/cost-*.jsonl")
LOCK, HOLDER = ".lock", ".running"
LOCKS_OF_MEMBERS = ".shard-*.lock"
SOON = 10  # seconds that a member waits where others look, one after another, whether the folder is free


def check_places(out: Path, images: Iterable[str]) -> None:
    """ValueError names what stands in a run's folder where it will write something else, or what it may not read.

    images  folders of images that will be written, relative to `out`
    """
    for name in (*FOLDERS, *images):
        path = out / name
        if path.exists() and not (path.is_dir() and os.access(path, os.R_OK | os.W_OK | os.X_OK)):
            raise ValueError(f"{path} must be a folder that is open to reading and writing; move it away")
    for path in [out / name for name in WRITTEN] + [path for pattern in KEPT for path in sorted(out.glob(pattern))]:
        if path.exists() and not (path.is_file() and os.access(path, os.R_OK | os.W_OK)):
            raise ValueError(f"{path} must be a file that is open to reading and writing; move it away")


def read_table(path: Path, columns: Iterable[str], numbers: Iterable[str] = ()) -> pd.DataFrame:
    """A table that a run has written; ValueError in one line where it is not there, damaged, or cut short.

    columns  that it must have
    numbers  those that hold nothing else, where they are there
    """
    try:
        data = path.read_bytes()
        table = pd.read_csv(io.BytesIO(data))
    except OSError as error:
        raise ValueError(f"{path.parent} is no finished run: {path.name}: {error.strerror or error}") from None
    except Exception as error:  # noqa: BLE001  # the library raises what it likes over damaged bytes
        words = " ".join(str(error).split())[:200]
        raise ValueError(f"{path.parent} is no finished run: {path.name} is damaged ({words})") from None
    why = [f"it has no column {name!r}" for name in columns if name not in table]
    why += [
        f"its column {name!r} holds text" for name in numbers if name in table and not is_numeric_dtype(table[name])
    ]
    if not data.endswith(b"\n"):
        why.append("its last line is cut short")
    if why:
        raise ValueError(f"{path.parent} is no finished run: {path.name} is damaged ({why[0]}); run the command again")
    return table


def write_table(path: Path, table: pd.DataFrame, float_format: str | None = None) -> None:
    """A table as CSV, whole or not at all, the same bytes on every system."""
    write_whole(path, table.to_csv(index=False, lineterminator="\n", float_format=float_format))


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Nobody else works in a run's folder within the block, no member of a job array either; ValueError where somebody does.

    The system frees the lock when its process ends, however it ends: what a killed run left behind holds nobody up.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(out / LOCK), out / HOLDER
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = holder.read_text(encoding="utf-8") if holder.is_file() else "of another machine"
        raise ValueError(
            f"--out {out}: another run is at work in it (process {who}); wait for its end or choose another folder"
        ) from None
    try:
        for of_member in sorted(out.glob(LOCKS_OF_MEMBERS)):
            _remove_left(of_member)
        for left in out.rglob(".*.partial"):  # of a run that was killed
            left.unlink()
        write_whole(holder, f"{os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        holder.unlink(missing_ok=True)
        (out / LOCK).unlink(missing_ok=True)  # while it is held: who opens it now makes a new one
        lock.release()


def _remove_left(lock: Path) -> None:
    """Remove what a member of a job array that is gone has left; ValueError where it is at work."""
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        member = lock.name.removeprefix(".shard-").removesuffix(".lock").replace("-of-", "/")
        raise ValueError(
            f"--out {lock.parent}: --shard {member} is at work in it; the command without --shard comes when all are done"
        ) from None
    lock.unlink(missing_ok=True)
    held.release()


@contextmanager
def beside(out: Path, shard: Shard) -> Iterator[None]:
    """Within the block a member of a job array works in a run's folder, and other members may; ValueError where the same
    member does already, or a command that is not of the array."""
    out.mkdir(parents=True, exist_ok=True)
    own, whole = FileLock(out / LOCKS_OF_MEMBERS.replace("*", shard.name)), FileLock(out / LOCK)
    try:
        own.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"--out {out}: --shard {shard} is at work in it already") from None
    try:
        _wait_for(whole)  # own lock first: either this sees the other command, or `alone` sees this
        yield
    finally:
        Path(own.lock_file).unlink(missing_ok=True)
        own.release()


def _wait_for(whole: FileLock) -> None:
    """ValueError where a command without --shard holds the folder."""
    try:
        whole.acquire(timeout=SOON)
    except Timeout:
        folder = Path(whole.lock_file).parent
        raise ValueError(f"--out {folder}: a run without --shard is at work in it; wait for its end") from None
    Path(whole.lock_file).unlink(missing_ok=True)
    whole.release()
