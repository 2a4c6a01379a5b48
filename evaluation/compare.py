"""Finished runs of one prompt set beside each other, each minus the first, image by image where their seeds agree.

    python -m evaluation.compare runs/A runs/B --fail-if-worse scene_accuracy:0.01 --fail-if-worse fd_scenes:0.5
    python -m evaluation.compare runs/A runs/B runs/C

Prints in what the runs differ, then B - A per metric and condition with its error, p and interval (adjusted alike, by Holm
within a metric) and verdict. Runs of other seeds are compared too, with the wider error of samples that are not paired; a
metric that cannot be compared has a row that says why. Exit code 0; 1 where a run is worse than the first by more than a
margin under any condition, its whole interval beyond it (a warning where the images are too few to tell; with --strict a
failure: what passes is then known to lose no more than the margin); 2 where the runs cannot be compared, with the reason.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from . import command
from .catalogue import METRICS, drawn_world, find
from .comparisons import Difference, independent_values
from .finished import Finished, axes_of
from .metrics.differences import COLUMNS, unpaired, with_verdicts
from .metrics.metric import Metric, Row
from .run_folder import write_table
from .statistics import Estimate

SAME = ("prompts_sha256", "prompt_count", "images_per_prompt")
UNPAIRED = "unpaired: the images have other seeds"
FEW = "unpaired: fewer than two prompts have a value in both"


def check_comparable(first: Finished, second: Finished) -> None:
    """The runs must be of one prompt set and of as many images; ValueError names what differs."""
    for key in SAME:
        one, other = getattr(first.facts, key), getattr(second.facts, key)
        if one != other:
            raise ValueError(f"the runs cannot be compared: {key} is {one} and {other}")


def compare(runs: Sequence[Finished]) -> pd.DataFrame:
    """A row per metric, common condition and run after the first: that run - the first one, and both values."""
    first, names = runs[0], run_names(runs)
    for other in runs[1:]:
        check_comparable(first, other)
    matched = {name: matched_conditions(first, other, axes_of(runs)) for name, other in zip(names[1:], runs[1:])}
    rows: list[Row] = []
    for name in dict.fromkeys(name for run in runs for name in run.metrics):
        (metric,) = find([name], drawn_world(first.facts.detectors))
        found: list[tuple[Row, Difference | None]] = []
        for other_name, other in zip(names[1:], runs[1:]):
            found += list(_differences(metric, first, other, matched[other_name], (names[0], other_name)))
        sound = [(row, difference) for row, difference in found if difference is not None]
        rows += with_verdicts(sound, metric, [(row["baseline"], row["run"]) for row, _ in sound])
        rows += [row for row, difference in found if difference is None]
    columns = ["metric", "scale", *COLUMNS, "condition", "baseline", "run", "value_a", "value_b", "note"]
    table = pd.DataFrame(rows, columns=columns)
    if not table["difference"].notna().any():
        raise ValueError(
            f"the runs cannot be compared: {'; '.join(dict.fromkeys(table['note'])) or 'no metric at all'}"
        )
    return table


def _differences(
    metric: Metric, first: Finished, other: Finished, matched: dict[str, str], names: tuple[str, str]
) -> Iterator[tuple[Row, Difference | None]]:
    """A metric's rows and differences for one run beside the first; no difference but the reason where there is none."""
    known: Row = {"metric": metric.name, "baseline": names[0], "run": names[1]}
    if why := obstacle(metric, first, other):
        yield known | {"note": f"not compared: {why}"}, None
    elif not metric.of_generated:
        ours, theirs = (_of_summary(run, metric.name) for run in (first, other))
        sides = {"value_a": ours.value, "value_b": theirs.value, "note": "unpaired: values per image are not kept"}
        yield known | sides, independent_values(ours, theirs)
    else:
        evidence, others = first.evidence(metric), other.evidence(metric)
        for a, b in matched.items():
            where = {"scale": first.images.values(a).get("guidance_scale"), "condition": a}
            one, two = metric.sample(evidence, a), metric.sample(others, b)
            if one is None or two is None:
                yield known | where | {"note": "not compared: too few prompts for an error"}, None
                continue
            paired = metric.between(evidence, a, others, b) if first.pairs(a) == other.pairs(b) else None
            difference = paired if paired is not None else unpaired(one, two)
            note = "" if paired is not None else UNPAIRED if first.pairs(a) != other.pairs(b) else FEW
            yield known | where | {"value_a": one.value, "value_b": two.value, "note": note}, difference


