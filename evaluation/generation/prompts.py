"""Prompt sets from files, known by their names' endings:

    .txt            a prompt a line; `#` opens a comment, `# category: NAME` a category
    .csv .jsonl     a column `prompt` (or `caption`); `category`, `challenge`, `seed` where they are there
    .tsv            the same with tabs, where quotes are plain letters: PartiPrompts ships so
    .json           COCO captions as COCO ships them: one caption an image, see `coco_caption`; file names are kept

GenEval's `tag` is a category. Blank lines are passed over, repeats kept (each gets a seed of its own), byte-order marks
(UTF-16's too) and Windows line ends understood. Errors name the file and the line; bounds stand in evaluation/bounds.py.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import itertools
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ldm_core.checks import check_text, shown

from ..bounds import LONGEST_PROMPT, MOST_IMAGES, MOST_PROMPT_BYTES, check_amount

MAX_SEED = 2**32 - 1
MARKS = [  # of encodings; UTF-32's of little end opens as UTF-16's does
    (codecs.BOM_UTF8, "utf-8-sig"),
    *((mark, "utf-32") for mark in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)),
    *((mark, "utf-16") for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)),
]
TEXT_COLUMNS, CATEGORY_COLUMNS = ("prompt", "caption"), ("category", "tag")
SHIPPED = Path(__file__).parents[2] / "prompts"  # the sets of this repository: beside the packages, installed or not


@dataclass(frozen=True)
class Prompt:
    """One line of a prompt set."""

    id: int  # its place in the file, 0 first
    text: str
    category: str = ""
    seed: int | None = None  # an image seed given outright
    challenge: str = ""  # PartiPrompts' second grouping
    reference: str = ""  # the file name of the picture that it describes


def prompt_file(name: str) -> Path:
    """The file of a prompt set: a path, or the name of one that ships here ("coco", "prompts/coco.txt") from any folder."""
    path = Path(name)
    shipped = SHIPPED / (path.name if path.suffix else f"{path.name}.txt")
    return shipped if not path.exists() and path.parent.name in ("", "prompts") and shipped.is_file() else path


def load_prompts(path: Path, limit: int | None = None) -> list[Prompt]:
    """The prompts of a file, the first `limit` of them; ValueError in one line names the file and the line."""
    readers: dict[str, Callable[[Path, str], Iterator[tuple[int, dict]]]]
    readers = {".txt": _from_txt, ".csv": _from_csv, ".tsv": _from_tsv, ".jsonl": _from_jsonl, ".json": _from_coco}
    if path.suffix.lower() not in readers:
        raise ValueError(f"--prompts {path}: the name must end in {', '.join(readers)}")
    rows = (_checked(path, *found) for found in readers[path.suffix.lower()](path, _text(path)))
    wanted = itertools.islice((row for row in rows if row["text"]), MOST_IMAGES + 1 if limit is None else limit)
    prompts = [Prompt(index, **row) for index, row in enumerate(wanted)]
    if not prompts:
        raise ValueError(f"--prompts {path} holds no prompt")
    check_amount(len(prompts), 1, 1)
    return prompts


def _wrong(path: Path, line: int, words: str) -> ValueError:
    """`line` is 0 where there is no telling."""
    return ValueError(f"--prompts {path}{f', line {line}' if line else ''}: {words}")


def _checked(path: Path, line: int, row: dict) -> dict:
    """A row whose texts files and tables can hold."""
    for name, value in row.items():
        try:
            if isinstance(value, str) and "\0" in check_text(name, value):
                raise ValueError(f"{name} holds a zero character")
        except ValueError as error:
            raise _wrong(path, line, str(error)) from None
    if len(row["text"]) > LONGEST_PROMPT:
        raise _wrong(path, line, f"a prompt of {len(row['text'])} characters; {LONGEST_PROMPT} at the most")
    return row


def draw_prompts(path: Path, limit: int, run_seed: int) -> list[Prompt]:
    """`limit` prompts of a file drawn at random by the run's seed, in the file's order and with their places in it; all
    where it holds no more."""
    prompts = load_prompts(path)
    if limit >= len(prompts):
        return prompts
    return sorted(random.Random(run_seed).sample(prompts, limit), key=lambda prompt: prompt.id)


def empty_prompts(count: int) -> list[Prompt]:
    """As many empty prompts, for a model that takes none: their seeds follow from the run's, one after another."""
    return [Prompt(index, "") for index in range(count)]


def _text(path: Path) -> str:
    """A file's text: UTF-8, or UTF-16 or UTF-32 where it opens with the mark of that."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_PROMPT_BYTES + 1)
    except OSError as error:
        raise ValueError(f"--prompts {path} cannot be read: {error.strerror}") from None
    if len(data) > MOST_PROMPT_BYTES:
        raise ValueError(f"--prompts {path} is larger than {MOST_PROMPT_BYTES >> 20} MiB, which is the most")
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        name = encoding.upper().removesuffix("-SIG")
        raise _wrong(path, before.count("\n") + 1, f"not {name}") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _wrong(path, line, "a zero byte, as in no UTF-8 text; save the file as UTF-8")
    return text


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, 1 first. They end where editors end them; str.splitlines also does at U+2028 or FF."""
    return ((number, line.removesuffix("\n")) for number, line in enumerate(io.StringIO(text, newline=None), start=1))


