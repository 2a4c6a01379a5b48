"""Runs whose pictures begin at images: pairing, tables, recipes, on a tiny checkpoint of the real classes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from evaluation.generation.prompt_pictures import fitted
from evaluation.metrics.reconstruction import psnr
from evaluation.run import main
from ldm_core.images import from_uint8, load_png, save_png
from ldm_core.recipe import Recipe, read_png

PROMPTS = "a red house on the left\ntwo boats\nclouds over mountains\n"


@pytest.fixture
def folder(tmp_path, tiny_folder):
    (tmp_path / "p.txt").write_text(PROMPTS)
    random = np.random.default_rng(0)
    for index in range(3):
        side = 48 if index == 1 else 32
        save_png(tmp_path / "images" / f"{index}.png", random.integers(0, 256, (side, side, 3)).astype(np.uint8))
    mask = np.zeros((32, 32, 3), np.uint8)
    mask[8:20, 4:25] = 255
    save_png(tmp_path / "mask.png", mask)

    def run(*more: str, prompts: str = "p.txt") -> int:
        own = ["--model", str(tiny_folder), "--device", "cpu", "--dtype", "fp32", "--out", str(tmp_path / "run")]
        asked = [] if "--recipe" in more else ["--prompts", str(tmp_path / prompts), "--steps", "4"]
        return main([*own, *asked, *more])

    return run, tmp_path


def refused(capsys, work, *more: str) -> str:
    """What a command says that cannot be carried out, on one line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        work(*more)
    assert stopped.value.code == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    return said


def starts(folder, *more: str) -> list[str]:
    return ["--init-images", str(folder / "images"), *more]


METRICS = ["--metrics", "start_psnr,start_psnr_outside,start_distance_scenes,clip_scenes"]


def test_strength_is_an_axis_and_the_distance_to_the_start_is_measured(folder, tiny):
    run, out = folder
    chosen = "start_psnr,start_distance_scenes"
    assert run(*starts(out, "--sweep", "strength=0,0.5,1", "--guidance-scales", "1", "--metrics", chosen)) == 0
    images, summary = (pd.read_csv(out / "run" / f"{name}.csv") for name in ("images", "summary"))
    assert list(images["start"]) == [f"{index}.png" for index in (0, 1, 2) for _ in range(3)]
    psnr_at = summary[summary["metric"] == "start_psnr"].set_index("strength")["value"]
    assert psnr_at.nunique() == 3
    at_zero = images[(images["strength"] == 0) & (images["prompt_id"] == 0)].iloc[0]
    begun = from_uint8(load_png(out / "images" / "0.png")[None])
    drawn = from_uint8(load_png(out / "run" / at_zero["file"])[None])
    assert at_zero["start_psnr"] == pytest.approx(float(psnr(drawn, begun)))
    torch.testing.assert_close(drawn, tiny.reconstruct(begun), atol=0.51 / 255, rtol=0)
    facts = json.loads((out / "run" / "run.json").read_text())
    assert facts["protocol"]["task"] == "image_to_image" and len(facts["protocol"]["init_images"]) == 64
    page = (out / "run" / "report.html").read_text()
    assert "image-to-image at strength 0, 0.5 or 1" in page
    cost = pd.read_csv(out / "run" / "cost.csv").set_index("condition")["network_calls_per_image"]
    assert list(cost[["w = 1, strength = 0", "w = 1, strength = 0.5", "w = 1, strength = 1"]]) == [0, 2, 4]


def test_outside_the_mask_the_psnr_is_infinite_and_no_table_is_the_worse_for_it(folder):
    run, out = folder
    masked = starts(out, "--masks", str(out / "mask.png"), *METRICS, "--guidance-scales", "1,3")
    assert run(*masked) == 0
    summary, images = (pd.read_csv(out / "run" / f"{name}.csv") for name in ("summary", "images"))
    outside = summary[summary["metric"] == "start_psnr_outside"]
    assert (
        len(outside) == 2
        and np.isposinf(outside["value"]).all()
        and outside[["se", "low", "high"]].isna().to_numpy().all()
    )
    assert outside["note"].str.contains("infinite, equal to the last bit, in 3 of 3 images").all()
    assert np.isposinf(images["start_psnr_outside"]).all() and (images["mask"] == "mask.png").all()
    others = summary[summary["metric"] != "start_psnr_outside"]["value"]
    assert np.isfinite(others).all()
    differences = pd.read_csv(out / "run" / "differences.csv")
    assert "start_psnr_outside" not in set(differences["metric"]) and "start_psnr" in set(differences["metric"])
    assert "inpainting at strength 1" in (out / "run" / "report.md").read_text()
    for text in (out / "run" / "run.json", out / "run" / "report.html"):
        assert "Infinity" not in text.read_text()
    drawn = {path: path.stat().st_mtime_ns for path in out.glob("run/images/*/*.png")}
    assert run(*masked) == 0 and drawn == {path: path.stat().st_mtime_ns for path in out.glob("run/images/*/*.png")}


