"""Metrics for images that somebody already has, by the command."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from evaluation.folders import read_folder, side_by_side, twins
from evaluation.score import main
from evaluation.worlds import DRAWN_WORLD
from ldm_core.data import everyday
from ldm_core.images import save_png

COUNT = 6
FIRST = Path(__file__).parent / "first_house" / "run"
needs_data = pytest.mark.skipif("LDM_TEST_DATA" not in os.environ, reason="LDM_TEST_DATA is not set")


def drawings(folder: Path, name: str = "{:05d}.png", size: int = 64, shift: int = 0) -> list[str]:
    """COUNT drawings of the world, and their captions."""
    for index in range(COUNT):
        save_png(folder / name.format(index), np.roll(everyday.draw(everyday.random_scene(index), size), shift, axis=1))
    return [everyday.caption(everyday.random_scene(index), index) for index in range(COUNT)]


@pytest.fixture
def two(tmp_path):
    """Two folders of one prompt set, the second spoilt: folder, and the prompt file."""
    prompts = drawings(tmp_path / "good")
    drawings(tmp_path / "bad")
    for path in (tmp_path / "bad").iterdir():
        save_png(path, np.full((64, 64, 3), 40 + 20 * int(path.stem), np.uint8))
    (tmp_path / "p.txt").write_text("\n".join(prompts))
    return tmp_path


def score(folder: Path, *words: str) -> pd.DataFrame:
    """The summary of a command that must be done."""
    assert main([*words, "--out", str(folder / "out"), "--device", "cpu"]) == 0
    return pd.read_csv(folder / "out" / "summary.csv")


def test_a_folder_of_images_with_a_prompt_file_leaves_every_table_and_a_report(two, capsys):
    summary = score(
        two, "--images", str(two / "good"), "--prompts", str(two / "p.txt"), "--metrics", "clip_scenes,fd_scenes"
    )
    assert list(summary["metric"]) == ["clip_scenes", "fd_scenes"] and (summary["n"] == COUNT).all()
    files = {"summary.csv", "images.csv", "differences.csv", "score.json", "report.html", "report.md", "features"}
    assert {path.name for path in (two / "out").iterdir()} >= files
    images = pd.read_csv(two / "out" / "images.csv")
    assert images["clip_scenes"].mean() == pytest.approx(summary["value"][0])
    assert "by the number in the name: 00000.png is" in capsys.readouterr().out
    facts = json.loads((two / "out" / "score.json").read_text())
    assert facts["detectors"][DRAWN_WORLD]["sha256"] and facts["command"].startswith(
        "python -m evaluation.score --images"
    )


def test_two_folders_of_one_prompt_set_are_compared_image_by_image(two, capsys):
    words = ("--images", f"a={two / 'good'}", f"b={two / 'bad'}", "--prompts", str(two / "p.txt"))
    summary = score(two, *words, "--metrics", "clip_scenes,fd_scenes")
    values = summary.set_index(["metric", "images"])["value"]
    differences = pd.read_csv(two / "out" / "differences.csv").set_index("metric")
    assert set(differences["pairing"]) == {"paired"} and "6 of 6 images have a twin" in capsys.readouterr().out
    for metric in ("clip_scenes", "fd_scenes"):
        gap = values[metric, "b"] - values[metric, "a"]
        assert differences.loc[metric, "difference"] == pytest.approx(gap)
    assert differences.loc["clip_scenes", "verdict"] == "images = a is better"


def test_folders_whose_names_do_not_agree_are_compared_as_independent_samples(two, capsys):
    for path in sorted((two / "bad").iterdir()):
        path.rename(path.with_name(f"{path.stem}_other.png"))
    words = (
        "--images",
        str(two / "good"),
        str(two / "bad"),
        "--prompts",
        str(two / "p.txt"),
        "--metrics",
        "clip_scenes",
    )
    score(two, *words)
    row = pd.read_csv(two / "out" / "differences.csv").iloc[0]
    assert row["pairing"] == "unpaired" and "differences are of independent samples" in capsys.readouterr().out
    errors = pd.read_csv(two / "out" / "summary.csv")["se"]
    assert row["se"] == pytest.approx(float(np.hypot(*errors)))


def test_images_are_twins_by_seed_where_every_image_has_one(two):
    for name, order in (("good", 1), ("bad", -1)):
        files = sorted(path.name for path in (two / name).iterdir())[::order]
        lines = [{"file_name": file, "prompt": f"prompt {i}", "seed": i} for i, file in enumerate(files)]
        (two / name / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    images = side_by_side({name: read_folder(two / name).images for name in ("good", "bad")})
    assert twins(images) == (COUNT, COUNT)
    first = images.table[images.table["seed"] == 0]
    assert [Path(file).name for file in first["file"]] == ["00000.png", "00005.png"]


def test_without_captions_images_of_one_name_are_twins_and_others_are_not(two):
    images = side_by_side({name: read_folder(two / name).images for name in ("good", "bad")})
    assert twins(images) == (COUNT, COUNT)
    for path in (two / "bad").iterdir():
        path.rename(path.with_name(f"other {path.name}"))
    images = side_by_side({name: read_folder(two / name).images for name in ("good", "bad")})
    assert twins(images) == (0, COUNT) and images.table["prompt_id"].nunique() == 2 * COUNT


def test_what_cannot_be_read_is_left_out_and_named_and_macos_leftovers_are_no_images(two, capsys):
    (two / "good" / "cut.png").write_bytes((two / "good" / "00000.png").read_bytes()[:200])
    (two / "good" / "._00000.png").write_bytes(b"mac")
    summary = score(two, "--images", str(two / "good"), "--captions", "none", "--metrics", "fd_scenes")
    said = capsys.readouterr().out
    assert summary["n"][0] == COUNT and "1 files could not be read as images and are left out: good/cut.png" in said
    assert "._" not in said


def test_the_same_command_again_extracts_nothing_anew(two):
    words = ("--images", str(two / "good"), "--metrics", "fd_scenes", "--captions", "none")
    first = score(two, *words)
    kept = {path: path.stat().st_mtime_ns for path in (two / "out" / "features").iterdir()}
    assert score(two, *words).equals(first)
    assert kept == {path: path.stat().st_mtime_ns for path in (two / "out" / "features").iterdir()}


def test_images_of_many_sizes_and_containers_are_scored_each_by_itself(tmp_path):
    sizes = [(64, 64), (96, 64), (64, 96), (64, 64), (40, 40)]
    for index, (width, height) in enumerate(sizes):
        path = tmp_path / "set" / f"{index}.{'webp' if index % 2 else 'jpg'}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(everyday.draw(everyday.random_scene(index), 128)).resize((width, height)).save(path)
    together = score(tmp_path, "--images", str(tmp_path / "set"), "--metrics", "fd_scenes", "--captions", "none")
    assert together["n"][0] == len(sizes)
    kept = next((tmp_path / "out" / "features").iterdir())
    with np.load(kept) as stored:
        of = dict(zip((name.split("|")[0] for name in stored["files"]), stored["features"]))
    (tmp_path / "set" / "2.jpg").unlink()
    anew = tmp_path / "anew"
    score(anew, "--images", str(tmp_path / "set"), "--metrics", "fd_scenes", "--captions", "none")
    with np.load(next((anew / "out" / "features").iterdir())) as stored:
        assert len(stored["files"]) == len(sizes) - 1
        for name, features in zip(stored["files"], stored["features"]):
            assert np.array_equal(features, of[name.split("|")[0]])


def test_a_draw_at_random_takes_the_same_prompts_under_every_condition(two):
    words = (
        "--images",
        str(two / "good"),
        str(two / "bad"),
        "--metrics",
        "clip_scenes",
        "--prompts",
        str(two / "p.txt"),
    )
    score(two, *words, "--limit", "3", "--shuffle", "--seed", "1")
    images = pd.read_csv(two / "out" / "images.csv")
    chosen = [set(part["prompt"]) for _, part in images.groupby("images")]
    assert len(chosen) == 2 and chosen[0] == chosen[1] and len(chosen[0]) == 3
    score(two, *words, "--limit", "3", "--shuffle", "--seed", "2")
    assert set(pd.read_csv(two / "out" / "images.csv")["prompt"]) != chosen[0]


def test_a_runs_folder_is_an_image_set_with_its_own_conditions(tmp_path):
    shutil.copytree(FIRST, tmp_path / "run")
    summary = score(tmp_path, "--images", str(tmp_path / "run"), "--metrics", "fashion_accuracy")
    before = pd.read_csv(FIRST / "summary.csv")
    before = before[(before["metric"] == "fashion_accuracy") & before["category"].isna()]
    after = summary[(summary["metric"] == "fashion_accuracy") & summary["category"].isna()]
    assert list(after["guidance_scale"]) == [1, 2] and list(after["value"]) == list(before["value"])


def test_genevals_layout_is_scored_as_it_ships(tmp_path):
    for index in range(4):
        folder = tmp_path / "images" / f"{index:05d}"
        caption = everyday.caption(everyday.random_scene(index), 0)
        save_png(folder / "samples" / "0000.png", everyday.draw(everyday.random_scene(index), 64))
        save_png(folder / "samples" / "0001.png", everyday.draw(everyday.random_scene(index + 9), 64))
        (folder / "metadata.jsonl").write_text(json.dumps({"tag": f"tag{index % 2}", "prompt": caption}))
    summary = score(tmp_path, "--images", str(tmp_path / "images"), "--metrics", "clip_scenes")
    assert list(summary["n"]) == [8, 4, 4] and list(summary["category"].fillna("")) == ["", "tag0", "tag1"]


def test_default_metrics_that_cannot_be_computed_are_rows_with_the_reason(two, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    summary = score(two, "--images", str(two / "good"), "--captions", "none", "--download", "no")
    assert {"fid", "kid", "clip_score"} <= set(summary["metric"])
    assert "clip_score: not computed: it scores images against their captions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--images", "{}/nowhere"], "is no folder"),
        (["--images", "{}/good", "--metrics", "clip_scenes"], "none are known"),
        (["--images", "{}/good", "--metrics", "fd_dinosaurs"], "is unknown"),
        (["--images", "{}/good", "--shuffle"], "give --limit too"),
        (["--images", "{}/empty"], "holds no photograph"),
        (["--images", "a={}/good", "a={}/bad"], "two folders have one name"),
        (["--images", "{}/good", "--prompts", "{}/three.txt", "--pair", "order"], "4 prompts and there are 6 images"),
    ],
)
def test_what_cannot_be_scored_is_one_line_and_exit_code_2(two, capsys, words, said):
    (two / "empty").mkdir()
    (two / "three.txt").write_text("a\nb\nc\nd\n")
    with pytest.raises(SystemExit) as left:
        main([word.format(two) for word in words] + ["--out", str(two / "out")])
    line = capsys.readouterr().err.strip().splitlines()
    assert left.value.code == 2 and len(line) == 1 and said in line[0]


@needs_data
def test_cocos_photographs_are_scored_with_their_own_captions(tmp_path, capsys):
    folder = Path(os.environ["LDM_TEST_DATA"]) / "coco_mini"
    summary = score(tmp_path, "--images", str(folder), "--metrics", "clip_scenes", "--limit", "4")
    assert summary["n"][0] == 4 and "captions_val2017_mini.json" in capsys.readouterr().out
    images = pd.read_csv(tmp_path / "out" / "images.csv")
    content = json.loads((folder / "captions_val2017_mini.json").read_text())
    said = {" ".join(one["caption"].split()) for one in content["annotations"]}
    assert set(images["prompt"]) <= said