def _from_txt(_path: Path, text: str) -> Iterator[tuple[int, dict]]:
    category = ""
    for number, line in _lines(text):
        if named := re.fullmatch(r"#\s*category:\s*(.*)", line.strip(), re.IGNORECASE):
            category = named[1].strip()
        elif line.strip() and not line.lstrip().startswith("#"):
            yield number, {"text": line.strip(), "category": category}


def _from_csv(path: Path, text: str) -> Iterator[tuple[int, dict]]:
    # Strictly: a quote that is not closed would else take in every row below it.
    reader, start = csv.reader(io.StringIO(text, newline=""), strict=True), 1

    def rows() -> Iterator[tuple[int, list[str]]]:
        nonlocal start
        for cells in reader:
            yield start, cells
            start = reader.line_num + 1

    try:
        yield from _table(path, rows())
    except csv.Error as error:
        words = "a quote that is never closed" if "end of data" in str(error) else str(error)
        raise _wrong(
            path, start, f"{words}; quotes within quotes are doubled, fields end at 131072 characters"
        ) from None


def _from_tsv(path: Path, text: str) -> Iterator[tuple[int, dict]]:
    yield from _table(path, ((number, line.split("\t")) for number, line in _lines(text) if line))


def _table(path: Path, rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, dict]]:
    """Rows under the names of the first. A cell under no name is refused: a comma without quotes has cut a prompt there."""
    names = [name.strip().lower() for name in next(rows, (1, []))[1]]
    if not set(TEXT_COLUMNS) & set(names):
        raise _wrong(path, 1, f"no column 'prompt' among {', '.join(names)[:200] or 'none'}")
    for line, cells in rows:
        for place, cell in enumerate(cells):
            if cell.strip() and (place >= len(names) or not names[place]):
                raise _wrong(path, line, f"{shown(cell)} stands under no column; a prompt with commas needs quotes")
        yield line, _row(path, line, dict(zip(names, cells)))


def _from_jsonl(path: Path, text: str) -> Iterator[tuple[int, dict]]:
    for number, line in _lines(text):
        if not line.strip():
            continue
        row = _json(path, line, number)
        if not isinstance(row, dict) or not isinstance(_first(row, TEXT_COLUMNS), str):
            raise _wrong(path, number, "no text 'prompt'")
        yield number, _row(path, number, row)


def _json(path: Path, text: str, line: int = 0) -> Any:
    """A JSON value; `line` is where it stands, 0 for a whole file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _wrong(path, line or error.lineno, f"no JSON ({error.msg})") from None
    except (ValueError, RecursionError):  # thousands of digits, brackets within thousands of brackets
        raise _wrong(path, line, "no JSON of plain values: numbers or brackets beyond all bounds") from None


def _row(path: Path, line: int, row: dict) -> dict:
    """What a table's row says, its seed checked."""
    return {
        "text": (_first(row, TEXT_COLUMNS) or "").strip(),
        "category": str(_first(row, CATEGORY_COLUMNS) or ""),
        "seed": _seed(path, line, row.get("seed")),
        "challenge": str(row.get("challenge") or ""),
    }


def _seed(path: Path, line: int, value: Any) -> int | None:
    """A seed as tables write them: 5, "5", and "5.0" where a column has gaps. None where there is none."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    text = value.strip() if isinstance(value, str) else str(value) if type(value) is float else ""
    number = int(float(text)) if re.fullmatch(r"-?\d{1,15}(\.0*)?", text) else value
    if type(number) is not int:
        raise _wrong(path, line, f"seed {shown(value)} is no integer from 0 to {MAX_SEED}")
    if not 0 <= number <= MAX_SEED:
        raise _wrong(path, line, f"seed {shown(number)} is not from 0 to {MAX_SEED}")
    return number


def _first(row: dict, names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _from_coco(path: Path, text: str) -> Iterator[tuple[int, dict]]:
    content = _json(path, text)
    said: defaultdict[int, dict[int, str]] = defaultdict(dict)
    try:
        files = {image["id"]: str(image["file_name"]) for image in content["images"]}
        for annotation in content["annotations"]:
            said[annotation["image_id"]][annotation["id"]] = str(annotation["caption"])
        chosen = [(name, coco_caption(image, said[image])) for image, name in files.items() if said[image]]
    except (KeyError, TypeError):
        raise ValueError(
            f"--prompts {path}: no COCO captions (it needs images with id and file_name, and annotations with image_id, id "
            "and caption); one prompt a line goes into a .jsonl"
        ) from None
    for name, caption in sorted(chosen, key=lambda pair: pair[0]):
        yield 0, {"text": " ".join(caption.split()), "reference": name}


def coco_caption(image: int, captions: dict[int, str]) -> str:
    """One of an image's captions, by rule: in the order of their ids, the one at SHA-256("image id") modulo their number.

    The choice depends on nothing but the image, so every subset of COCO gives the same prompt for it.
    """
    digest = int.from_bytes(hashlib.sha256(str(image).encode()).digest()[:4], "big")
    return captions[sorted(captions)[digest % len(captions)]]
