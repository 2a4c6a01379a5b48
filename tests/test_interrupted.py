"""A run that is killed at any moment, that finds the disk full, that is not alone in its folder: the same bytes in the end."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from evaluation.run import main
from tests.test_damage import command, contents, whole  # noqa: F401  # the fixture

PATIENCE = 120  # seconds
DIED = -signal.SIGKILL


def at_change(folder: Path, number: int, do) -> None:
    """From now on: `do` at the n-th time that this process is about to open, rename or make something in a folder."""
    left = [number]

    def watch(event: str, arguments: tuple) -> None:
        if event not in ("open", "os.rename", "os.mkdir") or not str(arguments[0]).startswith(str(folder)):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        left[0] -= 1
        if left[0] == 0:
            do()

    sys.addaudithook(watch)


def killed_soon(delay: float) -> None:
    """This process ends without a chance to tidy up, within or just after what it is about to do."""
    threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()


def wait_for(path: Path) -> None:
    """Until a file is there."""
    end = time.monotonic() + PATIENCE
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)


def child(out: Path, said: Path, kill: tuple[int, float] | None, limit: int | None, hold: Path | None) -> None:
    """One run: killed soon after its n-th change, or with a largest size of files, or held at its second picture."""
    if kill is not None:
        at_change(out, kill[0], lambda: killed_soon(kill[1]))
    if hold is not None:
        at_change(out / "images", 3, lambda: (hold.with_suffix(".held").touch(), wait_for(hold)))
    if limit is not None:  # the system says it as it says that a disk is full
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    with contextlib.redirect_stdout(io.StringIO()) as words, contextlib.redirect_stderr(words):
        try:
            code = main(command(out))
        except SystemExit as stopped:
            code = stopped.code
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    said.write_text(words.getvalue())
    os._exit(code)


@pytest.fixture(scope="module")
def start():
    """Starts a run in a process of its own, made from one that has everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_interrupted", "evaluation.runner"])

    def begin(out, said="said.txt", kill=None, limit=None, hold=None):
        process = context.Process(target=child, args=(out, out.parent / said, kill, limit, hold))
        process.start()
        return process

    return begin


def ended(process) -> int:
    """The exit code of a run."""
    process.join(PATIENCE)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


@pytest.fixture
def place(whole, tmp_path):  # noqa: F811
    """A folder with the prompts and the reference, for a run."""
    shutil.copy(whole / "fashion.txt", tmp_path / "fashion.txt")
    shutil.copytree(whole / "real", tmp_path / "real")
    return tmp_path / "run"


def test_killed_twenty_times_at_random_moments_it_ends_with_the_same_bytes(whole, place, start):  # noqa: F811
    chance, kills = random.Random(15), 0
    while kills < 20:
        code = ended(start(place, kill=(chance.randint(1, 12), chance.uniform(0, 0.003))))
        kills += code == DIED
        assert code in (0, DIED)
        if code == 0:  # through before its moment came
            assert contents(place) == contents(whole / "run")
            shutil.rmtree(place)
    assert ended(start(place)) == 0 and contents(place) == contents(whole / "run")
    assert not list(place.rglob(".*")) and not list(place.rglob("*.part")), "nothing half-written is left"


@pytest.mark.parametrize("room", [64, 1_500, 3_000, 12_000])
def test_on_a_full_disk_one_line_names_the_file_and_with_room_the_bytes_are_the_same(whole, place, start, room):  # noqa: F811
    assert ended(start(place, limit=room)) == 2
    error = (place.parent / "said.txt").read_text().strip().splitlines()[-1]
    assert error.startswith("python -m evaluation.run: error: ") and str(place) in error, error
    assert not list(place.rglob("*.partial"))
    assert ended(start(place)) == 0 and contents(place) == contents(whole / "run")


def test_of_two_runs_at_once_one_draws_and_the_other_is_told(whole, place, start):  # noqa: F811
    go = place.parent / "go"
    first = start(place, "first.txt", hold=go)
    wait_for(go.with_suffix(".held"))
    second = ended(start(place, "second.txt"))
    error = (place.parent / "second.txt").read_text().strip().splitlines()[-1]
    assert second == 2 and f"--out {place}: another run is at work in it (process {first.pid} on " in error, error
    go.touch()
    assert ended(first) == 0 and contents(place) == contents(whole / "run")
    together = [start(place, f"{name}.txt") for name in "ab"]
    assert {ended(process) for process in together} <= {0, 2} and contents(place) == contents(whole / "run")
