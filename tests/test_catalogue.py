"""The catalogue: instant, whole, and its constants those that the metrics really calculate with."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from evaluation.catalogue import DEFAULTS, METRICS, find
from evaluation.detectors.references import Reference


def test_naming_every_metric_imports_no_torch():
    code = "import sys, evaluation.run; evaluation.run.parser(); sys.exit(bool({'torch', 'scipy', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_metric_is_called_as_its_key_and_defaults_are_known():
    assert all(metric.name == name for name, metric in METRICS.items())
    for names in DEFAULTS.values():
        assert [metric.name for metric in find(names)] == list(names)
    with pytest.raises(ValueError, match="'beauty' is unknown; known: fid"):
        find(["beauty"])


@pytest.fixture(scope="module")
def reference():
    return Reference.of("", np.random.default_rng(0).normal(size=(40, 6)))


@pytest.mark.parametrize("name", ["fid", "kid", "cmmd", "precision_scenes", "recall_scenes", "coverage_fashion"])
def test_a_distance_measures_and_leaves_blocks_out(reference, name):
    features, blocks = np.random.default_rng(1).normal(size=(30, 6)) + 0.5, np.arange(30) % 5
    whole, left_out = METRICS[name].target(reference).leave_out(features, blocks)
    assert np.isfinite(whole) and len(left_out) == 5 and np.isfinite(left_out).all()


def test_the_kernels_constants_are_those_it_calculates_with(reference):
    x, y = np.random.default_rng(1).normal(size=(30, 6)), reference.features.astype(float)
    named = METRICS["kid"].constants
    assert named["gamma"] == "1 / dimension" and named["estimator"] == "unbiased"

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + named["coef0"]) ** named["degree"]

    def within(a):
        values = kernel(a, a)
        return (values.sum() - np.trace(values)) / (len(a) * (len(a) - 1))

    expected = within(x) + within(y) - 2 * kernel(x, y).mean()
    whole, _ = METRICS["kid"].target(reference).leave_out(x, np.zeros(30, int))
    assert whole == pytest.approx(expected, rel=1e-9)


def test_cmmds_constants_are_those_it_calculates_with(reference):
    x, y = np.random.default_rng(1).normal(size=(30, 6)), reference.features.astype(float)
    named = METRICS["cmmd"].constants
    x, y = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, y))

    def mean(a, b):
        squares = ((a[:, None] - b[None]) ** 2).sum(-1)
        return np.exp(-squares / (2 * named["sigma"] ** 2)).mean()

    expected = named["scale"] * (mean(x, x) + mean(y, y) - 2 * mean(x, y))
    whole, _ = METRICS["cmmd"].target(reference).leave_out(x, np.zeros(30, int))
    assert whole == pytest.approx(expected, rel=1e-6)


def test_a_reference_without_features_serves_frechet_alone():
    bare = Reference("bare", np.zeros(4), np.eye(4))
    assert METRICS["fid"].reference_obstacle(bare) is None
    for name in ("kid", "cmmd", "coverage_scenes"):
        assert "mean and covariance alone" in METRICS[name].reference_obstacle(bare)
        with pytest.raises(ValueError, match="mean and covariance alone"):
            METRICS[name].target(bare)


def test_neighbours_take_their_k_from_the_metric(reference):
    import dataclasses

    one = dataclasses.replace(METRICS["coverage_scenes"], k=1)
    features, blocks = np.random.default_rng(1).normal(size=(30, 6)), np.zeros(30, int)
    assert one.constants == {"k": 1}
    assert one.target(reference).leave_out(features, blocks) != METRICS["coverage_scenes"].target(reference).leave_out(
        features, blocks
    )
