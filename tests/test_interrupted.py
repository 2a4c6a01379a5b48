"""A run that is killed at any moment, that finds the disk full, that is not alone in its folder: the same bytes in the end."""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
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

from evaluation.finished import Finished
from evaluation.run import main
from evaluation.run_folder import FOLDERS, WRITTEN, check_places
from tests.test_damage import command, contents, whole  # noqa: F401  # the fixture

PATIENCE = 120  # seconds
DIED = -signal.SIGKILL
KEPT_THERE = ("features/*.npz", "references/*.npz", "images/*/cost-0.jsonl")


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


def without_privileges() -> None:
    """From now on this process may read what its user's modes allow, root's too: no capability is left (capset(2))."""
    version, libc = 0x20080522, ctypes.CDLL(None, use_errno=True)
    if libc.capset((ctypes.c_uint32 * 2)(version, 0), (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def said_of(path: Path, work) -> str:
    """What `work` says while a file or folder may be neither read nor written; "" where it does not mind."""
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as words, contextlib.redirect_stderr(words):
            work()
        return ""
    except ValueError as error:
        return str(error)
    except SystemExit:
        return words.getvalue().strip().splitlines()[-1]
    finally:
        path.chmod(mode)


def unreadable(out: Path, said: Path) -> None:
    """In a process without privileges: what is said of each kind of file and folder of a run when it is closed."""
    without_privileges()
    pictures = {str(path.relative_to(out)) for path in out.glob("images/*")}
    found = {name: next(iter(out.glob(name))) for name in (*WRITTEN, *FOLDERS, *KEPT_THERE, *pictures)}
    answers = {name: said_of(path, lambda: check_places(out, pictures)) for name, path in found.items()}
    for name in ("summary.csv", "images.csv", "run.json"):
        answers[f"finished {name}"] = said_of(out / name, lambda: Finished.read(out))
    outside = (out.parent / "fashion.txt", out.parent / "real", out / "run.json")
    answers |= {f"command {path.name}": said_of(path, lambda: main(command(out))) for path in outside}
    recipe = min(out.glob("images/*/*.png"))
    answers[f"recipe {recipe.name}"] = said_of(recipe, lambda: main(["--recipe", str(recipe)]))
    answers["picture"] = said_of(recipe, lambda: main(command(out)))
    said.write_text(json.dumps(answers))


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_every_file_and_folder_that_may_not_be_read_is_named_and_a_picture_is_made_again(whole, place, start):  # noqa: F811  # the fixture, which pytest finds by its name
    shutil.copytree(whole / "run", place)
    assert ended(start(place, "said.json", work=unreadable)) == 0
    answers = json.loads((place.parent / "said.json").read_text())
    assert answers.pop("picture") == "" and contents(place) == contents(whole / "run")
    assert len(answers) == len(WRITTEN) + len(FOLDERS) + len(KEPT_THERE) + 1 + 3 + 4
    for name, words in answers.items():
        file = name.split()[-1].replace("*", "")
        assert Path(file).name.split(".")[-1] in words and "\n" not in words and words, (name, words)


@pytest.fixture(scope="module")
def start():
    """Starts a run in a process of its own, made from one that has everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_interrupted", "evaluation.runner"])

    def begin(out, said="said.txt", kill=None, limit=None, hold=None, work=None):
        run = (out, out.parent / said, kill, limit, hold)
        process = context.Process(target=work or child, args=run[:2] if work else run)
        process.start()
        return process

    return begin


def ended(process) -> int:
    """The exit code of a run."""
    process.join(PATIENCE)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


@pytest.fixture
def place(whole, tmp_path):  # noqa: F811  # the fixture, which pytest finds by its name
    """A folder with the prompts and the reference, for a run."""
    shutil.copy(whole / "fashion.txt", tmp_path / "fashion.txt")
    shutil.copytree(whole / "real", tmp_path / "real")
    return tmp_path / "run"


def test_killed_twenty_times_at_random_moments_it_ends_with_the_same_bytes(whole, place, start):  # noqa: F811  # the fixture, which pytest finds by its name
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
def test_on_a_full_disk_one_line_names_the_file_and_with_room_the_bytes_are_the_same(whole, place, start, room):  # noqa: F811  # the fixture, which pytest finds by its name
    assert ended(start(place, limit=room)) == 2
    error = (place.parent / "said.txt").read_text().strip().splitlines()[-1]
    assert error.startswith("python -m evaluation.run: error: ") and str(place) in error, error
    assert not list(place.rglob("*.partial"))
    assert ended(start(place)) == 0 and contents(place) == contents(whole / "run")


def test_of_two_runs_at_once_one_draws_and_the_other_is_told(whole, place, start):  # noqa: F811  # the fixture, which pytest finds by its name
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
