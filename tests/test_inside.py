"""What is measured of the part that a mask had drawn anew."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from evaluation import catalogue
from evaluation.detectors.detector import load_detector
from evaluation.detectors.located import Located
from evaluation.generation.starts import StartFiles
from evaluation.metrics.inside import InsideDetector, cut, things_inside
from evaluation.run import main
from ldm_core.data import everyday
from ldm_core.images import from_uint8, save_png

SIDE = 128


def mask_of(rows: slice, columns: slice) -> torch.Tensor:
    made = torch.zeros(1, SIDE, SIDE)
    made[:, rows, columns] = 1
    return made


LEFT, RIGHT, ALL, NOTHING = (
    mask_of(slice(0, SIDE), columns) for columns in (slice(0, 64), slice(64, SIDE), slice(0, SIDE), slice(0))
)


def test_the_cut_is_the_mask_s_box_widened_to_a_square_within_the_picture():
    image = torch.arange(3 * SIDE * SIDE).reshape(3, SIDE, SIDE).float()
    assert torch.equal(cut(image, mask_of(slice(40, 60), slice(30, 70))), image[:, 30:70, 30:70])
    assert torch.equal(cut(image, mask_of(slice(0, 10), slice(100, 128))), image[:, 0:28, 100:128])
    assert torch.equal(cut(image, mask_of(slice(120, 128), slice(0, 2))), image[:, 120:128, 0:8])
    assert torch.equal(cut(image[:, :40], mask_of(slice(5, 9), slice(10, 90))[:, :40]), image[:, :40, 10:90])


RED, BLUE = Located("house", "red", 0.2, 0.7), Located("boat", "blue", 0.8, 0.7)


@pytest.mark.parametrize(
    ("text", "seen", "mask", "share"),
    [
        ("a red house and a blue boat", [RED, BLUE], LEFT, 1.0),  # the boat is kept, the house was drawn
        ("a red house and a blue boat", [BLUE], LEFT, 0.0),
        ("a red house and a blue boat", [], ALL, 0.0),
        ("a red house and a blue boat", [RED], ALL, 0.5),
        ("a green house", [RED], ALL, 0.0),
        ("a house", [RED], ALL, 1.0),
        ("a red house", [RED], RIGHT, math.nan),  # it is where nothing was drawn: nothing is expected inside
        ("a red house on the left and a green house on the right", [RED], RIGHT, 0.0),  # but of two the other one is
        ("a red house", [RED], NOTHING, math.nan),
        ("the sea of tranquility", [RED], ALL, math.nan),
    ],
)
def test_of_what_the_kept_part_does_not_show_the_share_that_was_drawn_inside(text, seen, mask, share):
    assert things_inside("everyday", text, seen, mask) == pytest.approx(share, nan_ok=True)


def test_a_world_s_reader_says_where_it_sees_things():
    drawn = [everyday.random_scene(seed) for seed in everyday.HELD_OUT_SEEDS[700:710]]
    images = from_uint8(np.stack([everyday.draw(scene, 128) for scene in drawn]))
    near = everything = 0
    for scene, seen in zip(drawn, load_detector("everyday").located(images)):
        for thing, owned in zip(scene.things, everyday.masks(scene, 64)):
            rows, columns = np.nonzero(owned > 0.5)
            if not len(rows) or thing.count != 1:
                continue
            x, y = (columns.min() + columns.max() + 1) / 128, (rows.min() + rows.max() + 1) / 128
            everything += 1
            near += any(one.kind == thing.kind and abs(one.x - x) < 0.12 and abs(one.y - y) < 0.15 for one in seen)
    assert near / everything > 0.75, f"{near} of {everything}"


def test_what_was_drawn_for_the_prompt_fits_it_better_than_what_was_drawn_for_another(tmp_path):
    """Real drawings in the place of inpaintings, a mask over all of each."""
    drawn = [scene for scene in map(everyday.random_scene, range(300, 330)) if scene.things][:12]
    texts = [everyday.caption(scene, seed) for seed, scene in enumerate(drawn)]
    images = from_uint8(np.stack([everyday.draw(scene) for scene in drawn]))
    for name, level in (("start", 0), ("mask", 255)):
        save_png(tmp_path / f"{name}.png", np.full((SIDE, SIDE, 3), level, np.uint8))
    starts = dict.fromkeys(range(len(texts)), StartFiles(tmp_path / "start.png", tmp_path / "mask.png"))
    detector = InsideDetector(starts, dict(enumerate(texts)), {}, "everyday", load_detector("everyday"))
    own, others = (
        detector.extract(pictures, [str(place) for place in range(len(texts))])[1]
        for pictures in (images, images.roll(1, 0))
    )
    for name in ("clip_scenes_inside", "scene_accuracy_inside"):
        assert np.nanmean(own[name]) > 1.3 * np.nanmean(others[name])
    assert np.nanmean(own["scene_accuracy_inside"]) > 0.8


def test_of_a_mask_over_everything_the_fit_inside_is_that_of_the_whole_picture(tmp_path):
    images = from_uint8(np.stack([everyday.draw(everyday.random_scene(seed)) for seed in range(3)]))
    save_png(tmp_path / "white.png", np.full((SIDE, SIDE, 3), 255, np.uint8))
    start = StartFiles(tmp_path / "white.png", tmp_path / "white.png")
    texts, whole = dict.fromkeys(range(3), "a red house at night"), load_detector("everyday")
    found = InsideDetector(dict.fromkeys(range(3), start), texts, {}, "everyday", whole).extract(
        images, ["0", "1", "2"]
    )
    expected = whole.extract(images, list(texts.values()))[1]["clip_scenes"]
    assert found[1]["clip_scenes_inside"] == pytest.approx(expected, abs=1e-3)


def test_a_run_with_masks_tells_adherence_inside_and_one_without_says_what_gives_it(tmp_path, tiny_folder, capsys):
    (tmp_path / "p.txt").write_text("a red house on the left\ntwo boats\n")
    save_png(tmp_path / "start.png", np.full((32, 32, 3), 90, np.uint8))
    white = np.zeros((32, 32, 3), np.uint8)
    white[:, :20] = 255
    save_png(tmp_path / "mask.png", white)
    own = ["--model", str(tiny_folder), "--device", "cpu", "--dtype", "fp32", "--prompts", str(tmp_path / "p.txt")]
    own += ["--steps", "2", "--guidance-scales", "1,3", "--init-images", str(tmp_path / "start.png")]
    asked = ["--metrics", "clip_scenes_inside,scene_accuracy_inside", "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit):
        main([*own, *asked])
    assert "nothing is masked: --masks gives that" in capsys.readouterr().err
    assert main([*own, *asked, "--masks", str(tmp_path / "mask.png")]) == 0
    summary, images = (pd.read_csv(tmp_path / "run" / f"{name}.csv") for name in ("summary", "images"))
    assert set(summary["metric"]) >= {"clip_scenes_inside", "scene_accuracy_inside"}
    assert images["clip_scenes_inside"].notna().all() and images["scene_accuracy_inside"].dropna().between(0, 1).all()


def test_masks_bring_their_measures_along_and_clip_s_where_no_world_is_known():
    assert {"clip_scenes_inside", "scene_accuracy_inside"} <= set(
        catalogue.defaults("everyday", started=True, masked=True)
    )
    assert "clip_score_inside" in catalogue.defaults("", started=True, masked=True)
    assert not any(name.endswith(("inside", "outside")) for name in catalogue.defaults("everyday", started=True))
