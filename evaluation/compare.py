"""Two runs over one prompt set, paired image by image.

    python -m evaluation.compare runs/A runs/B --fail-if-worse scene_accuracy:0.01 --fail-if-worse fd_scenes:0.5

Prints B - A per metric and guidance scale with its error, p (Holm within a metric) and verdict. Exit code 0; 1 where B is
worse than A by more than a margin at any scale; 2 where the runs cannot be compared, with the reason.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ldm_core.files import write_whole

from . import catalogue, command
from .catalogue import METRICS
from .detectors.detector import load_detector
from .detectors.feature_cache import cache_file, identity, read_cache
from .image_set import ImageSet
from .metrics.differences import COLUMNS, with_verdicts
from .metrics.evidence import Evidence
from .metrics.metric import Metric
from .reference import load_reference, stored_reference
from .run_facts import RunFacts


@dataclass(frozen=True)
class Finished:
    """A finished run, as its folder holds it."""

    folder: Path
    facts: RunFacts
    images: ImageSet

    @classmethod
    def read(cls, folder: Path) -> Finished:
        """ValueError where the folder is no finished run."""
        try:
            facts = RunFacts.read(folder)
        except (OSError, ValueError) as error:
            raise ValueError(f"{folder} is no finished run: {error}") from None
        return cls(folder, facts, ImageSet.read(folder, facts.axes))

    def features(self, name: str) -> np.ndarray:
        """Per-image features (images, d) by a detector, in the order of images.csv."""
        who = identity(self.facts.detectors[name]["sha256"], self.facts.detectors[name]["resize"])
        known = {}
        for part in dict.fromkeys(path.parent.name for path in self.images.paths):
            file = cache_file(self.folder / "features", part, name, who)
            found = read_cache(file, who)
            if not found:
                raise ValueError(
                    f"{self.folder} has lost its features ({file.name}); run the evaluation again to score it"
                )
            known |= {(part, key): features for key, (features, _) in found.items()}
        return np.stack([known[path.parent.name, path.name] for path in self.images.paths])

    def evidence(self, metric: Metric) -> Evidence:
        """What the metric is computed from."""
        if not metric.needs_reference:
            return Evidence(self.images)
        name = metric.detector
        kept = self.folder / "references" / f"{name}.npz"
        reference = stored_reference(kept) if kept.exists() else load_reference(load_detector(name))
        return Evidence(self.images, {name: self.features(name)}, {name: reference})


def check_comparable(first: Finished, second: Finished) -> None:
    """The runs must be of one prompt set, of as many images, by the same detectors; ValueError names what differs."""
    for key in ("prompts_sha256", "prompt_count", "images_per_prompt", "references"):
        one, other = getattr(first.facts, key), getattr(second.facts, key)
        if one != other:
            raise ValueError(f"the runs cannot be compared: {key} is {one} and {other}")
    for name in set(first.facts.detectors) & set(second.facts.detectors):
        ours, theirs = first.facts.detectors[name], second.facts.detectors[name]
        if ours != theirs:
            raise ValueError(
                f"the runs cannot be compared: {name} was {ours['name']} at {ours['resize']} ({ours['sha256'][:8]}) "
                f"and {theirs['name']} at {theirs['resize']} ({theirs['sha256'][:8]})"
            )
    if not common_conditions(first, second):
        raise ValueError("the runs cannot be compared: they have no condition in common")


def computed(run: Finished) -> list[str]:
    """The metrics that a run has of its images."""
    names = [name for name in run.facts.metrics if name not in run.facts.not_computed]
    return [metric.name for metric in catalogue.find(names) if metric.of_generated]


def common_conditions(first: Finished, second: Finished) -> list[str]:
    """The conditions that both runs have."""
    return [condition for condition in first.images.conditions if condition in second.images.conditions]


def compare(first: Finished, second: Finished) -> pd.DataFrame:
    """A row per metric and common condition: second - first, paired by prompt and seed."""
    check_comparable(first, second)
    names = (first.folder.name or "A", second.folder.name or "B")
    rows = []
    for metric in catalogue.find(name for name in computed(first) if name in computed(second)):
        one, other = first.evidence(metric), second.evidence(metric)
        pairs = []
        for condition in common_conditions(first, second):
            difference = metric.between(one, condition, other, condition)
            if difference is not None:
                scale = first.images.values(condition).get("guidance_scale")
                pairs.append({"metric": metric.name, "scale": scale, "condition": condition} | difference)
        rows += with_verdicts(pairs, metric, [names] * len(pairs))
    return pd.DataFrame(rows, columns=["metric", "scale", *COLUMNS, "condition"])


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


def too_bad(table: pd.DataFrame, allowed: dict[str, float]) -> list[str]:
    """In words, where the second run is worse than a margin allows."""
    missing = [metric for metric in allowed if metric not in set(table["metric"])]
    if missing:
        raise ValueError(f"--fail-if-worse {missing[0]}: the runs do not both have it")
    worse = []
    for row in table[table["metric"].isin(list(allowed))].itertuples():
        loss = -row.difference if METRICS[row.metric].higher_is_better else row.difference
        if loss > allowed[row.metric]:
            worse.append(f"{row.metric} at {row.condition} is worse by {loss:.4g}, allowed {allowed[row.metric]:g}")
    return worse


def main(argv: list[str] | None = None) -> int:
    """0; 1 where the second run is worse than a margin allows; 2 where they cannot be compared."""
    parser = command.parser("evaluation.compare", __doc__)
    parser.add_argument("first", type=Path, metavar="RUN_A")
    parser.add_argument("second", type=Path, metavar="RUN_B")
    parser.add_argument("--fail-if-worse", action="append", default=[], metavar="METRIC:MARGIN")
    parser.add_argument("--out", type=Path, default=None, metavar="FILE.csv", help="write the table there too")
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    allowed = margins(arguments.fail_if_worse)
    table = compare(Finished.read(arguments.first), Finished.read(arguments.second))
    worse = too_bad(table, allowed)
    if arguments.out is not None:
        write_whole(arguments.out, table.to_csv(index=False, lineterminator="\n"))
    print(f"{arguments.second} - {arguments.first}\n\n{table.round(5).to_string(index=False)}")
    for line in worse:
        print(line)
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())
