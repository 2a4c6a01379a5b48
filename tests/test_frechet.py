"""Fréchet distances against values worked out by hand and published laws."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.metrics.frechet import FrechetReference, Moments, effective_size
from evaluation.metrics.kernel import KernelReference
from evaluation.metrics.neighbours import NeighbourReference


def blocks(n, count=5):
    return np.arange(n) % count


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


@pytest.mark.parametrize(
    ("mean", "covariance", "message"),
    [
        ([np.nan, 0], np.eye(2), "mean: 1 values are not finite"),
        ([0, 0], [[np.inf, 0], [0, 1]], "covariance: 1 values are not finite"),
        ([0, 0], [[1, 0.5], [0, 1]], "not symmetric"),
        ([0, 0], [[1, 0], [0, -1]], "some variance is negative"),
        ([0, 0], [[1, 2], [2, 1]], "some variance is negative"),
        ([0, 0, 0], np.eye(2), "do not belong together"),
    ],
)
def test_what_is_no_mean_and_covariance_is_refused(mean, covariance, message):
    with pytest.raises(ValueError, match=message):
        FrechetReference(np.array(mean, float), np.array(covariance, float))


def test_a_covariance_of_few_samples_kept_in_float32_is_taken():
    sample = np.random.default_rng(0).normal(size=(20, 64)) * 30
    FrechetReference(np.zeros(64), np.cov(sample.T).astype(np.float32))


def test_the_effective_dimension_is_d_where_all_are_alike_and_1_where_one_is_all():
    assert FrechetReference(np.zeros(9), np.eye(9)).effective_dimension == pytest.approx(9)
    assert FrechetReference(np.zeros(9), np.diag([1.0] + [0.0] * 8)).effective_dimension == pytest.approx(1)
    # Standard deviations 2, 1, 1: (4)^2 / 6.
    assert FrechetReference(np.zeros(3), np.diag([4.0, 1, 1])).effective_dimension == pytest.approx(16 / 6)


def test_copies_of_an_image_add_nothing_to_the_effective_size():
    x = np.random.default_rng(0).normal(size=(30, 5))
    assert effective_size(x, np.arange(30)) == pytest.approx(30)
    assert effective_size(np.repeat(x, 4, 0), np.repeat(np.arange(30), 4)) == pytest.approx(30, rel=0.05)


def test_the_bias_is_corrected_from_six_independent_images_a_dimension():
    reference, x = FrechetReference(np.zeros(4), np.eye(4)), np.random.default_rng(0).normal(size=(24, 4))
    assert reference.corrects_bias(x, np.arange(24)) and not reference.corrects_bias(x[:23], np.arange(23))
    assert not reference.corrects_bias(np.repeat(x[:8], 3, 0), np.repeat(np.arange(8), 3)), "copies do not count"


@pytest.mark.parametrize("n", [6, 60])
def test_a_value_that_is_not_finite_never_becomes_a_number(n):
    exact, odd = FrechetReference(np.zeros(16), np.eye(16)), np.random.default_rng(0).normal(size=(n, 16))
    assert np.isnan(exact.distance(np.full(16, np.nan), np.eye(16)))
    odd[3, 2] = np.nan
    for reference in (exact, KernelReference(np.eye(16)), NeighbourReference(np.eye(16), "recall")):
        with pytest.raises(ValueError, match="1 of .* rows hold a value that is not finite .*row 3"):
            reference.measure(odd, np.arange(n))
    for kind in (KernelReference, lambda features: NeighbourReference(features, "recall")):
        with pytest.raises(ValueError, match="reference: 1 of .* rows"):
            kind(odd)


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
