"""Do the intervals hold what they promise? Every estimator of the tables, simulated where the truth is known.

    python -m evaluation.calibration                       all of it: about a quarter of an hour on one core
    python -m evaluation.calibration --only frechet        the cases whose names hold a word
    python -m evaluation.calibration --quick               few draws of the smallest and a middle size: under a minute
    python -m evaluation.calibration --out runs/calibration    its table is kept, and going on takes up where it stopped

4 to 96 prompts, 1 and 4 images each. The bar: an interval that is printed holds the truth in 92 % of draws or more, from
24 prompts on in 98.5 % or less, and where nothing differs at most 5 % say it does; each within three Monte-Carlo errors (too
wide: two), for hundreds of rows are looked at.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ldm_core.files import write_whole

from . import command
from .calibrations import distances, means
from .calibrations.trial import Case, simulate
from .report.tables import markdown
from .run_folder import write_table

PROMPTS, IMAGES = (4, 8, 24, 48, 96), (1, 4)
QUICK_PROMPTS, QUICK_PART = (8, 24), 10  # a tenth of the draws
LEAST, MOST, MOST_FROM, MOST_FALSE = 92.0, 98.5, 24, 5.0
CHANCE, CHANCE_OF_WIDTH = 3, 2  # Monte-Carlo errors; three above 98.5 % would often be more than 100
MATTERS = 50.0  # of the draws print an interval, in %: below, those that do are a chosen few
KEY = ["case", "prompts", "images", "draws"]


def all_cases() -> list[Case]:
    """Every estimator of the tables."""
    return [*means.CASES, *distances.cases()]


def calibrate(
    cases: Sequence[Case], prompts: Sequence[int] = PROMPTS, part: int = 1, file: Path | None = None
) -> pd.DataFrame:
    """A row for each case, size and kind of estimate (columns: trial.summary); what `file` holds already is not run again."""
    table = pd.read_csv(file) if file is not None and file.exists() else pd.DataFrame(columns=KEY)
    cells = [(case, p, k, max(case.draws // part, 2)) for case in cases for p in prompts for k in IMAGES]
    with tqdm(total=sum(cell[3] for cell in cells), unit="draw", mininterval=2, smoothing=0) as bar:
        for case, p, k, draws in cells:
            bar.set_description(f"{case.name}, {p} x {k}")
            done = (table[KEY] == [case.name, p, k, draws]).all(axis=1) if len(table) else []
            if not any(done):
                rows = pd.DataFrame(simulate(case, p, k, draws, lambda _: bar.update()))
                table = pd.concat([table, rows], ignore_index=True) if len(table) else rows
                if file is not None:
                    write_table(file, table)
            else:
                bar.update(draws)
    names = {case.name: place for place, case in enumerate(cases)}
    chosen = table[table["case"].isin(names)].copy()
    chosen["misses"] = chosen.apply(misses, axis=1)
    order = chosen["case"].map(names)
    return (
        chosen.assign(order=order)
        .sort_values(["order", "estimate", "prompts", "images"], kind="stable")
        .drop(columns="order")
    )


def misses(row: pd.Series) -> str:
    """In words, where a row misses the bar by more than chance; "" where it does not."""
    found, intervals = [], row["draws"] * row["printed"] / 100
    if row["printed"] >= MATTERS:
        if row["coverage"] < LEAST - CHANCE * _noise(LEAST, intervals):
            found.append("holds too seldom")
        if row["prompts"] >= MOST_FROM and row["coverage"] > MOST + CHANCE_OF_WIDTH * _noise(MOST, intervals):
            found.append("wider than it need be")
    if pd.notna(row["false"]) and row["false"] > MOST_FALSE + CHANCE * _noise(MOST_FALSE, row["draws"]):
        found.append("false verdicts")
    return ", ".join(found)


def _noise(percent: float, draws: float) -> float:
    """The standard error of a percentage over so many draws."""
    return (percent * (100 - percent) / draws) ** 0.5


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table to look at: a row for each case, kind and number of images, the numbers of prompts side by side.

    In a cell: coverage in % (of what share of draws, where not all, print an interval), bias in standard deviations, error
    over true spread, and false verdicts in % where nothing differs.
    """
    cells = table.assign(cell=[_cell(row) for _, row in table.iterrows()], order=range(len(table)))
    wide = cells.pivot(index=["case", "estimate", "images"], columns="prompts", values="cell").fillna("")
    keys = cells.groupby(["case", "estimate", "images"])["order"].min().sort_values().index
    return wide.loc[keys].rename(columns=lambda count: f"{count} prompts").reset_index().rename_axis(None, axis=1)


def _cell(row: pd.Series) -> str:
    if not row["printed"]:
        return "none printed"
    text = f"{row['coverage']:.1f}" + ("" if row["printed"] > 99.5 else f" (of {row['printed']:.0f} %)")
    text += f", {row['bias']:+.2f}, {row['error']:.2f}"
    text += f", false {row['false']:.1f}" if pd.notna(row["false"]) else ""
    return text + (" **!**" if row["misses"] else "")


def main(argv: list[str] | None = None) -> int:
    """0 when every row is within the bar, 1 when not; 2 for a wrong option."""
    parser = command.parser("evaluation.calibration", __doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the draws at 8 and 24 prompts")
    parser.add_argument("--only", metavar="NAME", help="cases whose names hold this")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="for calibration.csv and calibration.md")
    return command.carry_out(parser, argv, work, "stopped; the same command with --out goes on from here")


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    known = all_cases()
    cases = [case for case in known if not arguments.only or arguments.only in case.name]
    if not cases:
        raise ValueError(f"--only {arguments.only!r} is in no case's name; known: {'; '.join(c.name for c in known)}")
    file = None if arguments.out is None else arguments.out / "calibration.csv"
    sizes, part = (QUICK_PROMPTS, QUICK_PART) if arguments.quick else (PROMPTS, 1)
    table = calibrate(cases, sizes, part, file)
    text = markdown(readable(table))
    if file is not None:
        write_whole(file.with_suffix(".md"), text)
    print(text)
    print(outcome(table))
    return 1 if (table["misses"] != "").any() else 0


def outcome(table: pd.DataFrame) -> str:
    """How many rows are within the bar, and a line for each that is not."""
    missed = table[table["misses"] != ""]
    lines = [f"{len(table) - len(missed)} of {len(table)} rows within the bar."]
    for _, row in missed.iterrows():
        where = f"{row['case']}, {row['estimate']}, {row['prompts']} x {row['images']}"
        lines.append(f"  {where}: {row['misses']} ({_cell(row)})")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
