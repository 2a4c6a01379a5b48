"""The evaluation command end to end, on a tiny checkpoint of the real classes."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil

import pandas as pd
import pytest
from PIL import Image

from evaluation.run import main
from ldm_core.images import load_png, to_uint8
from ldm_core.recipe import recipe_for

PROMPTS = "a red house on the left\ntwo zebras\na boat on a lake at night\nclouds over mountains\n"
TABLES = ("summary.csv", "images.csv", "differences.csv")


@pytest.fixture
def folder(tmp_path, tiny_folder):
    (tmp_path / "p.txt").write_text(PROMPTS)
    arguments = [
        "--model",
        str(tiny_folder),
        "--prompts",
        str(tmp_path / "p.txt"),
        "--steps",
        "2",
        "--device",
        "cpu",
        "--dtype",
        "fp32",
        "--out",
        str(tmp_path / "run"),
        "--metrics",
        "fd_scenes,clip_scenes,scene_accuracy",
    ]

    def run(*more: str) -> int:
        return main([*arguments, *more])

    return run, tmp_path / "run"


def pictures(out):
    return {path.name: path.stat().st_mtime_ns for path in out.glob("images/*/*.png")}


def contents(out):
    return {name: (out / name).read_bytes() for name in TABLES}


def test_a_run_leaves_every_table_and_a_report(folder, capsys):
    run, out = folder
    assert run("--guidance-scales", "0,1,3") == 0
    assert len(pictures(out)) == 12
    summary, images = pd.read_csv(out / "summary.csv"), pd.read_csv(out / "images.csv")
    assert list(summary.columns[:7]) == [
        "model",
        "prompts",
        "category",
        "guidance_schedule",
        "guidance_scale",
        "metric",
        "value",
    ]
    assert set(summary["metric"]) == {"fd_scenes", "clip_scenes", "scene_accuracy", "scene_accuracy_ceiling"}
    every = ~summary["category"].astype(str).str.contains(":")  # not one skill's
    counted = set(summary[every & (summary["metric"] == "scene_accuracy")]["n"])
    assert counted == {3}  # the zebras are no part of the drawn world
    assert all((out / file).exists() for file in images["file"])
    same_seed = images.groupby("prompt_id")["seed"].nunique()
    assert (same_seed == 1).all() and images["seed"].nunique() == 4
    assert images["clip_scenes"].between(0, 100).all() and images["scene_accuracy"].dropna().between(0, 1).all()
    differences = pd.read_csv(out / "differences.csv")
    assert len(differences[differences["metric"] == "clip_scenes"]) == 3
    stages = pd.read_csv(out / "cost.csv").set_index("stage")
    cost = stages.loc["images"].set_index("guidance_scale")
    assert cost["network_calls_per_image"].to_dict() == {0.0: 2, 1.0: 2, 3.0: 4} and (cost["images"] == 4).all()
    values = summary[summary["metric"] == "clip_scenes"].set_index("guidance_scale")["value"]
    pd.testing.assert_series_equal(cost["clip_scenes"], values, check_names=False)
    assert stages.loc["detectors", "images"] == 12 and stages.loc["tables", "network_seconds"] == 0
    assert (stages["network_seconds"] <= stages["seconds"]).all()
    facts = json.loads((out / "run.json").read_text())
    assert (
        facts["unseen_words"]["zebras"] == 1 and facts["prompts_with_unseen_words"] >= 1 and facts["versions"]["torch"]
    )
    page = (out / "report.html").read_text()
    assert page.count("data:image/webp") == 2 * 12, "small in the grid, and large"
    assert "<svg" in page and 'src="http' not in page
    for report in (page, (out / "report.md").read_text()):
        assert "share their seconds by the network rows that each needs by itself" in report and ", )" not in report
    assert "zebras" in capsys.readouterr().out


def test_the_same_command_makes_nothing_again_and_more_scales_only_what_is_new(folder):
    run, out = folder
    run("--guidance-scales", "1,3")
    before, tables = pictures(out), contents(out)
    run("--guidance-scales", "1,3")
    assert pictures(out) == before and contents(out) == tables
    run("--guidance-scales", "1,2,3")
    after = pictures(out)
    assert len(after) == 12 and {name: after[name] for name in before} == before


def test_a_run_cut_short_ends_with_the_same_bytes(folder):
    run, out = folder
    run("--guidance-scales", "1,3")
    tables = contents(out)
    files = sorted(out.glob("images/*/*.png"))
    pixels = {path.name: Image.open(path).tobytes() for path in files}
    files[0].unlink()
    files[3].write_bytes(files[3].read_bytes()[:100])
    for name in TABLES:
        (out / name).unlink()
    run("--guidance-scales", "1,3")
    assert contents(out) == tables
    assert {path.name: Image.open(path).tobytes() for path in files} == pixels


def test_another_protocol_in_the_same_folder_is_refused(folder, capsys):
    run, _out = folder
    run("--guidance-scales", "1")
    with pytest.raises(SystemExit) as stopped:
        run("--guidance-scales", "1", "--steps", "3")
    assert stopped.value.code == 2 and "steps: 2 there, 3 now" in capsys.readouterr().err


def with_another_scheduler(folder, to):
    """A copy of a checkpoint that differs in one number of its scheduler's config."""
    shutil.copytree(folder, to)
    path = to / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"beta_end": 0.02}))
    return to