def obstacle(metric: Metric, first: Finished, other: Finished) -> str | None:
    """Why two runs cannot be compared by a metric."""
    lacking = [run.folder.name for run in (first, other) if metric.name not in run.metrics]
    if lacking:
        return f"{' and '.join(lacking)} {'has' if len(lacking) == 1 else 'have'} no value of it"
    name = metric.detector
    for words, one, two in (
        ("detector", first.facts.detectors.get(name), other.facts.detectors.get(name)),
        ("reference", first.facts.references.get(name), other.facts.references.get(name)),
    ):
        own = name == "autoencoder"  # each model's own is what is measured
        if one != two and not own and (words == "detector" or metric.needs_reference):
            return f"another {words}: {_described(one)} there, {_described(two)} here"
    return None


def _described(facts: dict[str, Any] | None) -> str:
    shown = (facts or {}).get("words") or (facts or {}).get("name") or "none"
    more = [str((facts or {})[key])[:12] for key in ("sha256", "resize") if key in (facts or {})]
    return f"{shown} ({', '.join(more)})" if more else str(shown)


def _of_summary(run: Finished, name: str) -> Estimate:
    row = run.summary[run.summary["metric"] == name].iloc[0]
    return Estimate(float(row["value"]), int(row["n"]), None if pd.isna(row["se"]) else float(row["se"]))


def matched_conditions(first: Finished, other: Finished, axes: Sequence[str]) -> dict[str, str]:
    """The conditions of the first run, each with the other's that agrees with it on every axis; where both runs have but
    one, these two. ValueError where none agree."""
    one, two = first.places(axes), other.places(axes)
    found = {label: two[place] for place, label in one.items() if place in two}
    if not found and len(one) == len(two) == 1:
        found = dict(zip(one.values(), two.values()))
    if not found:
        raise ValueError(
            f"the runs cannot be compared: they have no condition in common ({'; '.join(first.images.conditions)} in "
            f"{first.folder}, {'; '.join(other.images.conditions)} in {other.folder})"
        )
    return found


