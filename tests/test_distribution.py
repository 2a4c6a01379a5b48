"""Frechet and kernel distances against values worked out by hand and published laws."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.metrics.frechet import FrechetReference, Moments
from evaluation.metrics.kernel import KernelReference
from evaluation.metrics.neighbours import NeighbourReference


def test_equal_covariances_leave_the_squared_shift_of_the_means():
    d = 512
    assert FrechetReference(np.zeros(d), np.eye(d)).distance(np.ones(d), np.eye(d)) == pytest.approx(d, rel=1e-12)


def test_matrices_that_do_not_commute_give_the_value_worked_out_by_hand():
    first = FrechetReference(np.array([2.0, 3]), np.array([[1.0, 0], [0, 4]]))
    # 41 - 2 sqrt(tr(AB) + 2 sqrt(det AB)), tr = 35, det = 80
    expected = 41 - 2 * np.sqrt(35 + 2 * np.sqrt(80))
    assert first.distance(np.array([5.0, 7]), np.array([[3.0, 2], [2, 8]])) == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx(26.455097962516447)


def test_diagonal_covariances_compare_their_roots():
    first = FrechetReference(np.zeros(3), np.diag([1.0, 4, 9]))
    assert first.distance(np.ones(3), np.diag([4.0, 4, 1])) == pytest.approx(8.0)


def test_few_samples_in_many_dimensions_stay_finite_and_right():
    a, b = np.random.RandomState(0).randn(50, 64), np.random.RandomState(1).randn(50, 64) * 1.2 + 0.1
    moments = Moments.of(a)
    distance = FrechetReference(moments.mean, moments.covariance).distance(Moments.of(b).mean, Moments.of(b).covariance)
    assert distance == pytest.approx(55.60994, abs=1e-4)


@pytest.mark.parametrize(
    ("n", "d", "value"), [(500, 16, 1.3173763818), (1000, 64, 6.0903294083), (300, 64, 12.2046833541)]
)
def test_golden_values_hold_to_eight_digits(n, d, value):
    a, b = (
        Moments.of(np.random.RandomState(0).randn(n, d)),
        Moments.of(np.random.RandomState(1).randn(n, d) * 1.2 + 0.1),
    )
    assert FrechetReference(a.mean, a.covariance).distance(b.mean, b.covariance) == pytest.approx(value, abs=1e-8)


def test_the_bias_of_small_samples_follows_its_law():
    d, exact = 64, FrechetReference(np.zeros(64), np.eye(64))
    for n in (200, 800):
        draws = [Moments.of(np.random.RandomState(seed).randn(n, d)) for seed in range(20)]
        bias = np.mean([exact.distance(draw.mean, draw.covariance) for draw in draws])
        assert bias == pytest.approx(d / n + d * (d + 1) / (4 * (n - 1)), rel=0.06)


def blocks(n, count=5):
    return np.arange(n) % count


@pytest.mark.parametrize("n", [40, 400])
def test_each_left_out_block_gives_the_distance_of_what_is_left(n):
    # 40 samples in 64 dimensions take the way over samples, 400 the way over dimensions.
    rng = np.random.RandomState(3)
    moments, x = Moments.of(rng.randn(500, 64)), rng.randn(n, 64) * 1.1 + 0.2
    reference = FrechetReference(moments.mean, moments.covariance)

    def plainly(kept):
        part = Moments.of(kept)
        return reference.distance(part.mean, part.covariance)

    whole, left_out = reference.leave_out(x, blocks(n))
    assert whole == pytest.approx(plainly(x), rel=1e-6)
    assert left_out == pytest.approx([plainly(x[blocks(n) != block]) for block in range(5)], rel=1e-6)


@pytest.mark.parametrize("statistic", ["kernel", "cmmd"])
def test_each_left_out_block_gives_the_kernel_distance_of_what_is_left(statistic, monkeypatch):
    monkeypatch.setattr("evaluation.metrics.blocks.ROWS", 7)  # portions that do not divide the rows
    rng = np.random.RandomState(4)
    reference, x = KernelReference(rng.randn(30, 8), statistic), rng.randn(23, 8) + 0.3
    whole, left_out = reference.leave_out(x, blocks(23))
    assert whole == pytest.approx(reference.distance(x), rel=1e-12)
    assert left_out == pytest.approx([reference.distance(x[blocks(23) != block]) for block in range(5)], rel=1e-9)


def test_cmmd_of_opposite_directions_is_worked_out_by_hand():
    # Lengths do not count. Within a sample every pair, oneself too, has kernel 1; across, |x - y|^2 = 4: exp(-4 / 200).
    right, left = np.array([[2.0, 0], [5, 0]]), np.array([[-1.0, 0], [-3, 0]])
    expected = 1000 * (1 + 1 - 2 * np.exp(-0.02))
    assert KernelReference(right, "cmmd").distance(left) == pytest.approx(expected)


def test_inception_sized_distances_solve_problems_of_the_samples_not_of_the_dimensions(monkeypatch):
    rng = np.random.default_rng(0)
    reference, x = FrechetReference(np.zeros(2048), np.eye(2048)), rng.normal(size=(64, 2048))
    sizes, solve = [], np.linalg.eigvalsh
    monkeypatch.setattr(np.linalg, "eigvalsh", lambda matrix: (sizes.append(len(matrix)), solve(matrix))[1])
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: pytest.fail("the root in 2048 dimensions takes seconds"))
    reference.leave_out(x, blocks(64, 4))
    assert sizes == [64, 48, 48, 48, 48]  # in 2048 dimensions each would take seconds too


def test_a_distance_to_oneself_is_nothing_and_rotation_changes_nothing():
    x = np.random.RandomState(0).randn(200, 8) @ np.diag(np.arange(1.0, 9))
    y, turn = x[:100] + 0.3, np.linalg.qr(np.random.RandomState(2).randn(8, 8))[0]
    moments, other = Moments.of(x), Moments.of(y)
    assert FrechetReference(moments.mean, moments.covariance).distance(moments.mean, moments.covariance) < 1e-9
    turned, other_turned = Moments.of(x @ turn), Moments.of(y @ turn)
    straight = FrechetReference(moments.mean, moments.covariance).distance(other.mean, other.covariance)
    rotated = FrechetReference(turned.mean, turned.covariance).distance(other_turned.mean, other_turned.covariance)
    assert straight == pytest.approx(rotated, rel=1e-9)


def test_moments_of_parts_add_up_and_leave_out():
    x = np.random.RandomState(0).randn(90, 5)
    whole, parts = Moments.of(x), Moments.of(x[:30]) + Moments.of(x[30:])
    np.testing.assert_allclose(parts.covariance, np.cov(x.T), rtol=1e-10)
    np.testing.assert_allclose((whole - Moments.of(x[:30])).covariance, np.cov(x[30:].T), rtol=1e-10)


def test_the_kernel_distance_of_two_pairs_of_numbers_is_19_halves():
    assert KernelReference(np.array([[1.0], [2.0]])).distance(np.array([[0.0], [1.0]])) == pytest.approx(9.5)


@pytest.mark.parametrize(
    ("n", "d", "value"), [(500, 16, 0.091637458026), (1000, 64, 0.045923380371), (50, 64, 0.138858491961)]
)
def test_kernel_golden_values_hold(n, d, value):
    a, b = np.random.RandomState(0).randn(n, d), np.random.RandomState(1).randn(n, d) * 1.2 + 0.1
    assert KernelReference(a).distance(b) == pytest.approx(value, abs=1e-9)


def balls(statistic, reference, features):
    return NeighbourReference(np.array(reference, float), statistic, neighbours=1).distance(np.array(features, float))


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
        assert value == pytest.approx(plainly(statistic, real, fake[blocks != block], 5), abs=1e-12)


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