def test_models_that_differ_in_a_config_alone_share_neither_run_nor_pictures(folder, tiny_folder, tmp_path, capsys):
    run, out = folder
    other = str(with_another_scheduler(tiny_folder, tmp_path / "other"))
    run("--guidance-scales", "1")
    with pytest.raises(SystemExit) as stopped:
        run("--guidance-scales", "1", "--model", other)
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and "another protocol (configs: " in error and "weights" not in error
    assert run("--guidance-scales", "1", "--sweep", f"model={tiny_folder},{other}", "--limit", "3") == 0
    images = pd.read_csv(out / "images.csv")
    assert images["file"].map(lambda name: name.split("/")[1]).nunique() == 2
    one, two = (load_png(out / file) for file in images.sort_values(["prompt_id", "model"])["file"].head(2))
    assert (one != two).any(), "other pictures"


def test_a_dry_run_writes_nothing(folder, capsys):
    run, out = folder
    assert run("--dry-run") == 0
    assert not out.exists() and "16 images, 0 present, 16 to make" in capsys.readouterr().out


def test_a_default_metric_that_cannot_run_is_a_row_with_the_reason_and_no_number(tmp_path, tiny_folder, capsys):
    (tmp_path / "p.txt").write_text("two zebras\n")
    out = tmp_path / "run"
    assert (
        main(
            [
                "--model",
                str(tiny_folder),
                "--prompts",
                str(tmp_path / "p.txt"),
                "--steps",
                "1",
                "--device",
                "cpu",
                "--guidance-scales",
                "1,2",
                "--out",
                str(out),
            ]
        )
        == 0
    )
    summary = pd.read_csv(out / "summary.csv").set_index("metric")
    for metric in ("fid", "kid", "clip_score"):
        rows = summary.loc[[metric]]
        assert rows["value"].isna().all() and rows["note"].str.startswith("not computed").all()
    assert summary.loc["vae_psnr", "n"] == 64 and "fid, kid: not computed" in capsys.readouterr().out


def test_an_edited_prompt_with_the_same_seed_is_made_anew(folder, tmp_path):
    run, out = folder
    table = tmp_path / "p.csv"
    more = ("--prompts", str(table), "--guidance-scales", "2", "--metrics", "clip_scenes")
    table.write_text("prompt,seed\na red house,7\na boat on a lake,8\n")
    run(*more)
    before = pictures(out)
    table.write_text("prompt,seed\na green palm,7\na boat on a lake,8\n")
    run(*more)
    new = set(pictures(out)) - set(before)
    files = [file.rsplit("/", 1)[1] for file in pd.read_csv(out / "images.csv")["file"]]
    assert len(new) == 1 and files[0] in new and files[1] in before


