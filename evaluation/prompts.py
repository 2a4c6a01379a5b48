"""Prompt sets from files: .txt (a prompt a line), .csv, .tsv and .jsonl (a column `prompt`; `category`, `seed` if there).

In a .txt, `#` opens a comment and `# category: NAME` a category. Blank lines are passed over, repeats kept (each gets
a seed of its own), a byte-order mark and Windows line ends understood. Errors name the file and the line.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Prompt:
    """One line of a prompt set."""

    id: int  # its place in the file, 0 first
    text: str
    category: str = ""
    seed: int | None = None  # an image seed given outright


def load_prompts(path: Path, limit: int | None = None) -> list[Prompt]:
    """The prompts of a file, the first `limit` of them."""
    readers = {".txt": _from_txt, ".csv": _from_csv, ".tsv": _from_tsv, ".jsonl": _from_jsonl}
    if path.suffix.lower() not in readers:
        raise ValueError(f"--prompts {path}: the name must end in {', '.join(readers)}")
    rows = list(readers[path.suffix.lower()](path, _text(path)))
    if not rows:
        raise ValueError(f"--prompts {path} holds no prompt")
    return [Prompt(index, *row) for index, row in enumerate(rows[:limit])]


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"--prompts {path} cannot be read: {error.strerror}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"--prompts {path}, line {line}: not UTF-8") from None


def _from_txt(path: Path, text: str) -> Iterator[tuple[str, str, None]]:
    category = ""
    for line in text.splitlines():
        if named := re.fullmatch(r"#\s*category:\s*(.*)", line.strip(), re.IGNORECASE):
            category = named[1].strip()
        elif line.strip() and not line.lstrip().startswith("#"):
            yield line.strip(), category, None


def _from_csv(path: Path, text: str, dialect: str = "excel") -> Iterator[tuple[str, str, int | None]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), dialect=dialect)
    columns = {name.lower(): name for name in reader.fieldnames or []}
    if "prompt" not in columns:
        raise ValueError(f"--prompts {path}, line 1: no column 'prompt' among {', '.join(columns) or 'none'}")
    for row in reader:
        yield from _row(path, reader.line_num, {name: row[column] for name, column in columns.items()})


def _from_tsv(path: Path, text: str) -> Iterator[tuple[str, str, int | None]]:
    yield from _from_csv(path, text, "excel-tab")


def _from_jsonl(path: Path, text: str) -> Iterator[tuple[str, str, int | None]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"--prompts {path}, line {number}: no JSON ({error.msg})") from None
        if not isinstance(row, dict) or not isinstance(row.get("prompt"), str):
            raise ValueError(f"--prompts {path}, line {number}: no text 'prompt'")
        yield from _row(path, number, row)


def _row(path: Path, line: int, row: dict) -> Iterator[tuple[str, str, int | None]]:
    prompt, seed = (row.get("prompt") or "").strip(), row.get("seed")
    if not prompt:
        return
    try:
        seed = None if seed in (None, "") else int(seed)
    except (TypeError, ValueError):
        raise ValueError(f"--prompts {path}, line {line}: seed {seed!r} is no integer") from None
    if seed is not None and not 0 <= seed < 2**32:
        raise ValueError(f"--prompts {path}, line {line}: seed {seed} is not from 0 to {2**32 - 1}")
    yield prompt, str(row.get("category") or ""), seed
