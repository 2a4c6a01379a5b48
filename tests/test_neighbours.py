"""Precision, recall, density and coverage: closed forms on a line, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.metrics.blocks import blocks_of
from evaluation.metrics.neighbours import NEIGHBOURS, NeighbourReference


def blocks(n, count=5):
    return np.arange(n) % count


def balls(statistic, reference, features):
    return NeighbourReference(np.array(reference, float), statistic, neighbours=1).distance(np.array(features, float))


def plainly(statistic, real, fake, k):
    """The papers' definitions, pair by pair."""
    apart = np.array([[np.linalg.norm(x - y) for y in fake] for x in real])
    reach = [np.array([sorted(np.linalg.norm(x - y) for y in points)[k] for x in points]) for points in (real, fake)]
    if statistic == "recall":
        return np.mean([any(apart[i, j] <= reach[1][j] for j in range(len(fake))) for i in range(len(real))])
    if statistic == "coverage":
        return np.mean([min(apart[i]) <= reach[0][i] for i in range(len(real))])
    held = [sum(apart[i, j] <= reach[0][i] for i in range(len(real))) for j in range(len(fake))]
    return np.mean([count > 0 for count in held]) if statistic == "precision" else np.mean(held) / k


def test_neighbour_statistics_have_their_closed_forms_on_a_line():
    real, fake = [[0.0], [1.0], [10.0], [11.0]], [[0.5], [0.6], [30.0], [32.0]]
    # Real balls reach 1 to both sides: two of the four generated lie in the first two, none near 10.
    assert balls("precision", real, fake) == 0.5
    assert balls("density", real, fake) == pytest.approx((2 + 2) / 4)
    assert balls("coverage", real, fake) == 0.5
    # Generated balls: radius 0.1 around 0.5 and 0.6, 2 around 30 and 32: no real point lies in any.
    assert balls("recall", real, fake) == 0
    assert balls("recall", real, [[0.2], [1.4], [50], [60]]) == 0.5, "balls of 1.2 hold 0 and 1"


def test_a_sample_against_itself_is_precise_and_covers_everything():
    sample = np.random.default_rng(0).normal(size=(50, 3))
    for statistic in ("precision", "recall", "coverage"):
        assert NeighbourReference(sample, statistic).distance(sample) == 1
    # Each point lies in its own ball and, on average, in five others (Naeem et al. 2020): (k + 1) / k.
    assert NeighbourReference(sample, "density").distance(sample) == pytest.approx(6 / 5)


def test_recall_says_nothing_of_too_few_images():
    assert np.isnan(NeighbourReference(np.eye(8), "recall").distance(np.eye(8)[:3]))


@pytest.mark.parametrize("statistic", ["precision", "recall", "density", "coverage"])
@pytest.mark.parametrize("rows", [7, 2000])
def test_leaving_a_block_out_is_as_if_it_had_never_been(statistic, rows, monkeypatch):
    monkeypatch.setattr("evaluation.metrics.blocks.ROWS", rows)  # a portion of the pairs, or all at once
    rng = np.random.default_rng(0)
    real, fake, blocks = rng.normal(size=(50, 4)), 1.3 * rng.normal(size=(41, 4)), np.arange(41) % 6
    reference = NeighbourReference(real, statistic)
    whole, without = reference.leave_out(fake, blocks)
    assert whole == reference.distance(fake) and len(without) == 6
    for block, value in enumerate(without):
        assert value == pytest.approx(plainly(statistic, real, fake[blocks != block], NEIGHBOURS[statistic]), abs=1e-12)


def test_each_statistic_has_the_k_of_its_paper():
    assert NEIGHBOURS == {"precision": 3, "recall": 3, "density": 5, "coverage": 5}
    reference = np.random.default_rng(0).normal(size=(30, 4))
    for statistic, k in NEIGHBOURS.items():
        assert NeighbourReference(reference, statistic).neighbours == k


@pytest.mark.parametrize("statistic", ["precision", "density"])
def test_precision_and_density_are_means_over_images(statistic):
    rng = np.random.default_rng(0)
    reference, fake = NeighbourReference(rng.normal(size=(40, 3)), statistic), rng.normal(size=(24, 3)) * 1.5
    found = reference.measure(fake, np.repeat(np.arange(12), 2))
    assert found.value == pytest.approx(reference.distance(fake)) and found.count == 12
    estimate = found.estimate()
    assert 0 <= estimate.low < estimate.value < estimate.high <= (1 if statistic == "precision" else 5)


@pytest.mark.parametrize("statistic", ["recall", "coverage"])
def test_recall_and_coverage_are_known_without_each_block_and_without_each_two(statistic):
    rng = np.random.default_rng(0)
    real, fake, prompts = rng.normal(size=(50, 4)), 1.3 * rng.normal(size=(42, 4)), np.repeat(np.arange(21), 2)
    found, blocks = NeighbourReference(real, statistic).measure(fake, prompts), blocks_of(prompts)
    for block in range(20):
        kept, both = blocks != block, (blocks != block) & (blocks != (block + 1) % 20)
        assert found.left_out[block] == pytest.approx(plainly(statistic, real, fake[kept], NEIGHBOURS[statistic]))
        assert found.pairs[block] == pytest.approx(plainly(statistic, real, fake[both], NEIGHBOURS[statistic]))
    estimate = found.estimate()
    assert 0 <= estimate.low < estimate.value < estimate.high <= 1


@pytest.mark.parametrize("statistic", ["precision", "recall", "density", "coverage"])
def test_a_reference_of_too_few_points_for_balls_gives_no_number(statistic):
    few = np.random.default_rng(0).normal(size=(NEIGHBOURS[statistic], 4))
    reference, fake = NeighbourReference(few, statistic), np.random.default_rng(1).normal(size=(20, 4))
    estimate = reference.measure(fake, np.arange(20)).estimate()
    assert np.isnan(reference.distance(fake)) and np.isnan(estimate.value)
    assert estimate.low is None and estimate.note
