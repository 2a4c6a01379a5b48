"""The calibration itself: its truths by other means, its judgement of right and of wrong intervals, its command."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation import calibration
from evaluation.calibrations import means
from evaluation.calibrations.trial import Said, simulate, summary

CASES = {case.name: case for case in calibration.all_cases()}
MONTE_CARLO = 3  # standard errors, as many rows are looked at


@pytest.mark.parametrize("case", means.CASES, ids=lambda case: case.name)
def test_scores_have_the_mean_they_are_said_to_have(case):
    rng = np.random.default_rng(0)
    values = case.score(rng.random((40_000, 1)), rng.random((40_000, 1)), case.mean)
    assert values.mean() == pytest.approx(case.mean, abs=4 * values.std() / 200)
    assert case.bounds is None or (values.min() >= 0 and values.max() <= 1)


@pytest.mark.parametrize("name", ["kernel", "frechet, scenes", "frechet, heavy tails"])
def test_truths_in_closed_form_are_those_of_very_many_images(name):
    case = CASES[name]
    rng, d = np.random.default_rng(0), len(case.world.spread)
    sample = case.world.features(rng, rng.standard_normal((60_000, 1, d)), rng.standard_normal((60_000, 1, d)))
    if name == "kernel":  # the mean within a sample, over pairs drawn once
        halves = (np.einsum("nd,nd->n", *np.split(sample, 2)) / d + 1) ** 3
        across = ((sample[:4000] @ case.reference.features.T / d + 1) ** 3).mean()
        found, error = halves.mean() + case.reference.within - 2 * across, 0.05
    else:
        found, error = case.reference.distance(sample.mean(0), np.cov(sample.T)), 0.02
    truth = case.truth(case.reference, case.world)
    assert found == pytest.approx(truth, rel=error, abs=error * 0.1)


@pytest.mark.parametrize("name", [case.name for case in means.CASES])
def test_means_and_their_differences_hold_what_they_promise(name):
    within_the_bar(pd.DataFrame(simulate(CASES[name], 24, 4, 150)))


@pytest.mark.parametrize("name", ["frechet, isotropic", "kernel", "cmmd", "precision", "recall", "density", "coverage"])
def test_distances_and_their_differences_hold_what_they_promise(name):
    within_the_bar(pd.DataFrame(simulate(CASES[name], 24, 1, 50)))


def within_the_bar(rows):
    for row in rows.itertuples():
        least = 92 - MONTE_CARLO * (92 * 8 / row.draws) ** 0.5
        assert row.printed < 50 or row.coverage >= least, f"{row.estimate}: {row.coverage:.1f} %"
        assert not row.false > 5 + MONTE_CARLO * (5 * 95 / row.draws) ** 0.5, f"{row.estimate}: {row.false:.1f} % false"


def test_an_interval_that_does_not_hold_is_found_out():
    students = means.MeanCase("Student's, of a share", means.continuous, 0.95, 0.85)  # no bounds told
    table = calibration.calibrate([students], (8,), part=3)
    judged = table[(table["estimate"] == "mean") & (table["images"] == 1)]["misses"]
    assert list(judged) == ["holds too seldom"]


def test_an_interval_bought_by_width_is_found_out():
    def row(low, high):
        said = [Said(value, 1.0, value + low, value + high) for value in np.random.default_rng(0).normal(size=4000)]
        return pd.Series({"prompts": 24, "draws": 4000} | summary("mean", said, 0.0))

    assert calibration.misses(row(-1.96, 1.96)) == ""
    assert calibration.misses(row(-4, 4)) == "wider than it need be"
    assert calibration.misses(row(-1, 1)) == "holds too seldom"


def test_a_summary_counts_what_was_printed_and_what_was_claimed():
    said = [
        Said(1.0, 0.5, 0.5, 1.5, True),
        Said(-1.0, 0.5, -1.5, 0.5),
        Said(0.0, None, None, None),
        Said(0.0, 1.0, -1, 1),
    ]
    found = summary("paired, null", said, 0.0)
    assert found["printed"] == 75 and found["false"] == 25
    assert found["coverage"] == pytest.approx(200 / 3) and found["bias"] == 0
    assert found["error"] == pytest.approx(2 / 3 / np.std([1, -1, 0, 0], ddof=1))


def test_a_run_goes_on_where_it_stopped_and_gives_the_same_table(tmp_path, monkeypatch):
    case, file = CASES["unbounded, normal"], tmp_path / "calibration.csv"
    whole = calibration.calibrate([case], (4, 8), 50, file)
    calibration.calibrate([case], (4,), 50, tmp_path / "part.csv")
    seen = []
    monkeypatch.setattr(calibration, "simulate", lambda *cell: seen.append(cell[1:3]) or simulate(*cell))
    again = calibration.calibrate([case], (4, 8), 50, tmp_path / "part.csv")
    assert seen == [(8, 1), (8, 4)]
    pd.testing.assert_frame_equal(again.reset_index(drop=True), whole.reset_index(drop=True), check_dtype=False)


def test_the_command_prints_a_table_and_writes_it(tmp_path, capsys):
    code = calibration.main(["--quick", "--only", "unbounded, normal", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert code in (0, 1) and "| unbounded, normal | mean | 1 |" in printed and "rows within the bar" in printed
    assert (tmp_path / "calibration.md").read_text() in printed and (tmp_path / "calibration.csv").exists()


def test_an_unknown_case_is_refused_with_those_that_are_known(capsys):
    with pytest.raises(SystemExit) as stopped:
        calibration.main(["--only", "nothing"])
    assert stopped.value.code == 2 and "frechet, scenes" in capsys.readouterr().err
