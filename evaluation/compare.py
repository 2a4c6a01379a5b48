"""Two runs over one prompt set, paired image by image.

    python -m evaluation.compare runs/A runs/B --fail-if-worse scene_accuracy:0.01 --fail-if-worse fd_scenes:0.5

Prints B - A per metric and guidance scale with its error, p (Holm within a metric) and verdict. Exit code 0; 1 where B is
worse than A by more than a margin at any scale; 2 where the runs cannot be compared, with the reason.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from .catalogue import AUTOENCODER, DISTANCE, METRICS
from .detectors.detector import load_detector
from .detectors.feature_cache import cache_file, identity, read_cache
from .detectors.reference_sources import load_reference
from .detectors.references import stored_reference
from .metrics import scoring as score
from .metrics.differences import COLUMNS, PAIR, of_distances, of_means, with_verdicts
from .report.document import write_whole


@dataclass(frozen=True)
class Finished:
    """A finished run, as its folder holds it."""

    folder: Path
    facts: dict
    images: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> Finished:
        """ValueError where the folder is no finished run."""
        try:
            facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            return cls(folder, facts, pd.read_csv(folder / "images.csv", keep_default_na=True))
        except (OSError, json.JSONDecodeError) as error:
            raise ValueError(f"{folder} is no finished run: {error}") from None

    def features(self, name: str) -> np.ndarray:
        """Per-image features by a detector, in the order of images.csv."""
        files = [Path(file) for file in self.images["file"]]
        who = identity(self.facts["detectors"][name]["sha256"], self.facts["detectors"][name]["resize"])
        path = cache_file(self.folder, files[0].parent.name, name, who)
        known = read_cache(path, who)
        if not known:
            raise ValueError(f"{self.folder} has lost its features ({path.name}); run the evaluation again to score it")
        return np.stack([known[file.name][0] for file in files])


def check_comparable(first: Finished, second: Finished) -> None:
    """The runs must be of one prompt set, of as many images, by the same detectors; ValueError names what differs."""
    for key in ("prompts_sha256", "prompt_count", "images_per_prompt", "references"):
        if first.facts[key] != second.facts[key]:
            raise ValueError(f"the runs cannot be compared: {key} is {first.facts[key]} and {second.facts[key]}")
    for name in set(first.facts["detectors"]) & set(second.facts["detectors"]):
        one, other = (run.facts["detectors"][name] for run in (first, second))
        if one != other:
            raise ValueError(
                f"the runs cannot be compared: {name} was {one['name']} at {one['resize']} ({one['sha256'][:8]}) "
                f"and {other['name']} at {other['resize']} ({other['sha256'][:8]})"
            )
    if not common_scales(first, second):
        raise ValueError("the runs cannot be compared: they have no guidance scale in common")


def computed(run: Finished) -> list[str]:
    return [metric for metric in run.facts["metrics"] if metric not in run.facts["not_computed"]]


def common_scales(first: Finished, second: Finished) -> list[float]:
    return sorted(set(first.images["guidance_scale"]) & set(second.images["guidance_scale"]))


def compare(first: Finished, second: Finished) -> pd.DataFrame:
    """A row per metric and common scale: second - first, paired by prompt and seed."""
    check_comparable(first, second)
    scales, names = common_scales(first, second), (first.folder.name or "A", second.folder.name or "B")
    rows = []
    for metric in (name for name in computed(first) if name in computed(second)):
        if METRICS[metric].kind == AUTOENCODER:
            continue
        found = _distances(first, second, metric) if METRICS[metric].kind == DISTANCE else _means(first, second, metric)
        pairs = [{"metric": metric, "scale": scale} | found[scale] for scale in scales if found[scale] is not None]
        rows += with_verdicts(pairs, metric, [names] * len(pairs))
    return pd.DataFrame(rows, columns=["metric", "scale", *COLUMNS])


def _means(first: Finished, second: Finished, metric: str) -> dict[float, dict | None]:
    def scores(run: Finished, scale: float) -> pd.Series:
        return run.images[run.images["guidance_scale"] == scale].set_index(PAIR)[metric]

    return {scale: of_means(scores(first, scale), scores(second, scale)) for scale in common_scales(first, second)}


def _distances(first: Finished, second: Finished, metric: str) -> dict[float, dict | None]:
    name = METRICS[metric].detector
    kept = first.folder / "references" / f"{name}.npz"
    reference = stored_reference(kept) if kept.exists() else load_reference(load_detector(name))
    one, other = (
        score.measure_distances(run.images, {name: run.features(name)}, {name: reference}, [metric])
        for run in (first, second)
    )
    return {scale: of_distances(one[metric, scale], other[metric, scale]) for scale in common_scales(first, second)}


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
            worse.append(f"{row.metric} at w = {row.scale:g} is worse by {loss:.4g}, allowed {allowed[row.metric]:g}")
    return worse


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path, metavar="RUN_A")
    parser.add_argument("second", type=Path, metavar="RUN_B")
    parser.add_argument("--fail-if-worse", action="append", default=[], metavar="METRIC:MARGIN")
    parser.add_argument("--out", type=Path, default=None, metavar="FILE.csv", help="write the table there too")
    arguments = parser.parse_args(argv)
    try:
        allowed = margins(arguments.fail_if_worse)
        table = compare(Finished.read(arguments.first), Finished.read(arguments.second))
        worse = too_bad(table, allowed)
        if arguments.out is not None:
            write_whole(arguments.out, table.to_csv(index=False, lineterminator="\n"))
    except (ValueError, OSError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    print(f"{arguments.second} - {arguments.first}\n\n{table.round(5).to_string(index=False)}")
    for line in worse:
        print(line)
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())
