"""Image files with what is known of each: what generating makes, what a folder on disk is, what scoring takes.

A row of the table is an image:

    file            relative to the set's root, or absolute
    prompt_id       which prompt; images of one prompt are not independent of each other
    prompt, seed    as far as they are known, else missing
    category        "" where there is none; challenge and reference only where the prompt file has them
    condition       in words, what was different about how it was made: "w = 2, steps = 8"; "" where nothing varies

and a column for each axis that varies (guidance_scale, steps, scheduler, model, wording, or any name), from whose values
the words of `condition` are made. Nothing here knows what made an image.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .condition import condition_label
from .run_folder import read_table

PAIR = ["prompt_id", "seed"]  # what an image shares with its twin under another condition
FIRST = ["prompt_id", "prompt", "category", "seed"]  # columns before the axes
OPTIONAL = ("challenge", "reference")


@dataclass(frozen=True)
class ImageSet:
    """See above. `axes` are the columns that vary, in the order in which conditions are told apart."""

    root: Path
    table: pd.DataFrame
    axes: tuple[str, ...] = ()
    named_by_content: bool = False  # a file's name tells its prompt, seed and settings: another image has another name

    @classmethod
    def of_rows(
        cls, root: Path, rows: Iterable[Mapping[str, Any]], axes: Sequence[str] = (), named_by_content: bool = False
    ) -> ImageSet:
        """From a mapping an image, `file` in each and all else as far as it is known. ValueError where there is none."""
        table = pd.DataFrame(list(rows))
        if not len(table):
            raise ValueError(f"{root} holds no image to score")
        defaults: dict[str, Any] = {"prompt_id": range(len(table)), "prompt": None, "category": "", "seed": None}
        for name, value in defaults.items():
            if name not in table:
                table[name] = value
        table = table.drop(columns=[name for name in OPTIONAL if name in table and not any(table[name])])
        for axis in axes:
            if table[axis].isna().any():  # a set that was joined with others lacks it
                table[axis] = table[axis].astype(object).where(table[axis].notna(), "none")
        table["condition"] = [condition_label(dict(zip(axes, values))) for values in _tuples(table, axes)]
        more = [name for name in table if name not in (*FIRST, *axes, "file", *OPTIONAL, "condition")]
        kept = [name for name in OPTIONAL if name in table]
        return cls(root, table[[*FIRST, *axes, *more, "file", *kept, "condition"]], tuple(axes), named_by_content)

    @classmethod
    def read(cls, run: Path, axes: Sequence[str] | None = None) -> ImageSet:
        """The images of a run folder by its images.csv, its scores among the columns; axes as run.json has them.

        ValueError where the folder holds no such table.
        """
        table = read_table(run / "images.csv", ("file", "prompt_id"), ("prompt_id", "seed"))
        if not all(isinstance(file, str) for file in table["file"]):
            raise ValueError(f"{run} is no finished run: images.csv has a row without its file")
        table["category"] = table["category"].astype(object).fillna("") if "category" in table else ""
        if axes is None:
            axes = [name for name in ("guidance_scale",) if name in table]
        if "condition" not in table:
            table["condition"] = [condition_label(dict(zip(axes, values))) for values in _tuples(table, axes)]
        table["condition"] = table["condition"].astype(object).fillna("")
        return cls(run, table, tuple(axes), named_by_content=True)

    @classmethod
    def joined(cls, sets: Mapping[str, ImageSet], axis: str) -> ImageSet:
        """Several sets as one, the name of each its value on a new axis; files are then by absolute path."""
        rows = []
        for name, images in sets.items():
            table = images.table.assign(file=[str(path.absolute()) for path in images.paths])
            rows += [{axis: name} | row for row in table.drop(columns="condition").to_dict("records")]
        axes = [axis, *dict.fromkeys(inner for images in sets.values() for inner in images.axes)]
        first = next(iter(sets.values()))
        return cls.of_rows(first.root, rows, axes)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def paths(self) -> list[Path]:
        """Where the images are."""
        return [self.root / file for file in self.table["file"]]

    @property
    def captions(self) -> list[str]:
        """A prompt an image, "" where none is known."""
        return ["" if pd.isna(prompt) else str(prompt) for prompt in self.table["prompt"]]

    @property
    def keys(self) -> list[str]:
        """What tells an image and its caption from any other, for what was extracted of it: its name where that is enough,
        else also size, time of change and a hash of the caption."""
        if self.named_by_content:
            return [path.name for path in self.paths]
        return [_key(file, path, text) for file, path, text in zip(self.table["file"], self.paths, self.captions)]

    @functools.cached_property
    def conditions(self) -> list[str]:
        """The conditions that there are: numbers rise, words as they first came, axis by axis."""
        known = self.table.drop_duplicates("condition")
        orders = [_order(known[axis]) for axis in self.axes]
        ranks = [tuple(order[value] for order, value in zip(orders, values)) for values in _tuples(known, self.axes)]
        return [label for _, label in sorted(zip(ranks, known["condition"]), key=lambda pair: pair[0])]

    def values(self, condition: str) -> dict[str, Any]:
        """A condition's value on each axis."""
        return dict(zip(self.axes, self._values[condition]))

    @functools.cached_property
    def _values(self) -> dict[str, tuple]:
        known = self.table.drop_duplicates("condition")
        return dict(zip(known["condition"], _tuples(known, self.axes)))

    def under(self, condition: str) -> np.ndarray:
        """Which images (len(self),) were made under a condition."""
        return (self.table["condition"] == condition).to_numpy()

    def part(self, chosen: np.ndarray | slice | Sequence[int]) -> ImageSet:
        """Those of a mask (len(self),), of a slice, or of places in their order."""
        return replace(self, table=self.table.iloc[chosen].reset_index(drop=True))

    def with_scores(self, scores: pd.DataFrame) -> ImageSet:
        """With more columns, a row an image in the set's order."""
        return replace(self, table=self.table.join(scores.set_axis(self.table.index)))


def _tuples(table: pd.DataFrame, axes: Sequence[str]) -> list[tuple]:
    return list(zip(*(table[axis] for axis in axes))) if axes else [()] * len(table)


def _order(values: pd.Series) -> dict[Any, int]:
    """Each value's place: numbers by size, all else by first appearance."""
    distinct = list(dict.fromkeys(values))
    return {value: rank for rank, value in enumerate(sorted(distinct) if _numbers(distinct) else distinct)}


def _numbers(values: Sequence[object]) -> bool:
    return all(isinstance(value, int | float | np.number) and value == value for value in values)


def _key(file: str, path: Path, caption: str) -> str:
    status, said = path.stat(), hashlib.sha256(caption.encode()).hexdigest()[:8]
    return f"{file}|{status.st_size}|{status.st_mtime_ns}|{said}"
