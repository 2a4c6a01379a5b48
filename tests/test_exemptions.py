"""What is let off a rule says why, and there is little of it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FORMATTED_BY_HAND = 20  # tables whose columns make them readable
HERE = Path(__file__).name  # whose patterns look like what they find


def lines_with(pattern):
    """FILE:LINE and the line, of every Python file of ours."""
    for folder in ("ldm_core", "evaluation", "demo", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if re.search(pattern, line) and path.name != HERE:
                    yield f"{path.relative_to(ROOT)}:{number}", line


def test_what_is_let_off_lint_or_types_names_its_code_and_a_reason():
    reason = r"# (noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*|type: ignore\[[a-z\-, ]+\])  # \w+"
    found = list(lines_with(r"# (noqa|type: ignore)"))
    assert not [where for where, line in found if not re.search(reason, line)]


def test_few_lines_are_kept_from_the_formatter():
    assert len(list(lines_with(r"# fmt: (skip|off)"))) <= FORMATTED_BY_HAND
