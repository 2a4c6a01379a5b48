"""Every command of the three packages: it starts, says what it takes, and ends in one line whatever happens."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from ldm_core import command
from ldm_core.training import train_denoiser

ROOT = Path(__file__).parents[1]
COMMANDS = [
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for package in ("demo", "evaluation", "ldm_core")
    for path in sorted((ROOT / package).rglob("*.py"))
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
]


def ended(name, arguments):
    """The exit code of a command."""
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(name).main(arguments)
    return stopped.value.code


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_takes(name, capsys):
    assert ended(name, ["--help"]) == 0
    said = capsys.readouterr().out
    assert f"python -m {name}" in said and "--debug" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_options_by_their_whole_names_only(name, capsys):
    assert ended(name, ["--hel"]) == 2 and "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ValueError("bad\nvalue"), 2, "error: bad value"),
        (OSError(28, "No space left on device", "/x"), 2, "No space left on device: '/x'"),
        (KeyError("x"), 3, "unexpected KeyError: 'x'; --debug shows where; please report it"),
        (RecursionError("too deep"), 3, "unexpected RecursionError: too deep"),
        (MemoryError(), 3, "unexpected MemoryError"),
    ],
)
def test_whatever_leaves_a_command_is_one_line_and_with_debug_says_where(error, code, words, capsys):
    def work(arguments):
        raise error

    for more in ([], ["--debug"]):
        with pytest.raises(SystemExit) as stopped:
            command.carry_out(command.parser("some.command", None), more, work)
        told = capsys.readouterr().err
        assert stopped.value.code == code and words in told.splitlines()[-1]
        assert ("Traceback" in told) == bool(more) and (more or told.count("\n") == 1)


def test_a_fault_within_a_training_is_one_line_too(tmp_path, capsys, monkeypatch):
    def fails(*_, **__):
        raise KeyError("a fault")

    monkeypatch.setattr(train_denoiser, "load_autoencoder", fails)
    words = ["scenes-cpu", "--autoencoder", str(tmp_path), "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert ended("ldm_core.training.train_denoiser", words) == 3
    told = capsys.readouterr().err
    assert "unexpected KeyError: 'a fault'" in told and told.count("\n") == 1
