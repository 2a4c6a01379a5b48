"""Image sets: from rows, from a folder, from a run's table; their conditions in order; and scoring one without a model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from evaluation import catalogue
from evaluation.condition import condition_label, shown
from evaluation.detectors import feature_cache
from evaluation.detectors.detector import load_detector
from evaluation.detectors.pixels import PixelDetector
from evaluation.detectors.reference_sources import load_reference
from evaluation.folders import read_folder
from evaluation.image_set import ImageSet
from evaluation.metrics.scoring import score
from evaluation.worlds import DRAWN, DRAWN_WORLD, caption_of, drawings

AXES = ("steps", "scheduler")


def rows():
    for steps in (12, 4):
        for scheduler in ("euler", "ddim"):
            for prompt in (0, 1):
                file = f"{steps}-{scheduler}-{prompt}.png"
                yield {"file": file, "prompt_id": prompt, "seed": 7 + prompt, "steps": steps, "scheduler": scheduler}


def test_conditions_rise_by_number_and_keep_the_order_of_words(tmp_path):
    images = ImageSet.of_rows(tmp_path, rows(), AXES)
    assert images.conditions == [
        "steps = 4, scheduler = euler",
        "steps = 4, scheduler = ddim",
        "steps = 12, scheduler = euler",
        "steps = 12, scheduler = ddim",
    ]
    assert images.values("steps = 4, scheduler = ddim") == {"steps": 4, "scheduler": "ddim"}
    assert images.under("steps = 12, scheduler = euler").tolist() == [True, True] + [False] * 6


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (7.5, "7.5"), (1.0000001, "1.0000001"), (np.float64(0.1), "0.1"), ("ddim", "ddim")]
)
def test_a_value_is_short_and_never_another_ones(value, text):
    assert shown(value) == text and condition_label({"guidance_scale": value}) == f"w = {text}"


def test_a_run_table_of_the_first_house_has_the_scale_for_its_axis(tmp_path):
    table = {"prompt_id": [0, 0], "prompt": ["a", "a"], "category": [None, None], "seed": [5, 5]}
    table |= {"guidance_scale": [1.0000001, 1.0], "file": ["a.png", "b.png"], "clip_scenes": [60.0, 61.0]}
    pd.DataFrame(table).to_csv(tmp_path / "images.csv", index=False)
    images = ImageSet.read(tmp_path)
    assert images.axes == ("guidance_scale",) and images.conditions == ["w = 1", "w = 1.0000001"]
    with pytest.raises(ValueError, match="is no finished run"):
        ImageSet.read(tmp_path / "nowhere")


def test_a_folder_is_a_set_of_which_nothing_else_is_known(tmp_path):
    (tmp_path / "below").mkdir()
    for name in ("b.png", "below/a.jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    images = read_folder(tmp_path, captions="none").images
    assert images.table["file"].tolist() == ["b.png", "below/a.jpg"] and images.conditions == [""]
    assert images.captions == ["", ""] and images.table["prompt_id"].nunique() == 2
    assert all(path.exists() for path in images.paths)


def test_what_is_kept_of_an_image_goes_with_its_file_and_its_caption(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    keys = [ImageSet.of_rows(tmp_path, [{"file": "a.png", "prompt": text}]).keys[0] for text in ("cat", "dog", "cat")]
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    keys.append(ImageSet.of_rows(tmp_path, [{"file": "a.png", "prompt": "cat"}]).keys[0])
    assert keys[0] == keys[2] and len(set(keys)) == 3


@pytest.fixture
def drawn(tmp_path):
    """Five scenes drawn right, and the same scenes drawn by the wrong seed, with the captions of the right ones."""
    found = {}
    for name, shift in (("right", 0), ("wrong", 50)):
        (tmp_path / name).mkdir()
        rows = []
        for index, seed in enumerate(DRAWN[DRAWN_WORLD].HELD_OUT_SEEDS[:5]):
            (picture,) = drawings(DRAWN_WORLD, [seed + shift], 192 if index else 256)  # sizes differ
            Image.fromarray(picture).save(tmp_path / name / f"{index}.png")
            caption = caption_of(DRAWN_WORLD, seed)
            rows.append({"file": f"{index}.png", "prompt_id": index, "prompt": caption, "seed": seed})
        found[name] = ImageSet.of_rows(tmp_path / name, rows)
    return found


def test_the_work_of_extracting_grows_with_the_images_and_not_with_their_square(tmp_path, monkeypatch):
    rng, looked_at, paths = np.random.default_rng(0), [], ImageSet.paths.fget
    for place in range(24):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(tmp_path / f"{place}.png")
    images = ImageSet.of_rows(tmp_path, [{"file": f"{place}.png", "prompt": "x"} for place in range(24)])
    monkeypatch.setattr(ImageSet, "paths", property(lambda own: looked_at.append(len(own)) or paths(own)))
    found = []
    for portion in (24, 2):
        monkeypatch.setattr(feature_cache, "PORTION", portion)
        looked_at.clear()
        found.append(feature_cache.extract(images, tmp_path / f"of {portion}", "pixels", PixelDetector()))
        assert sum(looked_at) <= 3 * len(images)
    pd.testing.assert_frame_equal(found[0][1], found[1][1])
    assert found[0][1]["clipped"].nunique() > 1


def test_two_folders_are_scored_side_by_side_with_paired_verdicts(drawn, tmp_path):
    detector = load_detector(DRAWN_WORLD)
    images = ImageSet.joined(drawn, "folder")
    metrics = catalogue.find(["fd_scenes", "scene_accuracy"])
    scores = score(
        images, metrics, {DRAWN_WORLD: detector}, {DRAWN_WORLD: load_reference(detector)}, tmp_path / "cache"
    )
    found = {(row["metric"], row["condition"]): row["value"] for row in scores.rows}
    assert found["scene_accuracy", "folder = right"] > 0.9 > found["scene_accuracy", "folder = wrong"]
    assert found["scene_accuracy_ceiling", ""] > 0.95 and ("fd_scenes", "folder = wrong") in found
    pair = scores.differences.set_index("metric").loc["scene_accuracy"]
    assert (pair["axis"], pair["value_a"], pair["value_b"]) == ("folder", "right", "wrong")
    by_hand = scores.images.table.pivot(index="prompt_id", columns="folder", values="scene_accuracy")
    assert pair["difference"] == pytest.approx((by_hand["wrong"] - by_hand["right"]).mean())
    (cache,) = (tmp_path / "cache").iterdir()
    before = cache.stat().st_mtime_ns
    again = score(images, metrics, {DRAWN_WORLD: detector}, {DRAWN_WORLD: load_reference(detector)}, tmp_path / "cache")
    assert again.rows == scores.rows and cache.stat().st_mtime_ns == before, "nothing extracted twice"


def test_captions_that_are_not_known_are_a_reason_in_words(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    images = read_folder(tmp_path, captions="none").images
    for name in ("clip_score", "scene_accuracy"):
        assert "none are known" in catalogue.METRICS[name].obstacle(images)
    assert "three prompts" in catalogue.METRICS["fid"].obstacle(images)
    assert "autoencoder" in catalogue.METRICS["vae_psnr"].obstacle(images)
    assert "autoencoder" in catalogue.METRICS["vae_psnr_generated"].obstacle(images)


def test_a_joined_set_that_lacks_an_axis_is_none_on_it(tmp_path):
    swept = ImageSet.of_rows(tmp_path, [{"file": "a.png", "steps": 4}, {"file": "b.png", "steps": 8}], ["steps"])
    plain = ImageSet.of_rows(tmp_path, [{"file": "c.png"}])
    joined = ImageSet.joined({"swept": swept, "plain": plain}, "set")
    assert set(joined.conditions) == {"set = swept, steps = 4", "set = swept, steps = 8", "set = plain, steps = none"}
