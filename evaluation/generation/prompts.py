"""Prompt sets from files, known by their names' endings:

    .txt            a prompt a line; `#` opens a comment, `# category: NAME` a category
    .csv .jsonl     a column `prompt` (or `caption`); `category`, `challenge`, `seed` where they are there
    .tsv            the same with tabs, where quotes are plain letters: PartiPrompts ships so
    .json           COCO captions as COCO ships them: one caption an image, see `coco_caption`; file names are kept

GenEval's `tag` is a category. Blank lines are passed over, repeats kept (each gets a seed of its own), a byte-order mark
and Windows line ends understood. Errors name the file and the line.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """The prompts of a file, the first `limit` of them."""
    readers: dict[str, Callable[[Path, str], Iterator[dict]]]
    readers = {".txt": _from_txt, ".csv": _from_csv, ".tsv": _from_tsv, ".jsonl": _from_jsonl, ".json": _from_coco}
    if path.suffix.lower() not in readers:
        raise ValueError(f"--prompts {path}: the name must end in {', '.join(readers)}")
    rows = [row for row in readers[path.suffix.lower()](path, _text(path)) if row["text"]]
    if not rows:
        raise ValueError(f"--prompts {path} holds no prompt")
    return [Prompt(index, **row) for index, row in enumerate(rows[:limit])]


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


def _from_txt(_path: Path, text: str) -> Iterator[dict]:
    category = ""
    for line in text.splitlines():
        if named := re.fullmatch(r"#\s*category:\s*(.*)", line.strip(), re.IGNORECASE):
            category = named[1].strip()
        elif line.strip() and not line.lstrip().startswith("#"):
            yield {"text": line.strip(), "category": category}


def _from_csv(path: Path, text: str, **form: Any) -> Iterator[dict]:
    reader = csv.DictReader(io.StringIO(text, newline=""), **form)
    columns = {name.lower(): name for name in reader.fieldnames or []}
    if not set(TEXT_COLUMNS) & set(columns):
        raise ValueError(f"--prompts {path}, line 1: no column 'prompt' among {', '.join(columns) or 'none'}")
    for row in reader:
        yield _row(path, reader.line_num, {name: row[column] for name, column in columns.items()})


def _from_tsv(path: Path, text: str) -> Iterator[dict]:
    yield from _from_csv(path, text, delimiter="\t", quoting=csv.QUOTE_NONE)


def _from_jsonl(path: Path, text: str) -> Iterator[dict]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"--prompts {path}, line {number}: no JSON ({error.msg})") from None
        if not isinstance(row, dict) or not isinstance(_first(row, TEXT_COLUMNS), str):
            raise ValueError(f"--prompts {path}, line {number}: no text 'prompt'")
        yield _row(path, number, row)


def _row(path: Path, line: int, row: dict) -> dict:
    """What a table's row says, its seed checked."""
    seed = row.get("seed")
    try:
        seed = None if seed in (None, "") else int(seed)
    except (TypeError, ValueError):
        raise ValueError(f"--prompts {path}, line {line}: seed {seed!r} is no integer") from None
    if seed is not None and not 0 <= seed < 2**32:
        raise ValueError(f"--prompts {path}, line {line}: seed {seed} is not from 0 to {2**32 - 1}")
    return {
        "text": (_first(row, TEXT_COLUMNS) or "").strip(),
        "category": str(_first(row, CATEGORY_COLUMNS) or ""),
        "seed": seed,
        "challenge": str(row.get("challenge") or ""),
    }


def _first(row: dict, names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _from_coco(path: Path, text: str) -> Iterator[dict]:
    try:
        content = json.loads(text)
        files = {image["id"]: image["file_name"] for image in content["images"]}
        said: defaultdict[int, dict[int, str]] = defaultdict(dict)
        for annotation in content["annotations"]:
            said[annotation["image_id"]][annotation["id"]] = str(annotation["caption"])
    except json.JSONDecodeError as error:
        raise ValueError(f"--prompts {path}, line {error.lineno}: no JSON ({error.msg})") from None
    except (KeyError, TypeError):
        raise ValueError(
            f"--prompts {path}: no COCO captions (it needs images with id and file_name, and annotations with image_id, id "
            "and caption); one prompt a line goes into a .jsonl"
        ) from None
    for image, name in sorted(files.items(), key=lambda pair: pair[1]):
        if said[image]:
            yield {"text": " ".join(coco_caption(image, said[image]).split()), "reference": name}


def coco_caption(image: int, captions: dict[int, str]) -> str:
    """One of an image's captions, by rule: in the order of their ids, the one at SHA-256("image id") modulo their number.

    The choice depends on nothing but the image, so every subset of COCO gives the same prompt for it.
    """
    digest = int.from_bytes(hashlib.sha256(str(image).encode()).digest()[:4], "big")
    return captions[sorted(captions)[digest % len(captions)]]
