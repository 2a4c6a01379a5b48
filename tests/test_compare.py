"""Two runs paired: the differences by hand, refusals, and an exit code that a pipeline can use."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from evaluation import compare
from evaluation.run import main as run

PROMPTS = "a red house on the left\na boat on a lake at night\nclouds over mountains\nthe sun at dawn\n"


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_folder):
    folder = tmp_path_factory.mktemp("runs")
    (folder / "p.txt").write_text(PROMPTS)
    for name, steps in (("one", "1"), ("two", "2")):
        run(
            [
                "--model",
                str(tiny_folder),
                "--prompts",
                str(folder / "p.txt"),
                "--steps",
                steps,
                "--device",
                "cpu",
                "--dtype",
                "fp32",
                "--guidance-scales",
                "1,3",
                "--metrics",
                "fd_scenes,clip_scenes",
                "--out",
                str(folder / name),
            ]
        )
    return folder


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
    assert "verdict" in capsys.readouterr().out


def test_a_run_against_itself_differs_nowhere_and_passes_every_gate(runs, capsys):
    one = str(runs / "one")
    assert compare.main([one, one, "--fail-if-worse", "clip_scenes:0", "--fail-if-worse", "fd_scenes:0"]) == 0
    assert "tied at this n" in capsys.readouterr().out


def test_a_run_that_is_worse_than_allowed_fails(runs, capsys):
    one, two = str(runs / "one"), str(runs / "two")
    outcomes = [compare.main([a, b, "--fail-if-worse", "clip_scenes:0"]) for a, b in ((one, two), (two, one))]
    assert max(outcomes) == 1 and "is worse by" in capsys.readouterr().out
    assert compare.main([one, two, "--fail-if-worse", "clip_scenes:99"]) == 0


@pytest.mark.parametrize(
    ("gate", "message"),
    [("beauty:1", "must look like"), ("clip_scenes", "must look like"), ("kd_scenes:1", "do not both")],
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
