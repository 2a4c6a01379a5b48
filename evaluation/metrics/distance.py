"""Distances of each condition's features to a reference, with the prompts left out in blocks; their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..detectors.references import UNKNOWN
from ..image_set import ImageSet
from ..statistics import AT_THIS_N, ITSELF, Estimate, Jackknifed, Sample
from .blocks import blocks_of
from .frechet import FrechetReference
from .metric import Distance, Row
from .rows import not_computed, row

if TYPE_CHECKING:
    from .evidence import Evidence

TOO_FEW = "a distance needs images of three prompts or more"


class Target(Protocol):
    """A reference, ready to be measured against."""

    def measure(self, features: np.ndarray, prompts: np.ndarray) -> Sample | None:
        """The distance of features (n, d) of these prompts (n,), with what its error needs; None with too few prompts."""
        ...


@dataclass(frozen=True)
class DistanceEstimate:
    """A condition's distance to the reference, with what its error is made of (None: too few prompts), and n."""

    sample: Sample | None
    n: int
    prompts: tuple[int, ...] = ()  # of its images, in order: two conditions are paired where these agree
    corrects_bias: bool = False  # whether the bias-corrected value is worth a row of its own

    def estimate(self, unbiased: bool) -> Estimate | None:
        """With its interval, and what that is about."""
        if isinstance(self.sample, Jackknifed):
            return self.sample.estimate(ITSELF if unbiased else AT_THIS_N)
        return None if self.sample is None else self.sample.estimate()


def estimate_distances(images: ImageSet, features: np.ndarray, target: Target) -> dict[str, DistanceEstimate]:
    """By condition, of features (len(images), d)."""
    found = {}
    for condition in images.conditions:
        chosen = images.under(condition)
        prompts, part = images.table["prompt_id"].to_numpy()[chosen], features[chosen]
        enough = isinstance(target, FrechetReference) and target.corrects_bias(part, prompts)
        sample = target.measure(part, prompts)
        found[condition] = DistanceEstimate(sample, len(part), tuple(prompts.tolist()), enough)
    return found


def distance_rows(metric: Distance, evidence: Evidence) -> list[Row]:
    """Each condition with its jackknife error, and bias-corrected where n allows."""
    rows, dimension = [], evidence.detectors[metric.detector].dimension
    unknown = [] if evidence.references[metric.detector].known else [f"the reference's {UNKNOWN}"]
    for condition, found in evidence.distances(metric).items():
        values, plain = evidence.images.values(condition), found.estimate(metric.unbiased)
        if plain is None or not np.isfinite(plain.value):
            why = TOO_FEW if plain is None else "too few images, or too few of the reference, for nearest neighbours"
            rows.append(not_computed(metric, why, values, condition))
            continue
        note = "; ".join([*filter(None, [metric.note(found.n, dimension)]), *unknown])
        rows.append(row(metric, plain, values, condition, note=note))
        if found.corrects_bias and isinstance(found.sample, Jackknifed):
            name, better = f"{metric.name}_jackknife", found.sample.corrected_estimate()
            rows.append(row(metric, better, values, condition, note="; ".join(["bias-corrected", *unknown]), name=name))
    return rows


def enough_images(images: ImageSet) -> bool:
    """Whether any condition has the prompts that a distance with its error needs."""
    prompts = images.table["prompt_id"].to_numpy()
    return any(blocks_of(prompts[images.under(condition)]) is not None for condition in images.conditions)
