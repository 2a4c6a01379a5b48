"""Differences: interval, p value and verdict are one statement."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from evaluation.comparisons import (
    Difference,
    independent_means,
    independent_statistics,
    paired_means,
    paired_statistics,
    statements,
    verdict,
)
from evaluation.intervals import share_difference
from evaluation.statistics import Jackknifed, Mean


def means(seed=0, n=30, gap=0.4, bounds=None):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=n), rng.normal(size=n) + gap
    if bounds:
        first, second = (np.clip((values + 3) / 6, 0, 1) for values in (first, second))
    return Mean.of(first, bounds=bounds), Mean.of(second, bounds=bounds)


def test_a_paired_difference_of_means_is_scipys_paired_test():
    first, second = means()
    found = paired_means(first, second)
    expected = stats.ttest_rel(second.values, first.values)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval(0.95) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_an_unpaired_difference_of_means_is_welchs():
    first, _ = means(0, 30)
    _, second = means(1, 12)
    found, expected = independent_means(first, second), stats.ttest_ind(second.values, first.values, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval(0.95) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_bounded_scores_have_nearly_students_error_where_that_holds_and_stay_within_1():
    first, second = means(2, 200, 0.4, (0, 1))
    found, plain = paired_means(first, second), paired_means(Mean.of(first.values), Mean.of(second.values))
    assert found.se == pytest.approx(plain.se)
    assert found.interval(0.95) == pytest.approx(plain.interval(0.95), abs=0.01)
    low, high = paired_means(Mean.of([0.0] * 4, bounds=(0, 1)), Mean.of([1.0] * 4, bounds=(0, 1))).interval(0.95)
    assert -1 <= low < high <= 1


def test_a_difference_of_shares_is_the_wider_of_newcombes_and_students():
    first, second = means(2, 24, 0.4, (0, 1))
    found, plain = paired_means(first, second), paired_means(Mean.of(first.values), Mean.of(second.values))
    correlation = np.corrcoef(first.values, second.values)[0, 1]
    newcombes, students = share_difference(first.share, second.share, correlation), plain.interval(0.95)
    expected = min(newcombes[0], students[0]), max(newcombes[1], students[1])
    assert found.interval(0.95) == pytest.approx(expected)


def test_two_prompts_that_go_from_1_to_0_prove_nothing():
    for bounds in (None, (0, 1)):
        found = paired_means(Mean.of([1.0, 1.0], bounds=bounds), Mean.of([0.0, 0.0], bounds=bounds))
        (statement,) = statements([found])
        assert found.p is None and statement.low is None and statement.is_tied is None
        assert verdict(found, statement, True) == "not known: fewer than three prompts: nothing known of the spread"


def test_where_every_prompt_changes_alike_nothing_is_known_of_the_spread():
    values = np.random.default_rng(0).normal(size=20)
    found = paired_means(Mean.of(values), Mean.of(values + 0.1))
    assert found.p is None and "nothing known of the spread" in verdict(found, statements([found])[0], True)


def test_what_does_not_change_at_all_is_tied_without_a_p_value():
    values = np.random.default_rng(0).normal(size=20)
    found = paired_means(Mean.of(values), Mean.of(values))
    assert found.p is None and verdict(found, statements([found])[0], True).startswith("tied at this n")


def test_other_prompts_on_the_two_sides_are_refused():
    with pytest.raises(ValueError, match="same prompts"):
        paired_means(Mean.of([1.0, 2, 3], [0, 0, 1]), Mean.of([1.0, 2, 3], [0, 1, 1]))


def by_mean(values):
    """The mean as a statistic of the sample, one value a block."""
    values = np.asarray(values)
    left_out = (values.sum() - values) / (len(values) - 1)
    return Jackknifed(float(values.mean()), left_out, np.ones(len(values), int), len(values))


def test_statistics_that_are_means_differ_as_means_do():
    first, second = means(3, 25)
    for of_statistics, of_means in ((paired_statistics, paired_means), (independent_statistics, independent_means)):
        found = of_statistics(by_mean(first.values), by_mean(second.values))
        expected = of_means(first, second)
        assert found.se == pytest.approx(expected.se) and found.p == pytest.approx(expected.p)
        assert found.interval(0.95) == pytest.approx(expected.interval(0.95))


def differences(count, seed):
    rng = np.random.default_rng(seed)
    shifts = rng.choice([0.0, 0.5, 1.0], size=count)
    return [paired_means(*means(int(rng.integers(1 << 30)), 20, shift)) for shift in shifts]


@pytest.mark.parametrize("seed", range(20))
def test_tied_means_that_the_printed_interval_holds_0_and_that_p_by_holm_is_5_percent_or_more(seed):
    found = differences(6, seed)
    stated = statements(found)
    expected = holm([difference.p for difference in found])
    for difference, statement, p in zip(found, stated, expected):
        assert statement.p == pytest.approx(p)
        assert statement.is_tied == (statement.low <= 0 <= statement.high) == (p >= 0.05)
        assert verdict(difference, statement, True).startswith("tied") == statement.is_tied
        plain = difference.interval(0.95)
        assert statement.low <= plain[0] and plain[1] <= statement.high, "never shorter than the plain interval"


def holm(p_values):
    """Written out from the paper."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = {}
    for rank, index in enumerate(order):
        adjusted[index] = max([min(1, (len(order) - rank) * p_values[index]), *adjusted.values()])
    return [adjusted[index] for index in range(len(order))]


def test_one_comparison_alone_is_not_adjusted():
    found = paired_means(*means())
    (statement,) = statements([found])
    assert statement.p == pytest.approx(found.p) and statement.confidence == pytest.approx(0.95)


def test_what_has_no_interval_counts_for_none_of_the_others():
    known, unknown = paired_means(*means()), Difference(1.0, 2, note="two prompts")
    stated = statements([unknown, known, unknown])
    assert stated[0].p is None and stated[1].p == pytest.approx(known.p)
    assert statements([]) == []


def test_verdicts_name_the_better_of_two():
    found = paired_means(*means(0, 30, 2.0))
    (statement,) = statements([found])
    assert verdict(found, statement, True, "w = 1", "w = 2") == "w = 2 is better"
    assert verdict(found, statement, False, "w = 1", "w = 2") == "w = 1 is better"
