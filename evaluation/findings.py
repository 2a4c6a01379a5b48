"""What an evaluation of images has found: its tables as DataFrames, and the report and the files made of them."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ldm_core.files import write_whole

from .paths import portable
from .report import page, tables
from .report.page import Results
from .run_folder import write_table
from .set_facts import SetFacts


@dataclass(frozen=True)
class Evaluation:
    """What was found; `facts` is all that is needed to find it again."""

    summary: pd.DataFrame  # a row per metric and condition: value, n, se, low, high, ...
    images: pd.DataFrame  # a row per image, a column per score; `file` is an absolute path
    differences: pd.DataFrame  # a row per metric and two conditions: difference, error, p, verdict, pairing
    cost: pd.DataFrame
    facts: SetFacts
    axes: tuple[str, ...] = ()
    held: tempfile.TemporaryDirectory | None = field(default=None, repr=False)  # images drawn for it, gone with it

    def report(self, path: str | Path) -> Path:
        """Write the report as one self-contained HTML file, or as Markdown where the name ends in .md; its path."""
        path = Path(path)
        results = self._results(path.parent)
        content = page.markdown(results) if path.suffix == ".md" else page.page(path.parent, results)
        write_whole(path, content)
        return path

    def write(self, folder: str | Path) -> Path:
        """Every table, score.json and both reports into a folder; the path of report.html."""
        folder = Path(folder)
        listed = self.images.assign(file=[portable(file) for file in self.images["file"]])
        for name, table in (("summary", self.summary), ("images", listed), ("differences", self.differences)):
            write_table(folder / f"{name}.csv", table)
        self.facts.write(folder)
        self.report(folder / "report.md")
        return self.report(folder / "report.html")

    def __str__(self) -> str:
        return tables.as_text(self.summary)

    def _results(self, folder: Path) -> Results:
        """For a report in a folder: files as seen from there."""
        files = [Path(os.path.relpath(file, folder)).as_posix() for file in self.images["file"]]
        images = self.images.assign(file=files, prompt=self.images["prompt"].fillna(""))
        return Results(self.summary, images, self.differences, self.cost, self.facts, self.axes)
