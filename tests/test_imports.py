"""The directions of the design: the core knows neither of the others, the evaluation not the demo."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "ldm_core": ("ldm_core",),
    "evaluation": ("ldm_core", "evaluation"),
    "demo": (
        "ldm_core",
        "demo",
        "evaluation.metrics",
        "evaluation.detectors",
        "evaluation.catalogue",
        "evaluation.condition",
        "evaluation.statistics",
        "evaluation.prompts",
        "evaluation.generation.axes",
        # Finished runs and their reports, which the tab "Results" shows.
        "evaluation.finished",
        "evaluation.report",
        "evaluation.run_facts",
    ),
}


def imported(path: Path) -> set[str]:
    """Absolute names of the project's own modules that a file imports."""
    package = path.relative_to(ROOT).with_suffix("").parts
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join([*package[: -node.level], *([node.module] if node.module else [])])
                if node.level
                else node.module
            )
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in ALLOWED}


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_go_one_way_only(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        for name in imported(path):
            assert name.startswith(ALLOWED[package]), f"{path.relative_to(ROOT)} imports {name}"


def test_nothing_depends_on_torchvision():
    ours = [path for package in (*ALLOWED, "tests") for path in (ROOT / package).rglob("*.py")]  # not .venv beside them
    for path in [*ours, ROOT / "requirements.txt", ROOT / "tests" / "requirements.txt"]:
        lines = path.read_text().splitlines()
        assert not any(
            line.strip().startswith(("import torchvision", "from torchvision", "torchvision")) for line in lines
        )
