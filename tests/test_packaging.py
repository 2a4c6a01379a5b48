"""What `pip install .` installs: the packages, the prompt sets, every weight, and two commands."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INSTALLED = ("ldm_core", "evaluation", "demo", "prompts")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what a wheel is built from: building writes into the folder."""
    copied = tmp_path_factory.mktemp("source")
    passed_over = shutil.ignore_patterns("__pycache__", "*.pyc", "*.partial")
    for name in INSTALLED:
        shutil.copytree(ROOT / name, copied / name, ignore=passed_over)
    for name in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copied)
    return copied


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    """The folder that the built wheel unpacks to, as site-packages would hold it."""
    out = tmp_path_factory.mktemp("wheel")
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(out)], cwd=source, check=True, capture_output=True)
    with zipfile.ZipFile(next(out.glob("*.whl"))) as packed:
        packed.extractall(out / "site-packages")
    return out / "site-packages"


def files_of(folder):
    """Relative paths of the installed packages' files."""
    found = (path.relative_to(folder) for name in INSTALLED for path in (folder / name).rglob("*") if path.is_file())
    return {str(path) for path in found if "__pycache__" not in path.parts}


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(source, wheel):
    assert files_of(wheel) == files_of(source)
    assert {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")} == set(INSTALLED)


def test_the_wheel_asks_for_what_requirements_txt_lists(wheel):
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = {line.replace(" ", "") for line in lines if line.strip() and not line.startswith("#")}
    metadata = next(wheel.glob("*.dist-info/METADATA")).read_text(encoding="utf-8").splitlines()
    asked = [line.removeprefix("Requires-Dist: ") for line in metadata if line.startswith("Requires-Dist: ")]
    asked = [line for line in asked if "; extra ==" not in line]  # those who ask for them
    assert {sorted_bounds(line) for line in asked} == {sorted_bounds(line) for line in wanted}


def sorted_bounds(requirement):
    """A requirement whose bounds stand in one order: metadata may turn them round."""
    name = requirement.rstrip("=<>!~,.0123456789")
    return name, tuple(sorted(requirement.removeprefix(name).split(",")))


def test_installed_elsewhere_the_evaluation_finds_its_weights_and_prompts(wheel, tmp_path):
    code = (
        "import ldm_core, evaluation.run as run, evaluation.prompts as prompts\n"
        "assert prompts.load_prompts(run.parser().parse_args(['--prompts', 'prompts/coco.txt']).prompts, 1)\n"
        "print(ldm_core.MODELS['scenes'].source)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(wheel)},
        check=True,
        capture_output=True,
        text=True,
    )
    folder = Path(said.stdout.strip())
    assert folder.is_relative_to(wheel) and (folder / "model_index.json").is_file()


@pytest.mark.parametrize("command", PROJECT["scripts"])
def test_a_console_command_is_a_main_that_explains_itself(command, capsys):
    module, _, function = PROJECT["scripts"][command].partition(":")
    with pytest.raises(SystemExit) as left:
        getattr(importlib.import_module(module), function)(["--help"])
    assert left.value.code == 0 and f"usage: python -m {module}" in capsys.readouterr().out


def test_the_version_is_the_same_wherever_it_stands():
    version = PROJECT["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
