"""What a study is: a claim with its source, and a function that looks whether it holds here.

A study is a file of this folder with a `STUDY` in it: the command finds it, and there is no list to keep. What takes long to
import (torch, the runner) is imported within its function, so that `--list` and `--help` are instant.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

HOLDS, IN_PART, FAILS = "holds", "holds in part", "does not hold here"
COMPUTED, MEASURED, BOTH = "computed", "measured", "computed and measured"


@dataclass(frozen=True)
class Option:
    """An option of one study: `--NAME`, of the kind that its default is."""

    name: str
    default: int | float | str
    help: str


@dataclass(frozen=True)
class Outcome:
    """What a study found; its texts hold the numbers."""

    verdict: str  # HOLDS, IN_PART or FAILS
    words: str  # the verdict in sentences
    tables: Mapping[str, pd.DataFrame]  # by the name of a file, NAME.csv
    figures: Mapping[str, str] = field(default_factory=dict)  # an <svg> each, as report/charts.py draws it: NAME.svg
    notes: tuple[str, ...] = ()  # what a reader must know before using the numbers

    def __post_init__(self) -> None:
        if self.verdict not in (HOLDS, IN_PART, FAILS):
            raise ValueError(f"verdict must be one of {HOLDS!r}, {IN_PART!r}, {FAILS!r}, got {self.verdict!r}")


@dataclass(frozen=True)
class Study:
    """A claim, where it was made, and how it is looked at.

    run     its options as parsed, and a folder of its own that is kept between calls -> what it found. Long parts leave their
            work in that folder and go on from there, so that the same command resumes a stopped study
    needs   the option without which it cannot be run, if any: data that do not ship
    """

    name: str  # what it is asked for by, and its file's
    claim: str
    source: str  # which text or paper, and where in it
    kind: str  # COMPUTED, MEASURED or BOTH
    minutes: float  # at its own options, on two cores
    run: Callable[[argparse.Namespace, Path], Outcome]
    options: tuple[Option, ...] = ()
    needs: str = ""

    def __post_init__(self) -> None:
        if self.needs and self.needs not in {option.name for option in self.options}:
            raise ValueError(f"needs must be one of the study's options, got {self.needs!r}")

    @property
    def lacking(self) -> str:
        """In words, what must be given to run it, and how; "" where nothing must."""
        asked = {option.name: option.help for option in self.options}
        if not self.needs:
            return ""
        command = f"python -m evaluation.study {self.name} --{self.needs} FOLDER"
        return f"it needs --{self.needs}, {asked[self.needs]}: {command}"


def all_studies() -> dict[str, Study]:
    """Every study of this folder by its name, in the alphabet's order."""
    folder = __package__ or ""
    names = sorted(found.name for found in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = [importlib.import_module(f"{folder}.{name}") for name in names]
    studies = [module.STUDY for module in modules if hasattr(module, "STUDY")]
    return {study.name: study for study in studies}


def that_fit(studies: Mapping[str, Study], minutes: float) -> list[Study]:
    """The shortest studies that take so many minutes together, the quickest first."""
    chosen: list[Study] = []
    for study in sorted(studies.values(), key=lambda one: one.minutes):
        if sum(one.minutes for one in chosen) + study.minutes > minutes:
            break
        chosen.append(study)
    return chosen
