"""Runs that control images steer: pairing, tables, recipes, resuming, on a tiny checkpoint of the real classes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import T2IAdapter

import ldm_core
from evaluation import catalogue
from evaluation.generation.prompt_pictures import fitted
from evaluation.metrics.control import ControlDetector
from evaluation.run import main
from ldm_core.images import load_png, save_png, to_uint8
from ldm_core.recipe import read_png
from ldm_core.tasks.start import image_sha256

PROMPTS = "a red house on the left\ntwo boats\nclouds over mountains\n"
METRICS = ["--metrics", "control_iou,clip_scenes"]


@pytest.fixture
def folder(tmp_path, tiny_folder):
    """A run's command, and a folder with prompts, an adapter and control images."""
    (tmp_path / "p.txt").write_text(PROMPTS)
    torch.manual_seed(6)
    kind = {"channels": [32, 64], "downscale_factor": 4, "adapter_type": "full_adapter_xl"}
    T2IAdapter(in_channels=1, num_res_blocks=1, **kind).save_pretrained(tmp_path / "adapter")
    for index in range(3):
        white = np.zeros((32, 32, 3), np.uint8)
        white[8 * index : 8 * index + 12, 4:20] = 255
        save_png(tmp_path / "controls" / f"{index}.png", white)

    def run(*more: str) -> int:
        own = ["--model", str(tiny_folder), "--device", "cpu", "--dtype", "fp32", "--out", str(tmp_path / "run")]
        return main([*own, "--prompts", str(tmp_path / "p.txt"), "--steps", "3", *more])

    return run, tmp_path


def steered(out, *more: str) -> list[str]:
    return ["--control", str(out / "adapter"), "--control-images", str(out / "controls"), *more]


