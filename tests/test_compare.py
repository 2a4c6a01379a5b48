"""Runs beside each other: the differences by hand, any axis, other seeds, refusals, and an exit code that a pipeline can use."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from evaluation import compare
from evaluation.catalogue import METRICS
from evaluation.finished import Finished
from evaluation.run import main as run
from evaluation.worlds import DRAWN_WORLD

PROMPTS = "a red house on the left\na boat on a lake at night\nclouds over mountains\nthe sun at dawn\n"
RUNS = {
    "one": "--steps 1 --guidance-scales 1,3",
    "two": "--steps 2 --guidance-scales 1,3",
    "seeded": "--steps 1 --guidance-scales 1,3 --seed 5",
    "swept": "--sweep steps=1,2 --guidance-scales 3",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_folder):
    folder = tmp_path_factory.mktemp("runs")
    (folder / "p.txt").write_text(PROMPTS)
    fixed = f"--model {tiny_folder} --prompts {folder / 'p.txt'} --device cpu --dtype fp32 --metrics fd_scenes,clip_scenes,vae_psnr"
    for name, more in RUNS.items():
        assert run([*fixed.split(), *more.split(), "--out", str(folder / name)]) == 0
    return folder


def table_of(runs, *names):
    return compare.compare([Finished.read(runs / name) for name in names])


def test_differences_of_two_runs_are_those_of_their_tables(runs, capsys):
    assert compare.main([str(runs / "one"), str(runs / "two"), "--out", str(runs / "table.csv")]) == 0
    table = pd.read_csv(runs / "table.csv").set_index(["metric", "scale"])
    one, two = (pd.read_csv(runs / name / "images.csv") for name in ("one", "two"))
    change = (two["clip_scenes"] - one["clip_scenes"])[one["guidance_scale"] == 3]
    assert table.loc[("clip_scenes", 3), "difference"] == pytest.approx(change.mean())
    assert table.loc[("clip_scenes", 3), "se"] == pytest.approx(change.std() / 2)
    first, second = (pd.read_csv(runs / name / "summary.csv") for name in ("one", "two"))
    fd = [
        part[(part["metric"] == "fd_scenes") & (part["guidance_scale"] == 1)]["value"].iloc[0]
        for part in (first, second)
    ]
    assert table.loc[("fd_scenes", 1), "difference"] == pytest.approx(fd[1] - fd[0])
    said = capsys.readouterr().out
    assert "verdict" in said and "the runs differ in steps: 1 and 2\n" in said


def test_every_verdict_is_what_its_interval_and_its_p_value_say(runs):
    for table in (
        pd.read_csv(runs / "one" / "differences.csv"),
        table_of(runs, "one", "two"),
        table_of(runs, "one", "seeded"),
    ):
        known = table.dropna(subset=["low"])
        assert len(known) and (known["confidence"] >= 0.95 - 1e-9).all()
        for row in known.itertuples():
            assert (row.low <= 0 <= row.high) == row.verdict.startswith("tied") == (row.p >= 0.05)


def test_a_summary_says_what_the_interval_of_a_distance_is_about(runs):
    summary = pd.read_csv(runs / "one" / "summary.csv")
    notes = summary[summary["metric"] == "fd_scenes"]["note"]
    assert len(notes) == 2 and notes.str.endswith("interval about the expected value at this n").all()


def test_a_run_against_itself_differs_nowhere_and_passes_every_gate(runs, capsys):
    one = str(runs / "one")
    assert compare.main([one, one, "--fail-if-worse", "clip_scenes:0", "--fail-if-worse", "fd_scenes:0"]) == 0
    said = capsys.readouterr().out
    assert "tied at this n" in said and "the runs were made alike" in said


def test_a_run_that_is_worse_than_allowed_fails(runs, capsys):
    one, two = str(runs / "one"), str(runs / "two")
    for first, other in ((one, two), (two, one)):
        outcome = compare.main([first, other, "--fail-if-worse", "clip_scenes:0"])
        said = capsys.readouterr().out
        assert outcome == ("is worse by" in said)
    assert compare.main([one, two, "--fail-if-worse", "clip_scenes:99"]) == 0


@pytest.mark.parametrize(
    ("low", "high", "worse", "unclear"),
    [(0.5, 1.5, 0, 0), (0.5, 4.0, 0, 1), (2.5, 4.0, 1, 0), (None, None, 0, 1), (-4.0, -2.5, 0, 0)],
)
@pytest.mark.parametrize("metric", ["fd_scenes", "clip_scenes"])
def test_the_gate_fails_where_the_whole_interval_is_beyond_the_margin_and_warns_where_it_cannot_tell(
    metric, low, high, worse, unclear
):
    loss = 3.0 if low is None else (low + high) / 2
    row = {"run": "B", "condition": "w = 2", "metric": metric, "difference": loss, "low": low, "high": high}
    if METRICS[metric].higher_is_better:
        row |= {"difference": -loss} | ({} if low is None else {"low": -high, "high": -low})
    found = compare.gate(pd.DataFrame([row]), {metric: 2.0})
    assert [len(lines) for lines in found] == [worse, unclear]


def test_other_seeds_are_said_in_words_and_have_the_error_of_two_samples(runs):
    table = table_of(runs, "one", "seeded").set_index(["metric", "scale"])
    row = table.loc[("clip_scenes", 3.0)]
    one, other = (pd.read_csv(runs / name / "images.csv") for name in ("one", "seeded"))
    first, second = (part[part["guidance_scale"] == 3]["clip_scenes"] for part in (one, other))
    assert row["note"] == compare.UNPAIRED and row["difference"] == pytest.approx(second.mean() - first.mean())
    assert row["se"] == pytest.approx((first.var() / 4 + second.var() / 4) ** 0.5)
    assert table.loc[("fd_scenes", 1.0), "note"] == compare.UNPAIRED
    assert "run_seed: 0 and 5" in compare.protocol_differences([Finished.read(runs / n) for n in ("one", "seeded")])


def test_a_swept_run_is_matched_by_what_its_conditions_really_were(runs):
    for other, condition in (("one", "w = 3, steps = 1"), ("two", "w = 3, steps = 2")):
        table = table_of(runs, "swept", other)
        rows = table[table["metric"] == "clip_scenes"]
        assert rows["condition"].tolist() == [condition] and rows["difference"].tolist() == [0]


def test_three_runs_are_one_table(runs, capsys):
    assert compare.main([str(runs / name) for name in ("one", "two", "seeded")]) == 0
    said = capsys.readouterr().out
    assert "two, seeded - one" in said and "steps: 1 and 2 and 1" in said
    table = table_of(runs, "one", "two", "seeded")
    assert table.groupby("run").size().to_dict() == {"two": 5, "seeded": 5}
    side = compare.values_side_by_side(table)
    summary = pd.read_csv(runs / "two" / "summary.csv").set_index(["metric", "condition"])["value"]
    assert side.loc[("clip_scenes", "w = 3"), "two"] == pytest.approx(summary["clip_scenes", "w = 3"])
    assert list(side.columns) == ["one", "seeded", "two"]


def test_what_an_autoencoder_keeps_is_compared_too(runs):
    row = table_of(runs, "one", "two").set_index("metric").loc["vae_psnr"]
    assert row["difference"] == 0 and "not kept" in row["note"]


def test_a_metric_that_cannot_be_compared_has_a_row_that_says_why(runs, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(runs / "two", other)
    facts = json.loads((other / "run.json").read_text())
    facts["references"][DRAWN_WORLD]["n"] += 1
    facts["not_computed"] = {"vae_psnr": "no time"}
    (other / "run.json").write_text(json.dumps(facts))
    table = compare.compare([Finished.read(runs / "one"), Finished.read(other)]).set_index("metric")
    assert table.loc["fd_scenes", "note"].startswith("not compared: another reference")
    assert table.loc["vae_psnr", "note"] == "not compared: other has no value of it"
    assert table.loc["clip_scenes", "difference"].notna().all()
    for gate, why in (("fd_scenes:1", "another reference"), ("vae_psnr:1", "other has no value of it")):
        with pytest.raises(ValueError, match=f"--fail-if-worse {gate[:-2]}: not compared: {why}"):
            compare.gate(table.reset_index(), compare.margins([gate]))


def test_a_strict_gate_fails_where_the_images_are_too_few_to_tell(runs, capsys):
    one, two = str(runs / "one"), str(runs / "two")
    table = table_of(runs, "one", "two")
    rows = table[table["metric"] == "clip_scenes"].astype({"low": float, "high": float})
    most = max(-rows["low"].min(), 0.01)  # the largest loss that an interval holds
    least = max(0.0, -rows["high"].min())  # beyond which a loss is known
    between = f"clip_scenes:{(least + most) / 2}"
    assert compare.main([one, two, "--fail-if-worse", between]) == 0 and "warning: two" in capsys.readouterr().out
    assert compare.main([one, two, "--fail-if-worse", between, "--strict"]) == 1
    assert "more images would tell" in capsys.readouterr().out
    assert compare.main([one, two, "--fail-if-worse", f"clip_scenes:{most + 0.01}", "--strict"]) == 0
    with pytest.raises(SystemExit) as ended:
        compare.main([one, two, "--strict"])
    assert ended.value.code == 2 and "give --fail-if-worse METRIC:MARGIN too" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("beauty:1", "must look like"),
        ("clip_scenes", "must look like"),
        ("kd_scenes:1", "none of the runs has a value of it"),
    ],
)
def test_a_gate_that_makes_no_sense_is_one_line(runs, gate, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        compare.main([str(runs / "one"), str(runs / "two"), "--fail-if-worse", gate])
    assert stopped.value.code == 2 and message in capsys.readouterr().err


def test_runs_of_other_prompts_and_folders_that_are_no_runs_are_refused(runs, tmp_path, capsys):
    shutil.copytree(runs / "two", tmp_path / "other")
    text = (tmp_path / "other" / "run.json").read_text()
    (tmp_path / "other" / "run.json").write_text(text.replace('"prompts_sha256": "', '"prompts_sha256": "0'))
    for second, message in ((tmp_path / "other", "prompts_sha256"), (tmp_path, "is no finished run")):
        with pytest.raises(SystemExit) as stopped:
            compare.main([str(runs / "one"), str(second)])
        assert stopped.value.code == 2 and message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        compare.main([str(runs / "one")])
    assert "two runs or more" in capsys.readouterr().err