def test_a_folder_with_a_foreign_run_json_is_refused(folder, capsys):
    run, out = folder
    out.mkdir()
    (out / "run.json").write_text("[]")
    with pytest.raises(SystemExit) as stopped:
        run()
    assert stopped.value.code == 2 and "was not written by this command" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--steps", "0"], "steps must be an integer from 1"),
        (["--guidance-scales", "nan"], "guidance scales must look like"),
        (["--height", "31"], "height must be a positive multiple of 2"),
        (["--scheduler", "heun"], "scheduler must be one of"),
        (["--metrics", "beauty"], "unknown; known: fid"),
        (["--limit", "1"], "--metrics fd_scenes cannot be computed: a distance needs"),
        (["--model", "scens"], "did you mean 'scenes'"),
        (["--prompts", "/nowhere/p.txt"], "cannot be read"),
        (["--seed", "-1"], "--seed must be an integer from 0"),
        (["--limit", "0"], "--limit must be an integer from 1"),
        (["--guidance-interval", "0.9,0.1"], "guidance_interval"),
        (["--guidance-interval", "often"], "guidance_interval=often"),
        (["--out", "/dev/null/run"], "cannot be written"),
        (["--device", "moon"], "device 'moon'"),
        (["--reference", "/nowhere"], "--reference /nowhere is no folder of images, nor"),
        (["--recipe", "/nowhere/r.json"], "one of the three"),
        (["--sweep", "stepz=4"], "'stepz' is none of steps"),
        (["--sweep", "steps=2", "--sweep", "steps=3"], "two sweeps decide steps"),
        (["--report-only"], "no image of this run"),
    ],
)
def test_what_cannot_be_done_is_one_line_exit_2_and_nothing_written(folder, capsys, more, message):
    run, out = folder
    with pytest.raises(SystemExit) as stopped:
        run(*more)
    error = capsys.readouterr().err.strip()
    assert stopped.value.code == 2 and message in error and error.count("\n") == 0
    assert not out.exists()


def test_a_recipe_makes_its_picture_again(tmp_path, tiny, tiny_folder):
    recipe = recipe_for(tiny, "a red house", 7, 3.0, steps=2)
    made = tiny.sample(**recipe.sample_settings())
    (tmp_path / "r.json").write_text(recipe.to_json())
    assert main(["--recipe", str(tmp_path / "r.json"), "--out", str(tmp_path / "run"), "--metrics", "clip_scenes"]) == 0
    (path,) = (tmp_path / "run").glob("images/*/*.png")
    assert path.name.startswith("00000_") and path.name.endswith("_0000000007_w3.png")
    assert abs(load_png(path).astype(int) - to_uint8(made)[0]).max() <= 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "this will be the same picture"),
        ({"weights": ""}, "this will be the same picture"),
        ({"weights": "0" * 64}, "warning: the recipe is of other weights or configs of .*this will be another picture"),
        ({"configs": "0" * 64}, "warning: the recipe is of other weights or configs"),
        ({"versions": {"torch": "1.0"}}, r"torch 1\.0, here 2.*very close, not the same bytes"),
    ],
)
def test_a_recipe_of_other_weights_or_versions_is_said_before_it_is_drawn(
    tmp_path, tiny, tiny_folder, capsys, change, said
):
    recipe = dataclasses.replace(recipe_for(tiny, "a red house", 7, 3.0, steps=2), **change)
    (tmp_path / "r.json").write_text(recipe.to_json())
    assert main(["--recipe", str(tmp_path / "r.json"), "--device", "cpu", "--dry-run", "--metrics", "clip_scenes"]) == 0
    told = capsys.readouterr().out
    assert re.search(said, told), told


def test_a_flag_that_a_recipe_decides_is_refused_beside_it(tmp_path, tiny, tiny_folder, capsys):
    (tmp_path / "r.json").write_text(recipe_for(tiny, "a red house", 7, 3.0, steps=2).to_json())
    with pytest.raises(SystemExit) as stopped:
        main(["--recipe", str(tmp_path / "r.json"), "--steps", "3", "--out", str(tmp_path / "run")])
    assert stopped.value.code == 2 and "--steps cannot be given with --recipe" in capsys.readouterr().err


def test_an_empty_prompt_file_is_one_line(folder, tmp_path, capsys):
    run, out = folder
    (tmp_path / "p.txt").write_text("# nothing here\n")
    with pytest.raises(SystemExit) as stopped:
        run()
    assert stopped.value.code == 2 and "holds no prompt" in capsys.readouterr().err and not out.exists()