def refused(capsys, work, *more: str) -> str:
    """What a command says that cannot be carried out, on one line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        work(*more)
    assert stopped.value.code == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    return said


def test_each_prompt_is_steered_by_its_own_image_and_scale_0_is_the_run_without_control(folder, tiny, capsys):
    run, out = folder
    sweep = ["--sweep", "control_scale=0,1", "--guidance-scales", "2", *METRICS]
    assert run(*steered(out, *sweep)) == 0
    images, summary = (pd.read_csv(out / "run" / f"{name}.csv") for name in ("images", "summary"))
    assert list(images["control_image"]) == [f"{index}.png" for index in (0, 1, 2) for _ in range(2)]
    model, given = tiny.with_control(str(out / "adapter")), {"steps": 3, "rows_per_call": 16}
    for row in images.to_dict("records"):
        control = fitted(out / "controls" / row["control_image"], 32, 32)
        more = {"control_images": control, "control_scale": row["control_scale"]} if row["control_scale"] else {}
        one = (model if more else tiny).sample(row["prompt"], row["seed"], 2.0, **given, **more)
        apart = np.abs(to_uint8(one)[0].astype(int) - load_png(out / "run" / row["file"]))
        said = f"{row['file']}: {(apart > 0).sum()} values differ, by up to {apart.max()}"
        assert apart.max() <= 1 and (apart > 0).mean() < 1e-3, said  # where a value lies between two levels
    pairs = [load_png(out / "run" / file) for file in images["file"]]
    assert all((off != on).any() for off, on in zip(pairs[::2], pairs[1::2])), "the test could not tell"
    found = summary[summary["metric"] == "control_iou"].set_index("control_scale")["value"]
    assert set(found.index) == {0, 1} and found.between(0, 1).all()
    assert (
        "control_iou_ceiling" in set(summary["metric"]) and "at scale 0 or 1" in (out / "run" / "report.md").read_text()
    )
    facts = json.loads((out / "run" / "run.json").read_text())
    assert len(facts["protocol"]["control_images"]) == 64 and facts["control"].endswith("adapter")
    assert facts["protocol"]["weights"] == model.weights != tiny.weights


def test_a_stopped_run_goes_on_to_the_same_pictures_and_another_image_is_another_run(folder, capsys):
    run, out = folder
    given = steered(out, "--guidance-scales", "1", "--metrics", "clip_scenes")
    assert run(*given) == 0
    drawn = {path: path.read_bytes() for path in out.glob("run/images/*/*.png")}
    for path in list(drawn)[:2]:
        path.unlink()
    assert run(*given) == 0 and drawn == {path: path.read_bytes() for path in out.glob("run/images/*/*.png")}
    save_png(out / "controls" / "1.png", np.full((32, 32, 3), 255, np.uint8))
    from evaluation.generation.prompt_pictures import files_sha256

    files_sha256.cache_clear()  # a command's own process would have none of it yet
    assert "control_images" in refused(capsys, run, *given)


def test_a_steered_picture_of_a_run_is_made_again_from_its_recipe_and_its_own_image_only(folder, capsys):
    run, out = folder
    assert run(*steered(out, "--guidance-scales", "2", "--control-scale", "0.7", "--metrics", "clip_scenes")) == 0
    first = min(out.glob("run/images/*/00001*.png"))
    recipe, own = read_png(first), out / "controls" / "1.png"
    assert recipe.control == str(out / "adapter") and recipe.settings.control_scale == 0.7
    assert recipe.control_image == image_sha256(fitted(own, 32, 32))
    model = ldm_core.load(recipe.model, device="cpu", dtype="float32", control=recipe.control)
    assert (to_uint8(model.redraw(recipe, control_image=fitted(own, 32, 32)))[0] == load_png(first)).all()
    again = ["--recipe", str(first), "--metrics", "clip_scenes", "--device", "cpu", "--out", str(out / "again")]
    assert main([*again, "--control-images", str(own)]) == 0
    (redrawn,) = out.glob("again/images/*/*.png")
    assert (load_png(redrawn) == load_png(first)).all() and read_png(redrawn).control_image == recipe.control_image
    for more, words in (
        ([], "needs its image: --control-images FILE"),
        (["--control-images", str(out / "controls" / "0.png")], "is of another image"),
        (["--control-images", str(own), "--control", "x/y"], "--control cannot be given with --recipe"),
        (["--control-images", str(own), "--control-scale", "1"], "--control-scale cannot be given with --recipe"),
    ):
        assert words in refused(capsys, main, [*again[:-1], str(out / "other"), *more])
    assert not (out / "other").exists()


def test_a_start_image_and_a_control_image_go_together(folder, tiny):
    run, out = folder
    begun = ["--init-images", str(out / "controls" / "2.png"), "--strength", "0.7"]
    assert run(*steered(out, *begun, "--guidance-scales", "1", "--metrics", "start_psnr")) == 0
    first = min(out.glob("run/images/*/00000*.png"))
    recipe, image = read_png(first), fitted(out / "controls" / "2.png", 32, 32)
    model = tiny.with_control(str(out / "adapter"))
    redrawn = model.redraw(recipe, image, control_image=fitted(out / "controls" / "0.png", 32, 32))
    apart = np.abs(to_uint8(redrawn)[0].astype(int) - load_png(first))
    assert recipe.task is not None and apart.max() <= 1 and (apart > 0).mean() < 1e-3


def test_what_does_not_go_together_is_one_line_before_a_picture_is_drawn(folder, capsys):
    run, out = folder
    (out / "empty").mkdir()
    adapter = ["--control", str(out / "adapter")]
    for more, words in (
        (adapter, "give --control-images too"),
        (["--control-images", str(out / "controls")], "give --control too"),
        (["--control-scale", "0.5"], "give --control and --control-images too"),
        (["--sweep", "control_scale=0.2,0.5"], "give --control and --control-images too"),
        (["--control-interval", "0.5,1"], "give --control and --control-images too"),
        (steered(out, "--control-scale", "-1"), "control_scale must be"),
        ([*adapter, "--control-images", str(out / "nowhere")], "is not there"),
        ([*adapter, "--control-images", str(out / "empty")], "--control-images"),
        (["--control", "scenes-contrl", "--control-images", str(out / "controls")], "unknown control 'scenes-contrl'"),
        (["--metrics", "control_iou"], "no picture was steered"),
        (steered(out, "--height", "30", "--width", "30"), "must be"),
    ):
        assert words in refused(capsys, run, *more), more
    save_png(out / "controls" / "3.png", np.zeros((32, 32, 3), np.uint8))
    assert "holds 4 pictures and there are 3 prompts" in refused(capsys, run, *steered(out))
    assert not (out / "run").exists()


def test_obedience_is_measured_where_the_model_s_world_has_a_reader():
    assert "control_iou" in catalogue.defaults("everyday", steered=True)
    for world in ("fashion", ""):
        assert "control_iou" not in catalogue.defaults(world, steered=True)
    assert "control_iou" not in catalogue.defaults("everyday")


def test_the_iou_of_a_run_is_that_of_each_picture_with_its_own_prompt_s_image(tmp_path):
    from evaluation.detectors.silhouettes import Drawings, ious, load_silhouette_reader

    drawings = Drawings.of("everyday", iter(range(200, 206)), 128)
    for place, asked in enumerate(drawings.silhouettes):
        save_png(tmp_path / f"{place}.png", to_uint8(asked.expand(3, -1, -1)[None])[0])
    files = {place: tmp_path / f"{place}.png" for place in range(len(drawings.captions))}
    reader = load_silhouette_reader("everyday")
    places = [str(place) for place in files]
    _, scores = ControlDetector(files, {}, reader).extract(drawings.images, places)
    assert scores["control_iou"] == pytest.approx(ious(reader, drawings.images, drawings.silhouettes), abs=1e-6)
    _, other = ControlDetector(files, {}, reader).extract(drawings.images.flip(0), places)
    assert sum(scores["control_iou"]) > 1.3 * sum(other["control_iou"])
