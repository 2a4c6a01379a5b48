"""The guidance study from end to end, on a model of a few thousand weights."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from evaluation import study
from evaluation.catalogue import METRICS
from evaluation.detectors.pixels import clipped
from evaluation.studies import guidance
from ldm_core import registry


@pytest.fixture
def asked(tmp_path, tiny_folder, monkeypatch):
    """The command for a small model of the drawn world, with two rules and CFG++."""
    spec = registry.ModelSpec("small", str(tiny_folder), height=32, width=32, steps=2, world="everyday")
    monkeypatch.setitem(registry.MODELS, "small", spec)
    monkeypatch.setattr(guidance, "RULES", {name: guidance.RULES[name] for name in ("cfg", "apg")})
    monkeypatch.setattr(guidance, "BOUNDED_SCALES", (0.5,))
    monkeypatch.setitem(guidance.MEASURES, "everyday", ("clip_scenes", "fd_scenes", "clipped"))
    return [
        "--out",
        str(tmp_path),
        "guidance",
        "--model",
        "small",
        "--prompts",
        "8",
        "--scales",
        "1,3",
        "--device",
        "cpu",
    ]


def test_the_study_draws_each_rule_compares_it_and_resumes(asked, tmp_path, capsys):
    assert study.main(asked) == 0
    out = tmp_path / "guidance"
    pictures = {path: path.stat().st_mtime_ns for path in (out / "work").rglob("*.png")}
    assert len(pictures) == 8 * (2 * 2 + 1)
    compared, conditions = (pd.read_csv(out / f"{name}.csv") for name in ("compared", "conditions"))
    assert set(compared["rule"]) == {"apg", "cfg++"} and set(compared["metric"]) <= set(METRICS)
    assert {"clip_scenes", "fd_scenes", "clipped"} == set(conditions["metric"])
    rows = conditions[conditions["metric"] == "clipped"].set_index(["rule", "guidance_scale"])["rows"]
    assert rows["cfg", 1] == 2 and rows["apg", 3] == 4 and rows["cfg++", 0.5] == 4
    facts = json.loads((out / "study.json").read_text())
    assert facts["verdict"] in capsys.readouterr().out and "chosen on 4 captions" in facts["notes"][0]
    assert {path.name for path in out.glob("*.svg")} >= {"front.svg", "fd_scenes.svg", "clipped.svg"}
    asked[asked.index("1,3")] = "1"
    assert study.main(asked) == 0
    assert set(pd.read_csv(out / "conditions.csv")["guidance_scale"]) == {1.0, 0.5}
    assert {path: path.stat().st_mtime_ns for path in (out / "work").rglob("*.png")} == pictures


def test_a_model_of_no_measured_world_is_refused_before_anything_is_drawn(asked, capsys):
    asked[asked.index("small")] = "sd1.5"
    with pytest.raises(SystemExit) as ended:
        study.main(asked)
    assert ended.value.code == 2 and "none of the worlds that can be measured" in capsys.readouterr().err


def test_clipped_counts_pixels_with_a_channel_at_either_end():
    images = torch.full((2, 3, 2, 2), 0.5)
    images[0, 0, 0, 0], images[0, 2, 1, 1], images[0, 1, 1, 1] = 0.0, 1.0, 1.0
    assert clipped(images).tolist() == [0.5, 0.0]
    assert np.isclose(clipped(torch.full((1, 3, 1, 1), 0.4 / 255)).item(), 1.0), "as files round it"
