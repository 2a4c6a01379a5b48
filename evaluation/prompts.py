"""Prompt sets from files, known by their names' endings:

    .txt            a prompt a line; `#` opens a comment, `# category: NAME` a category
    .csv .jsonl     a column `prompt` (or `caption`); `category`, `challenge`, `seed` where they are there
    .tsv            the same with tabs, where quotes are plain letters: PartiPrompts ships so
    .json           COCO captions as COCO ships them: one caption an image, see `coco_caption`; file names are kept

GenEval's `tag` is a category. Blank lines are passed over, repeats kept (each gets a seed of its own), byte-order marks
(UTF-16's too) and Windows line ends understood. Errors name the file and the line; bounds stand in evaluation/bounds.py.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .bounds import LONGEST_PROMPT, MOST_IMAGES, check_amount
from .text_tables import (
    check_texts,
    csv_rows,
    first_of,
    json_rows,
    lines,
    read_json,
    read_seed,
    read_text,
    tsv_rows,
    wrong,
)

MAX_SEED = 2**32 - 1
TEXT_COLUMNS, CATEGORY_COLUMNS = ("prompt", "caption"), ("category", "tag")
SHIPPED = Path(__file__).parents[1] / "prompts"  # the sets of this repository: beside the packages, installed or not


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
    rows = (_checked(path, *found) for found in readers[path.suffix.lower()](path, read_text(path, _label(path))))
    wanted = itertools.islice((row for row in rows if row["text"]), MOST_IMAGES + 1 if limit is None else limit)
    prompts = [Prompt(index, **row) for index, row in enumerate(wanted)]
    if not prompts:
        raise ValueError(f"--prompts {path} holds no prompt")
    check_amount(len(prompts), 1, 1)
    return prompts


def _checked(path: Path, line: int, row: dict) -> dict:
    """A row whose texts files and tables can hold."""
    check_texts(_label(path), line, row)
    if len(row["text"]) > LONGEST_PROMPT:
        raise wrong(_label(path), line, f"a prompt of {len(row['text'])} characters; {LONGEST_PROMPT} at the most")
    return row


def _label(path: Path) -> str:
    return f"--prompts {path}"


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


def _from_txt(_path: Path, text: str) -> Iterator[tuple[int, dict]]:
    category = ""
    for number, line in lines(text):
        if named := re.fullmatch(r"#\s*category:\s*(.*)", line.strip(), re.IGNORECASE):
            category = named[1].strip()
        elif line.strip() and not line.lstrip().startswith("#"):
            yield number, {"text": line.strip(), "category": category}


def _from_csv(path: Path, text: str) -> Iterator[tuple[int, dict]]:
    return ((line, _row(path, line, row)) for line, row in csv_rows(_label(path), text, TEXT_COLUMNS))


def _from_tsv(path: Path, text: str) -> Iterator[tuple[int, dict]]:
    return ((line, _row(path, line, row)) for line, row in tsv_rows(_label(path), text, TEXT_COLUMNS))


def _from_jsonl(path: Path, text: str) -> Iterator[tuple[int, dict]]:
    for line, row in json_rows(_label(path), text):
        if not isinstance(row, dict) or not isinstance(first_of(row, TEXT_COLUMNS), str):
            raise wrong(_label(path), line, "no text 'prompt'")
        yield line, _row(path, line, row)


def _row(path: Path, line: int, row: dict) -> dict:
    """What a table's row says, its seed checked."""
    return {
        "text": (first_of(row, TEXT_COLUMNS) or "").strip(),
        "category": str(first_of(row, CATEGORY_COLUMNS) or ""),
        "seed": read_seed(_label(path), line, row.get("seed"), MAX_SEED),
        "challenge": str(row.get("challenge") or ""),
    }


def _from_coco(path: Path, text: str) -> Iterator[tuple[int, dict]]:
    content = read_json(_label(path), text)
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
