"""What is said of images that lie in a folder: their prompts, seeds and categories, by the layouts that people use.

    metadata.jsonl, captions.csv, captions.tsv   in the folder: a column with the file's name, one with its caption
    captions_*.json                              COCO's, in the folder, below `annotations` or beside the folder
    00000/metadata.jsonl                         GenEval's: one prompt for the images of its folder
    a red house.txt beside a red house.png       each image's own text file
    a red house at night.png                     names of words with blanks between them

A prompt file given beside the folder pairs with the images by file name, by number or by order: see `by_prompt_file`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .prompts import Prompt, load_prompts
from .text_tables import check_texts, csv_rows, first_of, json_rows, read_seed, read_text, tsv_rows, wrong

TABLES = ("metadata.jsonl", "metadata.csv", "captions.jsonl", "captions.csv", "captions.tsv")
FILE_COLUMNS = ("file_name", "filename", "file", "image", "path")
TEXT_COLUMNS = ("prompt", "caption", "text")
CATEGORY_COLUMNS = ("category", "tag")
MAX_SEED = 2**64 - 1  # of pictures that other programs made
PAIRINGS = ("auto", "number", "order")
Row = dict[str, Any]  # prompt, seed, category, challenge: what is known of an image


@dataclass(frozen=True)
class Captions:
    """A row for each image of which something is known, by its file relative to the folder; and how, in words."""

    rows: Mapping[str, Row] = field(default_factory=dict)
    words: str = "none"


def find_captions(folder: Path, files: Sequence[str]) -> Captions:
    """The captions that come with a folder, by the first of the layouts above that fits; none where none does."""
    for reads in (_by_table, _by_coco, _by_geneval, _by_texts, _by_names):
        found = reads(folder, files)
        if found.rows:
            return found
    return Captions()


def by_prompt_file(path: Path, files: Sequence[str], pairing: str = "auto") -> Captions:
    """A prompt file's prompts for the images of a folder: by file name where it names files (COCO's captions, or a column
    file_name); else by number, "00000.png", "00012_3.png" and "00012/samples/0003.png" being of the first and the 13th
    prompt; else by order, the same count of images for each prompt. ValueError where neither fits.
    """
    if path.suffix.lower() != ".json" and (rows := _table(path, files)):
        return Captions(rows, f"{path.name}, by file name")
    return by_prompts(load_prompts(path), files, pairing, path.name)


def by_prompts(
    prompts: Sequence[Prompt], files: Sequence[str], pairing: str = "auto", name: str = "prompts"
) -> Captions:
    """Prompts for the images of a folder, as `by_prompt_file` says."""
    if pairing not in PAIRINGS:
        raise ValueError(f"--pair must be one of {', '.join(PAIRINGS)}, got {pairing!r}")
    if pairing == "auto" and any(prompt.reference for prompt in prompts):
        rows = _by_reference(prompts, files)
        if not rows:
            raise ValueError(f"{name} names files, {prompts[0].reference} first, and none of the images is called so")
        return Captions(rows, f"{name}, by the image's id")
    numbers = {file: _number(file) for file in files}
    first = _first_number(list(numbers.values()), len(prompts))
    if first is not None and pairing != "order":
        chosen = {file: prompts[int(number or 0) - first] for file, number in numbers.items()}
        how = "by the number in the name" + (", the first prompt being 1" if first else "")
    elif pairing == "number":
        raise ValueError(f"--pair number: not every image is called by a number below {len(prompts)}, {files[0]} first")
    else:
        chosen, how = _in_order(prompts, files, name), "by order"
    file = next(iter(chosen))
    return Captions(
        {one: _of_prompt(prompt) for one, prompt in chosen.items()}, f"{name}, {how}: {file} is {chosen[file].text!r}"
    )


def natural(file: str) -> list:
    """A key to sort names by as people do: 2 before 10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", file)]


