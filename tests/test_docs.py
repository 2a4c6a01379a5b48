"""Every example in the README, the guides and the cards: Python runs, commands take their options, links lead somewhere.

A Python block is run after those before it in its file, in an empty folder. `<!-- not run: WHY -->` above a block keeps it
from being run; it still has to compile. Of a command its own parser reads the options; one with --dry-run is run.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import itertools
import re
import shlex
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "prompts/README.md")]
FILES += [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "ldm_core" / "weights").glob("*/README.md"))]
BLOCK = re.compile(r"(?:<!-- not run: (?P<why>[^\n]+) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)```", re.DOTALL)
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
LAUNCHERS = ("torchrun", "accelerate")
OTHERS = {"docker", "mypy", "pip", "pre-commit", "ruff"}  # programs that are not ours; pip's files are looked at
NAMES = [str(path.relative_to(ROOT)) for path in FILES]


class ParsedError(Exception):
    """Raised in place of what a command does once its options are read."""


def blocks(name: str, kind: str) -> list[tuple[str, str | None]]:
    """The blocks of a kind in a file, and why one is not run."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [(found["text"], found["why"]) for found in BLOCK.finditer(text) if found["kind"] == kind]


def commands(name: str) -> list[list[str]]:
    """The commands of a file's bash blocks, in words."""
    lines = [line for text, _ in blocks(name, "bash") for line in text.replace("\\\n", " ").splitlines()]
    parts = [part for line in lines for part in line.split("&&")]
    return [words for words in (shlex.split(part, comments=True) for part in parts) if words]


COMMANDS = [(name, shlex.join(words)) for name in NAMES for words in commands(name)]


def module_and_options(words: list[str]) -> tuple[str, list[str]] | None:
    """Which of our commands a line starts, and with what; None for a program that is not ours."""
    program = Path(words[0]).name
    if program in SCRIPTS:
        return SCRIPTS[program].partition(":")[0], words[1:]
    if (program == "python" or program in LAUNCHERS) and "-m" in words:
        place = words.index("-m") + 1
        return (
            (words[place], words[place + 1 :])
            if words[place].split(".")[0] in ("ldm_core", "evaluation", "demo")
            else None
        )
    return None


def test_the_guides_hold_examples_of_both_kinds():
    assert sum(len(blocks(name, "python")) for name in NAMES) > 10 and len(COMMANDS) > 25
    assert {module_and_options(shlex.split(line))[0] for name, line in COMMANDS if name == "docs/evaluation.md"} >= {
        "evaluation.run",
        "evaluation.reference",
        "evaluation.compare",
        "evaluation.autoencoders",
    }


@pytest.mark.parametrize("name", [name for name in NAMES if blocks(name, "python")])
def test_the_python_of_a_page_runs_from_top_to_bottom(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names: dict[str, object] = {}
    for text, why in blocks(name, "python"):
        code = compile(text, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if why else 0)
        if why is None:
            exec(code, names)


@pytest.mark.parametrize(("name", "line"), COMMANDS)
def test_a_command_of_a_page_can_be_given_as_it_stands(name, line, monkeypatch, tmp_path):
    words = shlex.split(line)
    ours = module_and_options(words)
    if ours is None:
        check_other(words)
        return
    module, options = ours
    main = importlib.import_module(module).main
    monkeypatch.chdir(tmp_path)
    if "--dry-run" in options:
        assert main(options) == 0 and not list(tmp_path.iterdir())
        return
    read = argparse.ArgumentParser.parse_args

    def parse(self, args=None, namespace=None):
        read(self, args, namespace)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    with pytest.raises(ParsedError):  # SystemExit: an option is unknown, or its value cannot be
        main(options)


def check_other(words: list[str]) -> None:
    """A program that is not ours is one that we know of, and the files that it is given are there."""
    program = Path(words[0]).name
    if program == "python":
        assert words[1:3] in (["-m", "venv"], ["-m", "pytest"]), f"{words} is neither ours nor known"
    else:
        assert program in OTHERS, f"{program} is neither ours nor known"
    for flag, value in itertools.pairwise(words):
        assert flag != "-r" or (ROOT / value).is_file(), f"there is no {value}"


@pytest.mark.parametrize("name", NAMES)
def test_links_and_pictures_of_a_page_are_there(name):
    text = BLOCK.sub("", (ROOT / name).read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text)
    for target in (one or other for one, other in targets):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), f"{name} links to {target}"
        assert not anchor or anchor in anchors(path), f"{name} links to {target}, which is no heading"


def anchors(path: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_map_names_files_and_folders_that_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    planned = ("ldm_core/tasks/", "evaluation/studies/")  # as the page says
    named = re.findall(r"`((?:ldm_core|evaluation|demo|tests)/[\w./]*)`", text)
    assert len(named) > 12
    for path in named:
        assert (ROOT / path).exists() or path.startswith(planned), f"CONTRIBUTING.md names {path}"


@pytest.mark.parametrize("name", NAMES)
def test_commands_named_within_a_sentence_exist(name):
    text = BLOCK.sub("", (ROOT / name).read_text(encoding="utf-8"))
    for words in re.findall(r"`python -m ((?:ldm_core|evaluation|demo)(?:\.[a-z]\w*)+)", text):
        assert hasattr(importlib.import_module(words), "main"), f"{name} names python -m {words}"


def test_the_readme_is_one_page_and_the_space_can_read_its_settings():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 180 and lines[0] == "---"
    settings = dict(line.split(": ", 1) for line in lines[1 : lines.index("---", 1)])
    assert settings["sdk"] == "gradio" and (ROOT / settings["app_file"]).is_file()
