"""The report's picture grid: what the page knows of each image, its first view, and the choices in a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from evaluation.condition import condition_label
from evaluation.report.document import document
from evaluation.report.explorer import dimensions_of, explorer, first_view, prompt_groups

CHROMIUM = Path("/usr/bin/chromium")
AXES = ("guidance_scale", "steps")


def images_in(folder: Path, prompts: int = 2, seeds: int = 2) -> pd.DataFrame:
    """A run's images.csv over two axes; a picture's red is its steps, its score the guidance scale."""
    rows = []
    for prompt in range(prompts):
        for seed in range(seeds):
            for scale in (1.0, 2.0):
                for steps in (4, 8, 12):
                    name = f"{prompt}-{seed}-{scale:g}-{steps}.png"
                    Image.new("RGB", (8, 8), (20 * steps, 0, 0)).save(folder / name)
                    values = {"guidance_scale": scale, "steps": steps}
                    rows.append(
                        {
                            "prompt_id": prompt,
                            "prompt": f"</script> prompt {prompt}",
                            "category": "",
                            "seed": 100 * prompt + seed,
                            **values,
                            "file": name,
                            "condition": condition_label(values),
                            "scene_accuracy": scale / 2,
                        }
                    )
    return pd.DataFrame(rows)


def data_of(page: str) -> dict:
    return json.loads(re.search(r'id="explorer-data">(.*?)</script>', page)[1])


def test_every_image_has_one_place_on_every_dimension(tmp_path):
    images = images_in(tmp_path)
    data = data_of(explorer(tmp_path, images, AXES, {"scheduler": "ddim"}))
    assert [one["name"] for one in data["dimensions"]] == ["prompt", "w", "steps", "image of the prompt"]
    assert data["dimensions"][2]["values"] == ["4", "8", "12"] and data["same"] == {"scheduler": "ddim"}
    places = [tuple(image["at"]) for image in data["images"]]
    assert len(set(places)) == len(places) == 24
    for image in data["images"]:
        prompt, scale, steps, seed = image["at"]
        assert image["file"] == f"{prompt}-{seed}-{scale + 1}-{4 * (steps + 1)}.png"
        assert image["scores"] == [(scale + 1) / 2] and image["seed"] == 100 * prompt + seed


def test_prompts_go_down_and_the_axis_with_most_values_across(tmp_path):
    dimensions = dimensions_of(images_in(tmp_path), AXES)
    rows, columns = first_view(dimensions)
    assert (dimensions[rows].name, dimensions[columns].name) == ("prompt", "steps")


def test_without_scripts_the_first_view_is_a_plain_table(tmp_path):
    page = explorer(tmp_path, images_in(tmp_path), AXES, {}).split('<script type="application/json"')[0]
    assert page.count("<img") == 2 * 3 and "steps = 12" in page and "w = " not in page


def test_a_prompt_cannot_end_the_pages_data(tmp_path):
    page = explorer(tmp_path, images_in(tmp_path), AXES, {})
    assert "</script> prompt" not in page and data_of(page)["dimensions"][0]["values"][0] == "</script> prompt 0"


def test_many_prompts_are_grouped_by_chance_best_and_worst():
    images = pd.DataFrame({"prompt_id": range(30), "scene_accuracy": np.arange(30) / 30})
    groups = dict(prompt_groups(images))
    assert groups["best by scene_accuracy"][:2] == [29, 28] and groups["worst by scene_accuracy"][:2] == [0, 1]
    assert len(groups["some by chance"]) == 12 and groups["all prompts"] == list(range(30))


def test_images_of_unknown_prompts_go_by_their_files(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    row = {"prompt_id": 0, "prompt": None, "seed": None, "file": "one.png", "condition": ""}
    data = data_of(explorer(tmp_path, pd.DataFrame([row]), (), {}))
    assert data["dimensions"] == [{"name": "prompt", "values": ["one"]}] and "seed" not in data["images"][0]


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium on this machine")
def test_a_reader_swaps_axes_opens_a_picture_and_walks_to_its_neighbour(tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    images = images_in(tmp_path)
    (tmp_path / "report.html").write_text(document("run", explorer(tmp_path, images, AXES, {"scheduler": "ddim"})))
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page, errors = browser.new_page(), []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"file://{tmp_path}/report.html")
        page.get_by_label("rows").select_option(label="w")
        heads = page.locator("#explorer thead th").all_inner_texts()
        assert heads == ["", "steps = 4", "steps = 8", "steps = 12"]
        assert page.locator("#explorer tbody th").all_inner_texts() == ["w = 1", "w = 2"]
        page.get_by_label("prompt", exact=True).select_option(label="</script> prompt 1")
        page.locator("#explorer td button").first.click()
        large = page.locator("dialog img")
        assert large.get_attribute("src") == "1-0-1-4.png" and "ddim" in page.locator("dialog dl").inner_text()
        assert page.locator("dialog .near button").all_inner_texts() == [
            "↓ w = 2: scene_accuracy +0.5",
            "→ steps = 8: the same scores",
        ]
        page.keyboard.press("ArrowDown")
        assert page.locator("dialog img").get_attribute("src") == "1-0-2-4.png"
        browser.close()
    assert errors == []
