"""Finished runs of the evaluation as the page shows them: those in one folder that the start names, and nothing outside it."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from evaluation.finished import Finished
from evaluation.report.explorer import prompt_groups
from evaluation.run_facts import FILE

READ = (FILE, "summary.csv", "images.csv")  # of a run's folder, beside its pictures
MOST = 100  # runs offered
KEPT = 4  # runs held in memory
# Of a path, all but its last name; a word before the first slash, as in "and/or", makes it none.
PATH = re.compile(r"(?<![\w./:~])~?(?:/[^\s/,;:'\"]+){2,}")


def without_paths(text: str) -> str:
    """A text in which each absolute path is its last name alone."""
    return PATH.sub(lambda found: PurePath(found[0]).name, text)


@dataclass(frozen=True, eq=False)
class OpenRun:
    """A run that was read. `images` is the table of images.csv with the column `condition`; an image is its place in it."""

    name: str
    run: Finished
    stamp: tuple[float, ...]

    @property
    def images(self) -> pd.DataFrame:
        return self.run.images.table

    @property
    def groups(self) -> dict[str, list[int]]:
        """Prompts by what they have in common: few are one group, of many the best, the worst and some by chance."""
        return {
            name: prompts for name, prompts in prompt_groups(self.images) if name != "all prompts" or len(prompts) <= 24
        }

    def picture(self, image: int) -> Path | None:
        """An image's file; None where there is none within the run's folder."""
        root = self.run.folder.resolve()
        path = (root / str(self.images["file"].iloc[image])).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None

    def scores(self, image: int) -> dict[str, float]:
        """Its values by metric, without those that it has not."""
        row = self.images.iloc[image]
        known = [name for name in self.run.facts.metrics if name in row.index]
        return {
            name: float(row[name]) for name in known if isinstance(row[name], int | float) and row[name] == row[name]
        }


class Runs:
    """The folder that the start names: a run itself, or a folder of them. ValueError in one line where it is neither."""

    def __init__(self, folder: Path):
        self.folder, self.lock = folder.resolve(), threading.Lock()
        self.known: dict[str, OpenRun] = {}
        if not folder.is_dir():
            raise ValueError(
                f"--results (LDM_RESULTS) must be a folder, a run's or one that holds runs; got {str(folder)!r}"
            )
        if not self.names():
            raise ValueError(
                f"--results (LDM_RESULTS) {str(folder)!r} holds no run: neither it nor a folder in it has {FILE}"
            )

    def names(self) -> list[str]:
        """The runs, by their folders' names."""
        if (self.folder / FILE).is_file():
            return [self.folder.name]
        found = sorted(
            path.parent.name for path in self.folder.glob(f"*/{FILE}") if not path.parent.name.startswith(".")
        )
        return found[:MOST]

    def open(self, name: object) -> OpenRun:
        """A run by its name; ValueError in a sentence that holds no path."""
        if not isinstance(name, str) or name not in self.names():
            raise ValueError("There is no such run here any more: choose another.")
        folder = self.folder if (self.folder / FILE).is_file() else self.folder / name
        broken = ValueError(f"The run {name} cannot be shown: it is not finished, or a file of it is damaged.")
        try:
            files = [(folder / part).resolve(strict=True) for part in READ]
            stamp = tuple(file.stat().st_mtime for file in files)
            if not all(file.is_relative_to(self.folder) for file in files):
                raise broken
            with self.lock:
                known = self.known.get(name)
                if known is None or known.stamp != stamp:
                    known = OpenRun(name, Finished.read(folder), stamp)
                    self._keep(known)
            return known
        except Exception:  # noqa: BLE001  # the edge: whatever stands in the files of somebody's run
            raise broken from None

    def _keep(self, run: OpenRun) -> None:
        self.known.pop(run.name, None)
        self.known[run.name] = run
        while len(self.known) > KEPT:
            self.known.pop(next(iter(self.known)))


def plain(value: Any) -> str:
    """A value of a run's files as the page may show it: no path, and no more than a line."""
    text = without_paths("" if value is None or value != value else str(value))
    return text if len(text) <= 400 else f"{text[:399]}…"
