"""Sweeps of any axis through the run command: shared seeds, tables that only grow, folders that old runs know."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from evaluation.generation import batches
from evaluation.run import main

PROMPTS = "a red house on the left\na boat on a lake at night\nclouds over mountains\nthe sun at dawn\n"


@pytest.fixture
def sweep(tmp_path, tiny_folder):
    (tmp_path / "p.txt").write_text(PROMPTS)
    fixed = f"--model {tiny_folder} --prompts {tmp_path / 'p.txt'} --device cpu --dtype fp32 --steps 2 --out {tmp_path / 'run'}"

    def run(*more: str, metrics: str = "fd_scenes,clip_scenes") -> int:
        return main([*fixed.split(), "--metrics", metrics, *more])

    return run, tmp_path / "run"


def table(out, name):
    return pd.read_csv(out / f"{name}.csv")


def pictures(out):
    return {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in out.glob("images/*/*.png")}


def test_two_axes_make_a_grid_on_the_same_seeds_with_differences_along_each(sweep, capsys):
    run, out = sweep
    assert run("--sweep", "steps=1,2,3", "--guidance-scales", "1,3") == 0
    assert "4 prompts x 1 seed x 6 conditions = 24 images" in capsys.readouterr().out
    images, summary, differences = (table(out, name) for name in ("images", "summary", "differences"))
    assert len(images) == 24 and (images.groupby("prompt_id")["seed"].nunique() == 1).all()
    assert set(images["condition"]) == {f"w = {w}, steps = {n}" for w in (1, 3) for n in (1, 2, 3)}
    assert images["file"].str.split("/").str[1].nunique() == 3, "a folder of images for each number of steps"
    rows = summary[summary["metric"] == "clip_scenes"]
    assert sorted(zip(rows["guidance_scale"], rows["steps"])) == [(w, n) for w in (1, 3) for n in (1, 2, 3)]
    pairs = differences[differences["metric"] == "clip_scenes"]
    assert (pairs["axis"].value_counts().to_dict()) == {"steps": 6, "guidance_scale": 3}
    one = pairs[(pairs["condition_a"] == "w = 3, steps = 1") & (pairs["condition_b"] == "w = 3, steps = 3")].iloc[0]
    by_hand = images[images["guidance_scale"] == 3].pivot(index="prompt_id", columns="steps", values="clip_scenes")
    assert (
        one["difference"] == pytest.approx((by_hand[3] - by_hand[1]).mean()) and one["scale_a"] == one["scale_b"] == 3
    )
    cost = table(out, "cost").dropna(subset=["condition"]).set_index("condition")["network_calls_per_image"]
    assert cost["w = 1, steps = 3"] == 3 and cost["w = 3, steps = 3"] == 6
    report = (out / "report.md").read_text()
    assert "1, 2 or 3 steps of ddim" in report and "w = 3, steps = 2" in report


def test_the_same_sweep_again_gives_the_same_tables_in_whatever_order_its_axes_came(sweep):
    run, out = sweep
    run("--sweep", "steps=1,2", "--sweep", "guidance_scale=1,3")
    before = {name: (out / f"{name}.csv").read_bytes() for name in ("summary", "images", "differences")}
    run("--sweep", "steps=1,2", "--sweep", "guidance_scale=1,3")
    assert before == {name: (out / f"{name}.csv").read_bytes() for name in before}
    run("--sweep", "guidance_scale=1,3", "--sweep", "steps=1,2")
    assert before == {name: (out / f"{name}.csv").read_bytes() for name in before}


def test_scales_of_one_number_of_steps_share_their_rows(sweep, monkeypatch):
    run, out = sweep
    calls = []
    whole = batches.sample
    monkeypatch.setattr(
        "evaluation.generation.generate.sample",
        lambda model, batch: (
            calls.append((len(batch), {job.condition.settings["steps"] for job in batch})) or whole(model, batch)
        ),
    )
    run("--sweep", "steps=1,2", "--guidance-scales", "1,3")
    assert calls == [(8, {1}), (8, {2})]
    logged = [json.loads(line) for log in out.glob("images/*/cost-0.jsonl") for line in log.read_text().splitlines()]
    rows = sum(line["rows"] for line in logged)
    # Of a first step both scales of a prompt share the conditional row; the empty prompt's noise differs by seed.
    assert rows == 4 * (2 + 2 + 3)


def test_a_longer_list_extends_and_a_shorter_one_takes_nothing_away(sweep):
    run, out = sweep
    run("--sweep", "steps=1,2", "--guidance-scales", "1,3")
    before = pictures(out)
    run("--sweep", "steps=1,2,3", "--guidance-scales", "1,3")
    after = pictures(out)
    assert len(after) == 24 and {name: after[name] for name in before} == before
    whole = table(out, "summary")
    run("--sweep", "steps=2", "--guidance-scales", "3")
    assert pictures(out) == after
    again = table(out, "summary")
    assert len(again) == len(whole) and set(again["condition"].fillna("")) == set(whole["condition"].fillna(""))


def test_a_plain_run_becomes_a_sweep_in_its_own_folder(sweep):
    run, out = sweep
    run("--guidance-scales", "1,3")
    before = pictures(out)
    run("--guidance-scales", "1", "--sweep", "steps=2,3")
    assert {name: pictures(out)[name] for name in before} == before and len(pictures(out)) == 12
    assert set(table(out, "images")["condition"]) == {"w = 1, steps = 2", "w = 3, steps = 2", "w = 1, steps = 3"}
    run("--guidance-scales", "3")
    assert len(pictures(out)) == 12 and len(table(out, "images")) == 12


def test_what_is_not_swept_still_has_to_agree(sweep, capsys):
    run, _ = sweep
    run("--sweep", "steps=1,2")
    with pytest.raises(SystemExit):
        run("--sweep", "steps=1,2", "--negative-prompt", "blurry")
    assert "negative_prompt: nothing there, blurry now" in capsys.readouterr().err


def test_without_a_list_of_scales_a_sweep_keeps_to_the_models_own(sweep):
    run, out = sweep
    run("--sweep", "scheduler=ddim,euler")
    images = table(out, "images")
    assert (
        set(images["condition"]) == {"scheduler = ddim", "scheduler = euler"}
        and images["guidance_scale"].nunique() == 1
    )


def test_bundles_wordings_and_intervals_are_axes_like_any_other(sweep):
    run, out = sweep
    run("--sweep", "way=fast:steps=1,scheduler=euler|slow:steps=2", "--sweep", "prompt={}|a drawing of {}")
    images = table(out, "images")
    assert set(images["condition"]) == {
        f"way = {a}, wording = {b}" for a in ("fast", "slow") for b in ("{}", "a drawing of {}")
    }
    assert (images.groupby("prompt_id")["seed"].nunique() == 1).all() and images["file"].nunique() == 16
    facts = json.loads((out / "run.json").read_text())
    assert {known["settings"]["scheduler"] for known in facts["conditions"]} == {"ddim", "euler"}
    run("--sweep", "way=fast:steps=1,scheduler=euler|slow:steps=2")
    assert len(table(out, "images")) == 16


def test_guidance_rules_are_an_axis_and_plain_guidance_keeps_its_old_folder(sweep):
    run, out = sweep
    run("--guidance-scales", "3")
    before = pictures(out)
    run("--guidance-scales", "3", "--sweep", "guidance_rule=cfg,apg:eta=0.5,norm=3,tcfg")
    images, differences = table(out, "images"), table(out, "differences")
    assert {name: pictures(out)[name] for name in before} == before and len(pictures(out)) == 12
    assert set(images["guidance_rule"]) == {"cfg", "apg:eta=0.5:norm=3", "tcfg"}
    assert set(differences["axis"]) == {"guidance_rule"}
    protocol = json.loads((out / "run.json").read_text())["protocol"]
    assert "guidance_rule" not in protocol, "what was written before rules were known keeps its bytes"
    alone = out.with_name("alone")
    run("--guidance-scales", "3", "--guidance", "apg:eta=0.5,norm=3", "--out", str(alone))
    assert json.loads((alone / "run.json").read_text())["protocol"]["guidance_rule"] == "apg:eta=0.5:norm=3"
    swept = set(images[images["guidance_rule"].str.startswith("apg")]["file"])
    assert all((out / name).read_bytes() == (alone / name).read_bytes() for name in swept)


def test_models_are_an_axis_and_each_has_its_own_pictures(sweep, tiny_v_folder, tiny_folder):
    run, out = sweep
    given = ["--sweep", f"model={tiny_folder},{tiny_v_folder}"]
    run(*given)
    images, summary = table(out, "images"), table(out, "summary")
    assert images["file"].str.split("/").str[1].nunique() == 2 and images["model"].nunique() == 2
    assert set(summary["model"]) >= {str(tiny_folder), str(tiny_v_folder)}
    before = pictures(out)
    run(*given)
    assert pictures(out) == before


def test_a_sweep_that_was_stopped_reports_what_it_has(sweep, monkeypatch, capsys):
    run, out = sweep
    whole, made = batches.sample, []

    def stopping(model, batch):
        if made:
            raise KeyboardInterrupt
        made.append(batch)
        return whole(model, batch)

    monkeypatch.setattr("evaluation.generation.generate.sample", stopping)
    assert run("--sweep", "steps=1,2,3", "--batch-size", "4") == 130
    assert "--report-only" in capsys.readouterr().err and not (out / "summary.csv").exists()
    left = pictures(out)
    assert 0 < len(left) < 12
    assert run("--sweep", "steps=1,2,3", "--batch-size", "4", "--report-only") == 0
    assert pictures(out) == left and len(table(out, "images")) == len(left)
    monkeypatch.undo()
    assert run("--sweep", "steps=1,2,3", "--batch-size", "4") == 0 and len(table(out, "images")) == 12
