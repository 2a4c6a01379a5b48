"""The study of serving: exports, what they lose, what clients wait for; and the command that times them."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from demo import serve_timing
from evaluation import study
from evaluation.studies import serving
from evaluation.studies.serving import PLAIN
from evaluation.studies.study import FAILS, HOLDS, IN_PART


def test_the_timing_command_writes_what_each_number_of_clients_waited(tiny_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(serve_timing, "CLIENTS", (1, 2))
    file = tmp_path / "waits.csv"
    given = ["--model", str(tiny_folder), "--engine", "torch", "--dtype", "fp32", "--requests", "1", "--steps", "1"]
    command = [*given, "--csv", str(file)]
    assert serve_timing.main(command) == 0
    table = pd.read_csv(file)
    assert table["clients"].tolist() == [1, 2] and set(table["engine"]) == {"torch"}
    assert set(table["precision"]) == {"float32"}
    assert (table["p50"] <= table["p95"]).all() and (table[["load_seconds", "first_seconds", "rate"]] > 0).all().all()
    assert "1 steps" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        serve_timing.main(["--steps", "0"])
    assert ended.value.code == 2 and "--steps must be 1 or more, got 0" in capsys.readouterr().err


def waits_of(p50: dict[str, float]) -> pd.DataFrame:
    rows = [
        {
            "way": way,
            "clients": clients,
            "p50": clients * value,
            "rate": 1 / value,
            "load_seconds": 1.0,
            "first_seconds": 2.0,
        }
        for way, value in p50.items()
        for clients in (1, 4)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("p50", "accepted", "verdict"),
    [
        ({PLAIN: 0.4, "onnx int8": 0.17}, [PLAIN, "onnx int8"], HOLDS),
        ({PLAIN: 0.4, "onnx int8": 0.17}, [PLAIN], FAILS),
        ({PLAIN: 0.4, "openvino bf16": 0.17, "onnx int8": 0.19}, [PLAIN, "openvino bf16", "onnx int8"], IN_PART),
        ({PLAIN: 0.4, "onnx int8": 0.2}, [PLAIN, "onnx int8"], FAILS),
    ],
)
def test_only_an_export_that_loses_nothing_counts(p50, accepted, verdict):
    found, words = serving.concluded(waits_of(p50), accepted)
    assert found == verdict and f"{1000 * p50['onnx int8']:.0f} ms" in words


def test_an_export_is_accepted_where_every_interval_lies_within_its_margin():
    rows = pd.DataFrame(
        {
            "way": ["a", "a", "b", "b"],
            "metric": ["scene_accuracy", "fd_scenes"] * 2,
            "within": [True, True, True, False],
        }
    )
    assert serving.accepted_ways(rows) == [PLAIN, "a"]
    assert serving._margin(pd.Series({"metric": "fd_scenes", "value_a": 40.0})) == pytest.approx(2)
    assert serving._margin(pd.Series({"metric": "scene_accuracy", "value_a": 0.9})) == 0.02


def test_unknown_exports_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        study.main(["--out", str(tmp_path), "serving", "--exports", "coreml-fp32"])
    assert ended.value.code == 2 and "--exports must be of onnx-fp32" in capsys.readouterr().err


@pytest.mark.slow
def test_the_study_exports_compares_and_times_each_way(tmp_path, tiny_folder, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = tmp_path / "small"
    index = json.loads((tiny_folder / "model_index.json").read_text())
    shutil.copytree(tiny_folder, model)
    (model / "model_index.json").write_text(json.dumps(index | {"_world": "everyday"}))
    given = ["--model", str(model), "--exports", "openvino-fp32", "--prompts", "6", "--requests", "1", "--steps", "1"]
    command = ["--out", str(tmp_path), "serving", *given]
    assert study.main(command) == 0
    out = tmp_path / "serving"
    waits, quality = pd.read_csv(out / "waits.csv"), pd.read_csv(out / "quality.csv")
    assert set(waits["way"]) == {PLAIN, "openvino, as loaded", "openvino fp32"}
    assert all(part["clients"].tolist() == [1, 4, 16] for _, part in waits.groupby("way"))
    assert set(waits[waits["way"] == PLAIN]["precision"]) == {"float32"}
    images = {
        way: pd.read_csv(out / "work" / "runs" / way / "images.csv") for way in ("torch-float32", "openvino-fp32")
    }
    row = quality[(quality["way"] == "openvino fp32") & (quality["metric"] == "scene_accuracy")].iloc[0]
    means = {way: table["scene_accuracy"].mean() for way, table in images.items()}
    assert row["difference"] == pytest.approx(means["openvino-fp32"] - means["torch-float32"], abs=1e-6)
    facts = json.loads((out / "study.json").read_text())
    p50 = waits[(waits["clients"] == 1)].set_index("way")["p50"]
    assert f"openvino fp32 {1000 * p50['openvino fp32']:.0f} ms" in facts["words"]
    before = {path: path.stat().st_mtime_ns for path in (out / "work").rglob("*.png")}
    assert before and study.main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before, "nothing was drawn or timed twice"
