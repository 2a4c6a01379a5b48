"""Distances of each condition's features to a reference, with the prompts left out in blocks; their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .. import statistics
from ..detectors.references import UNKNOWN
from ..image_set import ImageSet
from .blocks import Blocks
from .metric import Distance, Row, Sample
from .rows import not_computed, row

if TYPE_CHECKING:
    from .evidence import Evidence

BLOCKS = 20  # of the jackknife, at most
TOO_FEW = "a distance needs images of three prompts or more"


class Target(Protocol):
    """A reference, ready to be measured against."""

    def leave_out(self, features: np.ndarray, blocks: Blocks) -> tuple[float, list[float]]:
        """The distance of all features (n, d), and with each block left out in turn."""
        ...


@dataclass(frozen=True)
class DistanceEstimate:
    """A condition's distance to the reference, with each block of prompts left out in turn, and n."""

    whole: float
    left_out: list[float]
    n: int
    prompts: tuple[int, ...] = ()  # of its images, in order: two conditions are paired where these agree


def estimate_distances(images: ImageSet, features: np.ndarray, target: Target) -> dict[str, DistanceEstimate]:
    """By condition, of features (len(images), d)."""
    found = {}
    for condition in images.conditions:
        chosen = images.under(condition)
        prompts, n = images.table["prompt_id"].to_numpy()[chosen], int(chosen.sum())
        blocks = blocks_of(prompts)
        whole, left_out = (float("nan"), []) if blocks is None else target.leave_out(features[chosen], blocks)
        found[condition] = DistanceEstimate(whole, left_out, n, tuple(prompts.tolist()))
    return found


def distance_rows(metric: Distance, evidence: Evidence) -> list[Row]:
    """Each condition with its jackknife error, and bias-corrected where n allows."""
    rows, dimension = [], evidence.detectors[metric.detector].dimension
    unknown = [] if evidence.references[metric.detector].known else [f"the reference's {UNKNOWN}"]
    for condition, found in evidence.distances(metric).items():
        values = evidence.images.values(condition)
        if not found.left_out:
            rows.append(not_computed(metric, TOO_FEW, values, condition))
            continue
        plain, corrected = statistics.jackknife(found.whole, found.left_out, found.n)
        rows.append(
            row(
                metric,
                plain,
                values,
                condition,
                note="; ".join([*filter(None, [metric.note(found.n, dimension)]), *unknown]),
            )
        )
        if metric.corrects_bias(found.n, dimension):
            better = statistics.estimate(corrected, found.n, plain.se, len(found.left_out) - 1)
            name = f"{metric.name}_jackknife"
            rows.append(row(metric, better, values, condition, note="; ".join(["bias-corrected", *unknown]), name=name))
    return rows


def sample_of(found: DistanceEstimate) -> Sample | None:
    """A condition's distance and its jackknife error; None where there are too few prompts for one."""
    if not found.left_out:
        return None
    plain, _ = statistics.jackknife(found.whole, found.left_out, found.n)
    return Sample(plain.value, plain.se, found.n, len(found.left_out) - 1)


def enough_images(images: ImageSet) -> bool:
    """Whether any condition has the prompts that a distance with its error needs."""
    prompts = images.table["prompt_id"].to_numpy()
    return any(blocks_of(prompts[images.under(condition)]) is not None for condition in images.conditions)


def blocks_of(prompts: np.ndarray) -> Blocks | None:
    """The jackknife block of each image (n,), by its prompt; None where leaving one out would keep fewer than two."""
    ranks = np.unique(prompts, return_inverse=True)[1]
    prompts_in_all = int(ranks.max()) + 1
    count = min(BLOCKS, prompts_in_all)
    blocks = statistics.shuffled_blocks(prompts_in_all, count)[ranks]
    return blocks if len(blocks) - np.bincount(blocks).max() >= 2 and count > 1 else None
