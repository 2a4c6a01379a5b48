"""Metrics in a tracker."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from evaluation import trackers
from evaluation.run import main

SUMMARY = pd.DataFrame(
    [
        {"metric": "fid", "condition": "w = 1", "category": "", "value": 12.5},
        {"metric": "fid", "condition": "w = 2", "category": "", "value": 10.0},
        {"metric": "clip_score", "condition": "w = 1", "category": "animals", "value": 30.0},
        {"metric": "vae_psnr", "condition": "", "category": "", "value": 28.0},
        {"metric": "kid", "condition": "", "category": "", "value": float("nan")},
    ]
)


def test_a_scalar_is_a_metric_under_a_condition_over_all_prompts():
    assert trackers.scalars(SUMMARY) == {"fid/w = 1": 12.5, "fid/w = 2": 10.0, "vae_psnr": 28.0}


@pytest.mark.parametrize("tracker", trackers.TRACKERS)
def test_a_tracker_that_is_not_installed_stops_the_run_before_it_begins(tracker, monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, tracker, None)  # as if it were not installed
    (tmp_path / "p.txt").write_text("a red house\n")
    with pytest.raises(SystemExit) as left:
        main(["--prompts", str(tmp_path / "p.txt"), "--log", tracker, "--out", str(tmp_path / "run")])
    assert left.value.code == 2 and f"pip install {tracker}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_tensorboard_reads_back_what_was_sent(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trackers.track("tensorboard", tmp_path, SUMMARY)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = {name: events.Scalars(name)[0].value for name in events.Tags()["scalars"]}
    assert sorted(found.values()) == [10.0, 12.5, 28.0] and len(found) == 3


def test_wandb_keeps_what_was_sent_without_a_network(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    trackers.track("wandb", tmp_path, SUMMARY)
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
