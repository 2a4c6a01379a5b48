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


def test_a_share_of_all_right_is_not_certain():
    found = statistics.mean(np.ones(48), bounds=(0, 1))
    assert found.value == 1 and found.se is None and 0.9 < found.low < 0.95 and found.high == 1


def test_an_interval_of_a_share_stays_within_its_bounds_whatever_their_scale():
    values = np.array([1.0] * 19 + [0.0])
    share, percent = statistics.mean(values, bounds=(0, 1)), statistics.mean(100 * values, bounds=(0, 100))
    assert 0 < share.low < share.value < share.high <= 1 < share.value + 2.1 * share.se
    assert (percent.low, percent.high) == pytest.approx((100 * share.low, 100 * share.high))


def test_a_share_of_independent_images_has_wilsons_interval():
    values = np.r_[np.ones(60), np.zeros(40)]
    found = statistics.mean(values, bounds=(0, 1))
    n = 0.24 / found.se**2
    square = stats.t.ppf(0.975, 99) ** 2
    centre = (0.6 + square / (2 * n)) / (1 + square / n)
    reach = np.sqrt(square * (0.24 / n + square / (4 * n * n))) / (1 + square / n)
    assert (found.low, found.high) == pytest.approx((centre - reach, centre + reach), rel=1e-3)


def test_copies_within_a_prompt_do_not_shorten_a_shares_interval():
    values = np.random.RandomState(0).rand(20)
    once = statistics.mean(values, bounds=(0, 1))
    thrice = statistics.mean(np.repeat(values, 3), np.repeat(np.arange(20), 3), (0, 1))
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))


def test_values_beyond_their_bounds_are_refused():
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        statistics.mean([0.5, 1.5], bounds=(0, 1))


def test_where_n_allows_nothing_there_are_no_bounds_but_a_note():
    assert statistics.mean([2.0, 3.0], ["a", "a"]).note == "one prompt: nothing known of the spread"
    constant = statistics.mean([2.0, 2.0, 2.0])
    assert constant.low is None and constant.se is None and "nothing known of the spread" in constant.note
    infinite = statistics.mean([2.0, float("inf"), 3.0])
    assert infinite.low is None and "not finite" in infinite.note


def test_blocks_of_uneven_size_still_give_a_means_error_and_no_bias():
    rng = np.random.default_rng(0)
    spreads = []
    for _ in range(200):
        values, blocks = rng.normal(size=24), statistics.shuffled_blocks(24, 20)
        left_out = np.array([values[blocks != block].mean() for block in range(20)])
        found = statistics.Jackknifed(values.mean(), left_out, np.bincount(blocks), 24)
        assert found.corrected == pytest.approx(values.mean())
        spreads.append(found.variance)
    assert np.mean(spreads) == pytest.approx(1 / 24, rel=0.1)


def test_uneven_blocks_do_not_take_the_bias_for_spread():
    # A statistic that is 1 / n and nothing else has no variance; blocks of 1 and 2 of 24 must not invent any.
    sizes = np.bincount(statistics.shuffled_blocks(24, 20))
    found = statistics.Jackknifed(1 / 24, 1 / (24 - sizes), sizes, 24)
    naive = 19 / 20 * np.square(found.left_out - found.left_out.mean()).sum()
    assert found.variance < 0.01 * naive and found.corrected == pytest.approx(0, abs=1e-3)


def test_a_shares_jackknife_takes_off_half_of_what_pairs_of_blocks_add():
    # x1 x2 + x2 x3 + ... over pairs: all of its variance is of pairs, and the jackknife counts it twice.
    rng, blocks, ratios = np.random.default_rng(0), 20, []

    def statistic(values):
        return 0.5 + (values.sum() ** 2 - np.square(values).sum()) / 20000

    truth = np.var([statistic(rng.normal(size=blocks)) for _ in range(4000)])
    for _ in range(300):
        values = rng.normal(size=blocks)
        keep = [np.delete(values, block) for block in range(blocks)]
        pairs = [np.delete(values, [block, (block + 1) % blocks]) for block in range(blocks)]
        left_out, both = np.array([*map(statistic, keep)]), np.array([*map(statistic, pairs)])
        plain = statistics.Jackknifed(statistic(values), left_out, np.ones(blocks, int), blocks, "share")
        half = statistics.Jackknifed(statistic(values), left_out, np.ones(blocks, int), blocks, "share", both)
        ratios.append((plain.variance / truth, half.variance / truth))
    counted_twice, corrected = np.mean(ratios, axis=0)
    assert counted_twice == pytest.approx(2, abs=0.3) and corrected == pytest.approx(1.5, abs=0.3)


def test_a_statistic_without_its_parts_has_no_interval():
    found = statistics.Jackknifed(0.5, np.array([0.4, np.nan, 0.6]), np.ones(3, int), 3, "share").estimate()
    assert found.low is None and found.se is None and "too few images" in found.note


def test_an_estimate_says_what_its_interval_is_about():
    found = statistics.Jackknifed(2.0, np.array([1.5, 2.0, 2.5]), np.ones(3, int), 3)
    assert found.estimate().about == "the expected value at this n"
    assert found.corrected_estimate().about == "the distance itself, whatever n"


def test_no_spread_has_no_p_value():
    assert statistics.p_value(-1.0, 0.0, 1) is None