def test_a_picture_of_a_run_is_made_again_from_its_recipe_and_its_own_start_only(folder, capsys):
    run, out = folder
    given = starts(out, "--masks", str(out / "mask.png"), "--guidance-scales", "2", "--metrics", "start_psnr")
    assert run(*given) == 0
    first = min(out.glob("run/images/*/00000*.png"))
    again = ["--recipe", str(first), "--metrics", "start_psnr", "--out", str(out / "again")]
    own = ["--init-images", str(out / "images" / "0.png")]
    mask = ["--masks", str(out / "mask.png")]
    assert main([*again, *own, *mask, "--device", "cpu"]) == 0
    (redrawn,) = out.glob("again/images/*/*.png")
    assert (load_png(redrawn) == load_png(first)).all() and read_png(redrawn).task == read_png(first).task
    for more, words in (
        ([], "needs its start image"),
        (["--init-images", str(out / "images" / "2.png"), *mask], "is of another image"),
        (own, "no mask was given"),
        ([*own, "--masks", str(out / "images" / "2.png")], "is of another mask"),
        ([*own, *mask, "--strength", "0.4"], "--strength cannot be given with --recipe"),
    ):
        other = [*again[:4], "--out", str(out / "other"), "--device", "cpu", *more]
        assert words in refused(capsys, main, other) and not (out / "other").exists()


def test_a_run_from_noise_writes_what_it_always_wrote(folder):
    run, out = folder
    assert run("--guidance-scales", "1", "--metrics", "clip_scenes") == 0
    facts = json.loads((out / "run" / "run.json").read_text())
    assert not {"task", "init_images", "masks", "strength"} & set(facts["protocol"])
    assert "start" not in pd.read_csv(out / "run" / "images.csv")
    recipe = read_png(next(out.glob("run/images/*/*.png")))
    assert recipe.task is None and "strength" not in Recipe.from_json(recipe.to_json()).to_json()


def test_a_picture_of_another_size_covers_the_run_s_and_its_middle_is_taken(tmp_path):
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 200
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert torch.equal(fitted(tmp_path / "wide.png", 20, 60), from_uint8(pixels[None])[0])
    middle = fitted(tmp_path / "wide.png", 40, 40)
    assert middle.shape == (3, 40, 40) and float(middle[:, :, 4:36].min()) > 0.7


def test_what_does_not_go_together_is_one_line_before_a_picture_is_drawn(folder, capsys):
    run, out = folder
    (out / "empty").mkdir()
    for more, words in (
        (["--strength", "0.5"], "give --init-images too"),
        (["--sweep", "strength=0.2,0.5"], "give --init-images too"),
        (["--masks", str(out / "mask.png")], "give --init-images too"),
        (starts(out, "--strength", "2"), "strength must be from 0 to 1"),
        (["--init-images", str(out / "nowhere")], "is not there"),
        (["--init-images", str(out / "empty")], "holds no photograph"),
        (["--metrics", "start_psnr"], "no picture began at a start image"),
        (starts(out, "--metrics", "start_psnr_outside"), "nothing is masked"),
    ):
        assert words in refused(capsys, run, *more)
    (out / "images" / "3.png").write_bytes((out / "images" / "0.png").read_bytes())
    assert "holds 4 pictures and there are 3 prompts" in refused(capsys, run, *starts(out))
    for index in (1, 2, 3):
        (out / "images" / f"{index}.png").unlink()
    (out / "images" / "1.png").write_bytes((out / "images" / "0.png").read_bytes())
    assert "holds 2 pictures and there are 3 prompts" in refused(capsys, run, *starts(out))
    assert run(*starts(out, "--limit", "1", "--dry-run")) == 0, "the first prompt has the first of them"
    assert not (out / "run").exists()
