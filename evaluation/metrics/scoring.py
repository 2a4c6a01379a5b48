"""From an image set to tables: extract what the detectors see, then rows and differences. Knows nothing of what made an image."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..detectors.detector import Detector
from ..detectors.feature_cache import SpentLog, extract
from ..detectors.references import Reference
from ..image_set import ImageSet
from ..processes import Processes
from ..statistics import Bounds, Mean, Sample, mean
from .autoencoder import Reconstructions
from .differences import differences
from .evidence import Evidence
from .metric import ImageScore, Metric, Row
from .rows import not_computed, row


@dataclass(frozen=True)
class Scores:
    """What was found: rows of summary.csv, the images with a column a score, and the paired differences."""

    rows: list[Row]
    images: ImageSet
    differences: pd.DataFrame


def score(
    images: ImageSet,
    metrics: Sequence[Metric],
    detectors: Mapping[str, Detector],
    references: Mapping[str, Reference],
    cache: Path,
    *,
    autoencoder: Reconstructions | None = None,
    obstacles: Mapping[str, str] | None = None,
    processes: Processes | None = None,
    log: SpentLog | None = None,
) -> Scores | None:
    """Score an image set by metrics; detectors and references by the names that the metrics give.

    Features are kept in the folder `cache`, so that a longer set costs only what is new. `obstacles` are reasons, by
    metric, why one is not computed: it gets a row that says so. Of several processes each extracts its share, and the
    first has the result; the others get None.
    """
    computed = [metric for metric in metrics if metric.name not in (obstacles or {})]
    evidence = gather_evidence(images, computed, detectors, references, cache, autoencoder, processes, log)
    return None if evidence is None else tabulate(evidence, metrics, obstacles or {})


def gather_evidence(
    images: ImageSet,
    metrics: Sequence[Metric],
    detectors: Mapping[str, Detector],
    references: Mapping[str, Reference],
    cache: Path,
    autoencoder: Reconstructions | None = None,
    processes: Processes | None = None,
    log: SpentLog | None = None,
) -> Evidence | None:
    """Every image through every detector that the metrics need of it, once; None in all processes but the first."""
    processes, features = processes or Processes(), {}
    for name in dict.fromkeys(metric.detector for metric in metrics if metric.of_generated and metric.detector):
        features[name], scores = extract(images, cache, name, detectors[name], processes, log)
        if processes.first:
            images = images.with_scores(scores)
    return Evidence(images, features, references, detectors, autoencoder) if processes.first else None


def tabulate(evidence: Evidence, metrics: Sequence[Metric], obstacles: Mapping[str, str]) -> Scores:
    """Rows and differences of what was extracted: those of the images, then the autoencoder's, then the ceilings."""
    computed = [metric for metric in metrics if metric.name not in obstacles]
    rows: list[Row] = []
    for metric in metrics:
        if metric.name in obstacles:
            rows.append(not_computed(metric, obstacles[metric.name]))
        elif metric.of_generated:
            rows += metric.rows(evidence)
    rows += [found for metric in computed if not metric.of_generated for found in metric.rows(evidence)]
    rows += [found for metric in computed for found in metric.ceiling(evidence)]
    for found in rows:
        detector = evidence.detectors.get(found["detector"])
        found |= {"detector": detector.name, "resize": detector.resize} if detector else {"resize": ""}
    return Scores(rows, evidence.images, differences(evidence, [metric for metric in computed if metric.of_generated]))


def score_rows(metric: ImageScore, evidence: Evidence) -> list[Row]:
    """Rows of a per-image metric: each condition, over all prompts and over each category; errors cluster by prompt. An
    image without a finite value is left out, and counted in the note: it would take the mean with it."""
    images, rows = evidence.images, []
    named = [name for name in images.table["category"].unique() if name]
    for condition, category in itertools.product(images.conditions, ["", *named]):
        part = images.table[images.under(condition)].dropna(subset=[metric.name])
        part = part[part["category"] == category] if category else part
        known, part = len(part), part[np.isfinite(part[metric.name].astype(float))]
        note = (
            f"{known - len(part)} of {known} images have no finite value and are left out" if known > len(part) else ""
        )
        if len(part):
            value = mean(part[metric.name], part["prompt_id"], metric.bounds)
            rows.append(row(metric, value, images.values(condition), condition, category, note))
        elif known and not category:
            rows.append(not_computed(metric, "no image has a finite value", images.values(condition), condition))
    return rows or [not_computed(metric, metric.nothing_read)]


def finite_scores(scores: pd.Series) -> pd.Series:
    """Those of images that have one."""
    return scores[np.isfinite(scores.astype(float))]


def sample_of(scores: pd.Series, bounds: Bounds | None = None) -> Sample | None:
    """The mean of a condition's finite scores, indexed by prompt and seed; None where no image has one."""
    scores = finite_scores(scores)
    return Mean.of(scores, scores.index.get_level_values("prompt_id"), bounds) if len(scores) else None
