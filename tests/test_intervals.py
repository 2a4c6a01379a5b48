"""Intervals against closed forms, tables of the papers, and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from evaluation.intervals import Share, p_value, share_difference, student, wilson

SURE = 1e9  # degrees of freedom: Student's quantile is the normal's


def test_students_interval_is_scipys():
    assert student(3.0, 0.5, 7) == pytest.approx(stats.t.interval(0.95, 7, 3.0, 0.5))
    assert student(3.0, 0.5, 7, 0.99) == pytest.approx(stats.t.interval(0.99, 7, 3.0, 0.5))


@pytest.mark.parametrize(("right", "n"), [(81, 263), (15, 148), (20, 48)])
def test_wilsons_interval_is_scipys_away_from_the_edge(right, n):
    expected = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson(Share(right / n, n, SURE)) == pytest.approx((expected.low, expected.high), abs=1e-6)


@pytest.mark.parametrize("right", [0, 1, 2, 46, 47, 48])
def test_near_an_edge_it_is_at_least_wilsons_and_holds_92_percent(right):
    low, high = wilson(Share(right / 48, 48, SURE))
    expected = stats.binomtest(right, 48).proportion_ci(0.95, method="wilson")
    assert low <= expected.low + 1e-9 and expected.high - 1e-9 <= high
    assert 0 <= low < right / 48 + 1e-12 and right / 48 - 1e-12 < high <= 1 and high - low > 0.05


@pytest.mark.parametrize("n", [8, 24, 48, 96])
def test_independent_draws_of_0_and_1_are_held_by_92_percent_at_every_share(n):
    bounds = [wilson(Share(right / n, n, n - 1)) for right in range(n + 1)]
    for share in np.linspace(0.5, 0.995, 100):
        chances = stats.binom.pmf(range(n + 1), n, share)
        held = sum(chance for chance, (low, high) in zip(chances, bounds) if low <= share <= high)
        assert held > 0.92, f"{share:.3f}: {held:.3f}"


def test_all_right_says_as_much_as_the_number_of_prompts_allows():
    low, high = wilson(Share.of(1.0, 0.0, 48, 47))
    square = stats.t.ppf(0.975, 47) ** 2
    assert (low, high) == (pytest.approx(48 / (48 + square)), 1.0)


def test_the_effective_size_is_the_variances_and_borrows_where_little_was_seen():
    assert Share.of(0.5, 0.25 / 200, 1000, 99).size == pytest.approx(200, rel=0.001)
    seen = Share.of(0.99, 0.99 * 0.01 / 200, 48, 47)
    assert 48 < seen.size < 200


def test_a_difference_of_two_shares_is_newcombes():
    # Newcombe 1998, table II: 56/70 and 48/80 by method 10 give 0.0524 to 0.3339.
    found = share_difference(Share(48 / 80, 80, SURE), Share(56 / 70, 70, SURE))
    assert found == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_a_difference_never_passes_1_and_is_never_of_width_0():
    same, all_right = share_difference(Share(1.0, 8, 7), Share(1.0, 8, 7), 1.0), Share(1.0, 4, 3)
    assert same[0] <= 0 <= same[1] and share_difference(Share(1.0, 8, 7), Share(1.0, 8, 7))[0] < 0
    low, high = share_difference(Share(0.0, 4, 3), all_right)
    assert low < 1 and high == 1


@pytest.mark.parametrize(("value", "se", "freedom"), [(1.0, 0.5, 9), (0.1, 0.5, 3), (-4.0, 0.3, 40)])
def test_the_p_value_of_students_interval_is_students(value, se, freedom):
    expected = 2 * stats.t.sf(abs(value / se), freedom)
    assert p_value(lambda level: student(value, se, freedom, level)) == pytest.approx(max(expected, 1e-12), rel=1e-6)


def test_no_difference_has_p_1():
    assert p_value(lambda level: student(0.0, 1.0, 5, level)) == 1.0
