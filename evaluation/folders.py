"""Folders of images that somebody already has, as image sets; several of them side by side, as conditions of one set."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ldm_core.data.photos import open_photo, photo_files

from .captions import Captions, by_prompt_file, by_prompts, find_captions
from .detectors.feature_cache import FLAT
from .image_set import FIRST, OPTIONAL, PAIR, ImageSet
from .prompts import Prompt
from .run_facts import FILE, RunFacts

AXIS = "images"  # on which several folders differ
TEXTS = ("category", "challenge")  # "" where an image has none
COLUMNS = (*FIRST, *OPTIONAL, "file", "condition")


@dataclass(frozen=True)
class Folder:
    """The images of a folder, and in words how their captions were found."""

    images: ImageSet
    captions: str


def read_folder(
    folder: Path, prompts: Path | Sequence[Prompt] | None = None, captions: str = "auto", pairing: str = "auto"
) -> Folder:
    """A folder, or a run's folder by its images.csv. `captions` "none" looks for none. ValueError where there is no image."""
    if (folder / FILE).is_file() and (folder / "images.csv").is_file() and prompts is None:
        return _read_run(folder)
    files = [path.relative_to(folder).as_posix() for path in photo_files(folder)]
    found = _captions(folder, files, prompts, captions, pairing)
    known = [found.rows.get(file, {}) for file in files]
    blank: dict[str, Any] = {"prompt": None, "seed": None} | {
        name: "" for row in known for name in row if name in TEXTS
    }
    rows = [blank | {"file": file, "stem": _stem(file)} | row for file, row in zip(files, known)]
    return Folder(ImageSet.of_rows(folder, rows), found.words + _uncaptioned(found, files))


def _captions(
    folder: Path, files: Sequence[str], prompts: Path | Sequence[Prompt] | None, captions: str, pairing: str
) -> Captions:
    if captions not in ("auto", "none"):
        raise ValueError(f"--captions must be auto or none, got {captions!r}")
    if isinstance(prompts, Path):
        return by_prompt_file(prompts, files, pairing)
    if prompts is not None:
        return by_prompts(prompts, files, pairing)
    return find_captions(folder, files) if captions == "auto" else Captions()


def _uncaptioned(found: Captions, files: Sequence[str]) -> str:
    lacking = [file for file in files if file not in found.rows]
    return f"; {len(lacking)} of {len(files)} images have none, {lacking[0]} first" if found.rows and lacking else ""


def _read_run(folder: Path) -> Folder:
    images = ImageSet.read(folder, RunFacts.read(folder).axes)
    kept = [name for name in images.table if name in (*COLUMNS, *images.axes, "guidance_scale")]  # not its scores
    return Folder(replace(images, table=images.table[kept]), f"those of the run {folder.name}")


@dataclass(frozen=True)
class Examined:
    """The images of a set that can be read; the files of those that cannot, and of those of one colour all over."""

    images: ImageSet
    unreadable: list[str]
    flat: list[str]


def examined(images: ImageSet) -> Examined:
    """Every image looked at once. ValueError where none can be read."""
    with ThreadPoolExecutor(4) as readers:
        spans = np.array(list(readers.map(_span, images.paths)))
    names, sound = np.array([f"{path.parent.name}/{path.name}" for path in images.paths]), spans >= 0
    if not sound.any():
        raise ValueError(f"no image can be read, {names[0]} to begin with")
    return Examined(images.part(sound), names[~sound].tolist(), names[sound & (spans <= FLAT)].tolist())


def _span(path: Path) -> int:
    """Grey levels between the lightest and the darkest pixel; -1 where the image cannot be read."""
    try:
        return int(np.ptp(np.asarray(open_photo(path)), axis=(0, 1)).max())
    except ValueError:
        return -1


def side_by_side(sets: Mapping[str, ImageSet]) -> ImageSet:
    """Sets as one, files by absolute path, images of one prompt by one `prompt_id`; several differ on the axis `images`.

    Images are twins where prompt and seed agree, if every image has both; else where their names below their folders do:
    the images of a prompt are then numbered by name, the same in every set, and the number stands as their seed. Where
    neither is so there is no seed, and nothing to pair by.
    """
    rows = [row | {AXIS: label} for name, images in sets.items() for label, row in _labelled(name, images)]
    alone = next(iter(sets.values())) if len(sets) == 1 else None
    ids: dict[str, int] = {}
    for row in rows:
        row["prompt_id"] = ids.setdefault(row["prompt"] or f"\0{row['stem']}", len(ids))
    if any(row["seed"] is None for row in rows):
        _number_by_name(rows)
    order = {label: place for place, label in enumerate(dict.fromkeys(row[AXIS] for row in rows))}
    rows.sort(key=lambda row: (order[row[AXIS]], row["prompt_id"], -1 if row["seed"] is None else row["seed"]))
    varies = (alone.axes or ()) if alone is not None else (AXIS,)
    dropped = {"stem", "condition", *(() if varies == (AXIS,) else (AXIS,))}
    kept = [{name: value for name, value in row.items() if name not in dropped} for row in rows]
    root = next(iter(sets.values())).root
    return ImageSet.of_rows(root, kept, varies)


def _labelled(name: str, images: ImageSet) -> list[tuple[str, dict[str, Any]]]:
    """A row an image with what the set is called; each condition of a set that has several is a set of its own."""
    several, found = len(images.conditions) > 1, []
    for row, path in zip(images.table.to_dict("records"), images.paths):
        row["file"] = str(path.absolute())
        row["prompt"] = None if _missing(row["prompt"]) else str(row["prompt"])
        row["seed"] = None if _missing(row["seed"]) else int(row["seed"])
        row["stem"] = row.get("stem") or _stem(path.relative_to(images.root).as_posix())
        found.append((f"{name}, {row['condition']}" if several else name, row))
    return found


def _stem(file: str) -> str:
    """A file's name below its folder without its ending: two folders' images of one such name are twins."""
    return Path(file).with_suffix("").as_posix()


def _missing(value: object) -> bool:
    return value is None or value != value  # NaN


def _number_by_name(rows: list[dict[str, Any]]) -> None:
    """Put the place of its name among those of its prompt in the place of each image's seed, if names are shared at all."""
    holders: dict[str, set[str]] = {}
    names: dict[int, set[str]] = {}
    for row in rows:
        holders.setdefault(row["stem"], set()).add(row[AXIS])
        names.setdefault(row["prompt_id"], set()).add(row["stem"])
    if not any(len(found) > 1 for found in holders.values()):
        return
    places = {prompt: {stem: place for place, stem in enumerate(sorted(found))} for prompt, found in names.items()}
    for row in rows:
        row["seed"] = places[row["prompt_id"]][row["stem"]]


def drawn(images: ImageSet, limit: int | None, shuffle: bool = False, seed: int = 0) -> ImageSet:
    """The images of the first `limit` prompts, or of as many drawn at random by a seed: the same under every condition."""
    ids = sorted(images.table["prompt_id"].unique())
    if limit is None or limit >= len(ids):
        return images
    chosen = random.Random(seed).sample(ids, limit) if shuffle else ids[:limit]
    return images.part(images.table["prompt_id"].isin(chosen).to_numpy())


def twins(images: ImageSet) -> tuple[int, int]:
    """How many images have a twin under every other condition, and of how many under the condition with the fewest."""
    keys = [
        set(images.table[images.under(condition)].dropna(subset=["seed"])[PAIR].itertuples(index=False, name=None))
        for condition in images.conditions
    ]
    return len(set.intersection(*keys)), min(int(images.under(condition).sum()) for condition in images.conditions)
