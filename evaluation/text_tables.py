"""Text files and tables that people write, read strictly: what would be misread is one ValueError with file and line.

`label` names a file in errors, "--prompts p.csv"; lines count from 1, and end where editors end them.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ldm_core.checks import check_text, shown

from .bounds import MOST_PROMPT_BYTES

MARKS = [  # of encodings; UTF-32's of little end opens as UTF-16's does
    (codecs.BOM_UTF8, "utf-8-sig"),
    *((mark, "utf-32") for mark in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)),
    *((mark, "utf-16") for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)),
]


def wrong(label: str, line: int, words: str) -> ValueError:
    """What is wrong with a file; `line` is 0 where there is no telling."""
    return ValueError(f"{label}{f', line {line}' if line else ''}: {words}")


def read_text(path: Path, label: str) -> str:
    """A file's text: UTF-8, or UTF-16 or UTF-32 where it opens with the mark of that."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_PROMPT_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{label} cannot be read: {error.strerror}") from None
    if len(data) > MOST_PROMPT_BYTES:
        raise ValueError(f"{label} is larger than {MOST_PROMPT_BYTES >> 20} MiB, which is the most")
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        raise wrong(label, before.count("\n") + 1, f"not {encoding.upper().removesuffix('-SIG')}") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise wrong(label, line, "a zero byte, as in no UTF-8 text; save the file as UTF-8")
    return text


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers. str.splitlines would end them at U+2028 and form feeds too, which stand within texts."""
    return ((number, line.removesuffix("\n")) for number, line in enumerate(io.StringIO(text, newline=None), start=1))


def check_texts(label: str, line: int, row: dict[str, Any]) -> None:
    """ValueError where a text is one that files and tables cannot hold: lone surrogates, zero characters."""
    for name, value in row.items():
        try:
            if isinstance(value, str) and "\0" in check_text(name, value):
                raise ValueError(f"{name} holds a zero character")
        except ValueError as error:
            raise wrong(label, line, str(error)) from None


def csv_rows(label: str, text: str, needed: Collection[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV by the names of its columns, in lower case; `needed` are names of which it must have one.

    Strictly: a quote that is not closed would else take in every row below it.
    """
    reader, start = csv.reader(io.StringIO(text, newline=""), strict=True), 1

    def rows() -> Iterator[tuple[int, list[str]]]:
        nonlocal start
        for cells in reader:
            yield start, cells
            start = reader.line_num + 1

    try:
        yield from _named(label, rows(), needed)
    except csv.Error as error:
        words = "a quote that is never closed" if "end of data" in str(error) else str(error)
        hint = "" if "field limit" in words else "; quotes within quotes are doubled"
        raise wrong(label, start, words + hint) from None


def tsv_rows(label: str, text: str, needed: Collection[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """The same of a table with tabs, where quotes are plain letters."""
    yield from _named(label, ((number, line.split("\t")) for number, line in lines(text) if line), needed)


def _named(
    label: str, rows: Iterator[tuple[int, list[str]]], needed: Collection[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows under the names of the first. A cell under no name is refused: a comma without quotes has cut a text there."""
    names = [name.strip().lower() for name in next(rows, (1, []))[1]]
    if needed and not set(needed) & set(names):
        raise wrong(label, 1, f"no column {next(iter(needed))!r} among {', '.join(names)[:200] or 'none'}")
    for line, cells in rows:
        for place, cell in enumerate(cells):
            if cell.strip() and (place >= len(names) or not names[place]):
                raise wrong(label, line, f"{shown(cell)} stands under no column; a text with commas needs quotes")
        yield line, dict(zip(names, cells))


def json_rows(label: str, text: str) -> Iterator[tuple[int, Any]]:
    """The value of each line of JSON Lines; blank lines are passed over."""
    return ((number, read_json(label, line, number)) for number, line in lines(text) if line.strip())


def read_json(label: str, text: str, line: int = 0) -> Any:
    """A JSON value; `line` is where it stands, 0 for a whole file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise wrong(label, line or error.lineno, f"no JSON ({error.msg})") from None
    except (ValueError, RecursionError):  # thousands of digits, brackets within thousands of brackets
        raise wrong(label, line, "no JSON of plain values: numbers or brackets beyond all bounds") from None


def read_seed(label: str, line: int, value: Any, most: int) -> int | None:
    """A seed as tables write them: 5, "5", and "5.0" where a column has gaps. None where there is none."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    text = value.strip() if isinstance(value, str) else str(value) if type(value) is float else ""
    number = int(text.split(".")[0]) if re.fullmatch(r"-?\d{1,20}(\.0*)?", text) else value
    if type(number) is not int:
        raise wrong(label, line, f"seed {shown(value)} is no integer from 0 to {most}")
    if not 0 <= number <= most:
        raise wrong(label, line, f"seed {shown(number)} is not from 0 to {most}")
    return number


def first_of(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of some columns that a row has a value in; None where it has none."""
    return next((row[name] for name in names if row.get(name) is not None), None)