def _in_order(prompts: Sequence[Prompt], files: Sequence[str], name: str) -> dict[str, Prompt]:
    each, rest = divmod(len(files), len(prompts))
    if rest or not each:
        raise ValueError(
            f"{name} holds {len(prompts)} prompts and there are {len(files)} images: name each by its prompt's number, 0 "
            "first (00000.png), give a table with a column file_name, or as many images for each prompt"
        )
    return {file: prompts[index // each] for index, file in enumerate(sorted(files, key=natural))}


def _number(file: str) -> int | None:
    """The prompt's number in "00012.png", "00012_3.png", "image12.png" or "00012/samples/0003.png"."""
    first = Path(file).parts[0]
    stem = first if first != file else Path(file).stem
    found = re.match(r"(\d+)", stem) or re.fullmatch(r"\D*(\d+)", stem)
    return int(found[1]) if found else None


def _first_number(numbers: Sequence[int | None], count: int) -> int | None:
    """What the first prompt is called, 0 or 1; None where the numbers are no prompts' places."""
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers):
        return None
    if max(known) < count:
        return 0
    return 1 if max(known) == count and min(known) >= 1 else None


def _by_reference(prompts: Sequence[Prompt], files: Sequence[str]) -> dict[str, Row]:
    """By the name of the file that a prompt describes, or by the number at its end: COCO's image id."""
    named = {Path(prompt.reference).stem: prompt for prompt in prompts}
    ids = {_id(stem): prompt for stem, prompt in named.items()}
    found = {file: named.get(Path(file).stem) or ids.get(_id(Path(file).stem)) for file in files}
    return {file: _of_prompt(prompt) for file, prompt in found.items() if prompt is not None}


def _id(stem: str) -> int | str:
    found = re.search(r"(\d+)$", stem)
    return int(found[1]) if found else stem


def _of_prompt(prompt: Prompt) -> Row:
    row = {"prompt": prompt.text, "seed": prompt.seed, "category": prompt.category, "challenge": prompt.challenge}
    return {name: value for name, value in row.items() if value not in (None, "")}


def _by_table(folder: Path, files: Sequence[str]) -> Captions:
    for name in TABLES:
        if (folder / name).is_file():
            rows = _table(folder / name, files)
            if not rows:
                columns = f"a column {' or '.join(FILE_COLUMNS)} with their names, and {' or '.join(TEXT_COLUMNS)}"
                raise ValueError(f"{folder / name} says nothing of the images beside it: it needs {columns}")
            return Captions(rows, name)
    return Captions()


def _table(path: Path, files: Sequence[str]) -> dict[str, Row]:
    """What a table says of files, by their path, their name or their name without its ending; empty where it names none."""
    known = {}
    for number, row in _lines(path):
        file, text = first_of(row, FILE_COLUMNS), first_of(row, TEXT_COLUMNS)
        if file and text is not None:
            category, seed = (
                str(first_of(row, CATEGORY_COLUMNS) or ""),
                read_seed(str(path), number, row.get("seed"), MAX_SEED),
            )
            known[str(file)] = {"prompt": _flat(text), "seed": seed, "category": category}
    by_stem = {Path(file).stem: row for file, row in known.items()}
    found = {file: known.get(file) or known.get(Path(file).name) or by_stem.get(Path(file).stem) for file in files}
    return {file: row for file, row in found.items() if row}


def _lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a .csv, .tsv or .jsonl file by the names of its columns, in lower case; none of any other."""
    readers = {".csv": csv_rows, ".tsv": tsv_rows, ".jsonl": json_rows}
    if path.suffix.lower() not in readers:
        return
    for number, row in readers[path.suffix.lower()](str(path), read_text(path, str(path))):
        if not isinstance(row, dict):
            raise wrong(str(path), number, "no JSON object")
        check_texts(str(path), number, row)
        yield number, {name.strip().lower(): value for name, value in row.items()}


def _flat(text: object) -> str:
    return " ".join(str(text).split())


def _by_coco(folder: Path, files: Sequence[str]) -> Captions:
    """COCO's captions as they ship: annotations/captions_val2017.json beside the folder val2017."""
    below = [*sorted(folder.glob("captions*.json")), *sorted(folder.glob("annotations/captions*.json"))]
    beside = [*folder.parent.glob(f"annotations/captions_{folder.name}*.json")]
    beside += folder.parent.glob(f"captions_{folder.name}*.json")
    rows: dict[str, Row] = {}
    paths = below or sorted(beside)
    for path in paths:
        rows |= _by_reference(load_prompts(path), files)
    return Captions(rows, ", ".join(path.name for path in paths))


def _by_geneval(folder: Path, files: Sequence[str]) -> Captions:
    """A metadata.jsonl in each folder of the first level, of one prompt."""
    said: dict[str, Row | None] = {}
    for name in dict.fromkeys(Path(file).parts[0] for file in files if len(Path(file).parts) > 1):
        path = folder / name / "metadata.jsonl"
        _, row = next(_lines(path), (0, {})) if path.is_file() else (0, {})
        text = first_of(row, TEXT_COLUMNS)
        said[name] = {"prompt": _flat(text), "category": str(first_of(row, CATEGORY_COLUMNS) or "")} if text else None
    found = {file: said.get(Path(file).parts[0]) for file in files}
    return Captions({file: row for file, row in found.items() if row}, "metadata.jsonl of each prompt's folder")


def _by_texts(folder: Path, files: Sequence[str]) -> Captions:
    texts = {file: (folder / file).with_suffix(".txt") for file in files}
    rows = {file: {"prompt": _flat(read_text(path, str(path)))} for file, path in texts.items() if path.is_file()}
    return Captions({file: row for file, row in rows.items() if row["prompt"]}, "the .txt beside each image")


def _by_names(folder: Path, files: Sequence[str]) -> Captions:
    """Where every name is three words or more with blanks between them; a number at its end, "a red house (2)", is none."""
    texts = {file: re.sub(r"[\s_-]*\(?\d*\)?$", "", Path(file).stem) for file in files}
    if all(len(re.findall(r"[^\W\d_]+", text)) >= 3 and text.count(" ") >= 2 for text in texts.values()):
        return Captions({file: {"prompt": _flat(text)} for file, text in texts.items()}, "the names of the files")
    return Captions()