def run_names(runs: Sequence[Finished]) -> list[str]:
    """What tables call the runs: their folders' names, or whole paths where two have the same."""
    names = [run.folder.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [f"{name} ({chr(65 + i)})" for i, name in enumerate(names)]


def protocol_differences(runs: Sequence[Finished]) -> list[str]:
    """In words, what made the runs' images differently: "steps: 4 and 8"."""
    described = [run.described() for run in runs]
    names = dict.fromkeys(name for one in described for name in one)
    found = [(name, [one.get(name, "unknown") for one in described]) for name in names]
    return [f"{name}: {' and '.join(values)}" for name, values in found if len(set(values)) > 1]


def margins(texts: list[str]) -> dict[str, float]:
    """METRIC:MARGIN pairs."""
    found = {}
    for text in texts:
        metric, _, margin = text.partition(":")
        try:
            found[metric] = float(margin)
        except ValueError:
            found[metric] = -1.0
        if metric not in METRICS or not 0 <= found[metric] < float("inf"):
            raise ValueError(
                f"--fail-if-worse must look like scene_accuracy:0.01, got {text!r}; known: {', '.join(METRICS)}"
            )
    return found


def gate(table: pd.DataFrame, allowed: dict[str, float]) -> tuple[list[str], list[str]]:
    """In words, where a run is worse than a margin allows, and where it cannot be told.

    Worse is a loss whose whole interval lies beyond the margin; where only a part of it does, or no interval is known, the
    images are too few to tell. ValueError for a margin on what could not be compared.
    """
    worse, unclear = [], []
    for metric, margin in allowed.items():
        rows = table[table["metric"] == metric]
        if not len(rows):
            raise ValueError(f"--fail-if-worse {metric}: none of the runs has a value of it")
        if rows["difference"].isna().any():
            notes = dict.fromkeys(rows[rows["difference"].isna()]["note"])
            raise ValueError(f"--fail-if-worse {metric}: {'; '.join(notes)}")
        sign = -1 if METRICS[metric].higher_is_better else 1
        for row in rows.astype({"low": float, "high": float}).itertuples():
            loss, (least, most) = sign * row.difference, sorted((sign * row.low, sign * row.high))
            where = f"{row.run}: {metric} at {row.condition}"
            if least > margin:
                worse.append(f"{where} is worse by {loss:.4g} ({least:.4g} to {most:.4g}), allowed {margin:g}")
            elif most > margin or (pd.isna(most) and loss > margin):
                known = "its interval is not known" if pd.isna(most) else f"{least:.4g} to {most:.4g}"
                unclear.append(
                    f"{where} may be worse than the {margin:g} allowed: {loss:.4g} ({known}); more images would tell"
                )
    return worse, unclear


def main(argv: list[str] | None = None) -> int:
    """0; 1 where a run is worse than a margin allows; 2 where they cannot be compared."""
    parser = command.parser("evaluation.compare", __doc__)
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="two or more; all are compared with the first"
    )
    parser.add_argument("--fail-if-worse", action="append", default=[], metavar="METRIC:MARGIN")
    note = (
        "fail too where the images are too few to tell: what passes loses no more than the margins, as far as 95 %% go"
    )
    parser.add_argument("--strict", action="store_true", help=note)
    parser.add_argument("--out", type=Path, default=None, metavar="FILE.csv", help="write the table there too")
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    if len(arguments.runs) < 2:
        raise ValueError("give two runs or more")
    allowed = margins(arguments.fail_if_worse)
    if arguments.strict and not allowed:
        raise ValueError("--strict is about margins: give --fail-if-worse METRIC:MARGIN too")
    runs = [Finished.read(folder) for folder in arguments.runs]
    table = compare(runs)
    worse, unclear = gate(table, allowed)
    if arguments.out is not None:
        write_table(arguments.out, table)
    print(report(runs, table))
    for line in [*worse, *(line if arguments.strict else f"warning: {line}" for line in unclear)]:
        print(line)
    return 1 if worse or (arguments.strict and unclear) else 0


def report(runs: Sequence[Finished], table: pd.DataFrame) -> str:
    """What the terminal shows: in what the runs differ, the values side by side, and the differences."""
    names, differ = run_names(runs), protocol_differences(runs)
    lines = [f"{', '.join(names[1:])} - {names[0]}"]
    lines += ["the runs were made alike" if not differ else "the runs differ in " + "; ".join(differ), ""]
    if len(runs) > 2:
        lines += [values_side_by_side(table).round(5).to_string(), ""]
    shown = table.drop(columns=["baseline", *([] if len(runs) > 2 else ["run"])])
    shown["scale"] = shown["scale"].map(lambda value: "" if pd.isna(value) else f"{value:g}")
    return "\n".join([*lines, shown.round(5).astype(object).where(shown.notna(), "").to_string(index=False)])


def values_side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """A row per metric and condition, a column per run with its value."""
    rows = table.dropna(subset=["value_b"])
    index = ["metric", "condition"]
    wide = rows.assign(condition=rows["condition"].fillna("")).pivot(index=index, columns="run", values="value_b")
    first = rows.assign(condition=rows["condition"].fillna("")).drop_duplicates(index).set_index(index)["value_a"]
    wide.insert(0, table["baseline"].iloc[0], first)
    return wide.rename_axis(None, axis=1)


if __name__ == "__main__":
    raise SystemExit(main())
