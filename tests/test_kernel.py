"""Kernel distances against values worked out by hand, plainly computed ones and images of one prompt."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from evaluation.metrics.blocks import blocks_of
from evaluation.metrics.kernel import KernelReference
from evaluation.metrics.neighbours import NeighbourReference


def blocks(n, count=5):
    return np.arange(n) % count


def unbiased_mmd(x, y):
    """Gretton et al. 2012, eq. 3, the third power of x.y / d + 1, pair by pair."""

    def mean_of_pairs(a, b, same):
        kernel = (a @ b.T / a.shape[1] + 1) ** 3
        return (kernel.sum() - np.trace(kernel)) / (len(a) * (len(a) - 1)) if same else kernel.mean()

    return mean_of_pairs(x, x, True) + mean_of_pairs(y, y, True) - 2 * mean_of_pairs(x, y, False)


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


def test_the_kernel_distance_of_two_pairs_of_numbers_is_19_halves():
    assert KernelReference(np.array([[1.0], [2.0]])).distance(np.array([[0.0], [1.0]])) == pytest.approx(9.5)


@pytest.mark.parametrize(
    ("n", "d", "value"), [(500, 16, 0.091637458026), (1000, 64, 0.045923380371), (50, 64, 0.138858491961)]
)
def test_kernel_golden_values_hold(n, d, value):
    a, b = np.random.RandomState(0).randn(n, d), np.random.RandomState(1).randn(n, d) * 1.2 + 0.1
    assert KernelReference(a).distance(b) == pytest.approx(value, abs=1e-9)


def test_with_one_image_a_prompt_the_kernel_distance_is_the_plain_unbiased_one():
    rng = np.random.default_rng(5)
    real, fake, prompts = rng.normal(size=(40, 6)), rng.normal(size=(33, 6)) + 0.2, rng.permutation(33)
    found = KernelReference(real).measure(fake, prompts)
    assert found.whole == pytest.approx(unbiased_mmd(fake, real), abs=1e-10)
    blocks = blocks_of(prompts)
    for block, value in enumerate(found.left_out):
        assert value == pytest.approx(unbiased_mmd(fake[blocks != block], real), abs=1e-10)


def test_pairs_of_one_prompt_are_left_out_of_the_kernel_distance():
    rng = np.random.default_rng(6)
    real, fake, prompts = (
        rng.normal(size=(20, 3)),
        rng.normal(size=(14, 3)),
        np.array([0, 0, 1, 1, 1, 2, 3, 3, 4, 5, 5, 5, 6, 6]),
    )

    def by_hand(points, labels):
        kernel = (points @ points.T / 3 + 1) ** 3
        other = labels[:, None] != labels[None, :]
        inner = (real @ real.T / 3 + 1) ** 3
        within_real = (inner.sum() - np.trace(inner)) / (20 * 19)
        return kernel[other].mean() + within_real - 2 * ((points @ real.T / 3 + 1) ** 3).mean()

    found, blocks = KernelReference(real).measure(fake, prompts), blocks_of(prompts)
    assert found.whole == pytest.approx(by_hand(fake, prompts), abs=1e-10)
    for block, value in enumerate(found.left_out):
        assert value == pytest.approx(by_hand(fake[blocks != block], prompts[blocks != block]), abs=1e-10)


def test_the_kernel_distance_does_not_grow_with_images_a_prompt():
    rng = np.random.default_rng(7)
    reference, found = KernelReference(rng.normal(size=(400, 4))), {"prompts": [], "images": []}
    for _ in range(60):
        alike = np.repeat(rng.normal(size=(25, 1, 4)), 8, axis=1)
        fake = (np.sqrt(0.9) * alike + np.sqrt(0.1) * rng.normal(size=(25, 8, 4))).reshape(-1, 4)
        found["prompts"].append(reference.measure(fake, np.repeat(np.arange(25), 8)).whole)
        found["images"].append(reference.distance(fake))
    error = np.std(found["prompts"]) / np.sqrt(60)
    assert abs(np.mean(found["prompts"])) < 3 * error + 0.02, "equal distributions: zero on average"
    assert np.mean(found["images"]) > 10 * error, "as if its images were independent it would not be"


def test_images_of_one_prompt_alone_have_no_kernel_distance():
    reference = KernelReference(np.random.default_rng(0).normal(size=(10, 3)))
    assert np.isnan(reference.leave_out(np.ones((4, 3)), np.zeros(4, int), np.zeros(4, int))[0])
    assert reference.measure(np.ones((4, 3)), np.zeros(4, int)) is None


@pytest.mark.parametrize("statistic", ["kernel", "cmmd", "precision", "recall", "density", "coverage"])
def test_memory_goes_with_the_number_of_images_and_not_with_its_square(statistic, monkeypatch):
    monkeypatch.setattr("evaluation.metrics.blocks.PAIRS", 1 << 16)  # half a megabyte of distances at a time
    rng, n = np.random.default_rng(0), 3000
    real, fake, prompts = rng.normal(size=(n, 4)), rng.normal(size=(n, 4)), np.arange(n)
    kind = KernelReference if statistic in ("kernel", "cmmd") else NeighbourReference
    tracemalloc.start()
    found = kind(real, statistic).measure(fake, prompts)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.isfinite(found.value) and most < 9e6, "all pairs are 72 MB"
    monkeypatch.undo()
    again = kind(real, statistic).measure(fake, prompts)
    assert again.value == pytest.approx(found.value, rel=1e-9, abs=1e-12)
