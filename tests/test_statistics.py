"""Error bars against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from evaluation import statistics
from evaluation.metrics.frechet import FrechetReference, Moments


def test_a_mean_has_the_textbook_error_and_interval():
    values = np.random.RandomState(0).randn(40) + 3
    found = statistics.mean(values)
    assert found.se == pytest.approx(values.std(ddof=1) / np.sqrt(40))
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 39, values.mean(), found.se))


def test_copies_within_a_prompt_add_no_certainty():
    values = np.random.RandomState(0).randn(20)
    once, thrice = statistics.mean(values), statistics.mean(np.repeat(values, 3), np.repeat(np.arange(20), 3))
    assert thrice.se == pytest.approx(once.se) and thrice.value == pytest.approx(once.value)


def test_a_single_value_has_no_error_bar():
    found = statistics.mean([2.0])
    assert (found.value, found.n, found.se, found.low) == (2.0, 1, None, None)


def test_the_jackknife_of_a_mean_is_its_standard_error_and_has_no_bias():
    values = np.random.RandomState(0).randn(25)
    left_out = [(values.sum() - value) / 24 for value in values]
    found, corrected = statistics.jackknife(values.mean(), left_out, 25)
    assert found.se == pytest.approx(values.std(ddof=1) / 5) and corrected == pytest.approx(values.mean())


def test_the_jackknife_removes_most_of_the_bias_of_the_frechet_distance():
    d, n, blocks = 16, 800, 20
    exact = FrechetReference(np.zeros(d), np.eye(d))
    plain, corrected = [], []
    for seed in range(10):
        x = np.random.RandomState(seed).randn(n, d)
        whole = Moments.of(x)
        parts = [whole - Moments.of(x[index::blocks]) for index in range(blocks)]
        distance = exact.distance(whole.mean, whole.covariance)
        plain.append(distance)
        corrected.append(statistics.jackknife(distance, [exact.distance(p.mean, p.covariance) for p in parts], n)[1])
    assert abs(np.mean(corrected)) < 0.25 * np.mean(plain)


def test_holm_multiplies_the_smallest_most_and_never_reorders():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert statistics.holm([]) == []


def test_p_values_equal_scipys_paired_test():
    a, b = np.random.RandomState(0).randn(30), np.random.RandomState(1).randn(30) + 0.4
    found = statistics.mean(b - a)
    assert statistics.p_value(found.value, found.se, 29) == pytest.approx(stats.ttest_rel(b, a).pvalue)


def test_blocks_are_even_the_same_each_time_and_blind_to_the_order_of_a_prompt_file():
    blocks = statistics.shuffled_blocks(1000, 20)
    assert set(np.bincount(blocks)) == {50} and (blocks == statistics.shuffled_blocks(1000, 20)).all()
    labels = np.arange(1000) % 10  # a file that goes through ten labels in turn
    shares = [np.bincount(labels[blocks == block], minlength=10).max() for block in range(20)]
    assert max(shares) < 20, "i % 20 would put 50 prompts of one label into a block"
