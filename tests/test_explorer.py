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
from evaluation.report.explorer import EMBEDDED, OF_A_GROUP, dimensions_of, explorer, first_view, prompt_groups

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


PROMPTS, SCALES = 5000, 8


def large_run(folder: Path) -> pd.DataFrame:
    """40,000 images of one small picture, whose score says prompt and scale."""
    Image.new("RGB", (8, 8)).save(folder / "one.png")
    prompts, scales = (values.ravel() for values in np.mgrid[:PROMPTS, 1 : SCALES + 1])
    columns = {
        "prompt_id": prompts,
        "prompt": [f"prompt {prompt}" for prompt in prompts],
        "category": "",
        "seed": prompts,
    }
    columns |= {"guidance_scale": scales.astype(float), "file": "one.png", "condition": [f"w = {w}" for w in scales]}
    return pd.DataFrame(columns | {"scene_accuracy": prompts + scales / 10})


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


def test_a_run_of_40000_images_is_a_page_of_some_megabytes_that_holds_them_all(tmp_path):
    page = explorer(tmp_path, large_run(tmp_path), ("guidance_scale",), {})
    data = data_of(page)
    assert len(data["images"]) == PROMPTS * SCALES and sum("small" in image for image in data["images"]) == EMBEDDED
    assert {name: len(group) for name, group in ((one["name"], one["prompts"]) for one in data["groups"])} == {
        "some by chance": OF_A_GROUP,
        "best by scene_accuracy": OF_A_GROUP,
        "worst by scene_accuracy": OF_A_GROUP,
        "all prompts": PROMPTS,
    }
    thumbnails = sum(len(image.get("small", "")) for image in data["images"])
    assert (len(page) - thumbnails) / (PROMPTS * SCALES) < 150, "bytes an image"
    first, *_ = page.split('<script type="application/json"')
    assert first.count("<img") == OF_A_GROUP * SCALES, "without scripts the first group"


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium on this machine")
def test_a_reader_pages_through_a_run_of_40000_images(tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    page_html = document("run", explorer(tmp_path, large_run(tmp_path), ("guidance_scale",), {}))
    (tmp_path / "report.html").write_text(page_html)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page, errors = browser.new_page(), []
        page.set_default_timeout(300_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"file://{tmp_path}/report.html")
        names = page.locator("#explorer tbody th")
        assert names.count() == OF_A_GROUP and page.get_by_label("rows shown").count() == 0, "a group is one page"
        page.get_by_label("prompts").select_option(label=f"all prompts ({PROMPTS})")
        order = {name: place for place, name in enumerate(f"prompt {prompt}" for prompt in range(PROMPTS))}
        rows = page.get_by_label("rows shown")
        starts = rows.locator("option").all_inner_texts()
        assert len(starts) == -(-PROMPTS // 24) and starts[:2] == ["1 to 24 of 5000", "25 to 48 of 5000"]
        seen = names.all_inner_texts()
        assert len(seen) == 24 and page.locator("#explorer td button").count() == 24 * SCALES, "no more is laid out"
        rows.select_option(label="4993 to 5000 of 5000")
        last = names.all_inner_texts()
        assert len(last) == 8 and not set(seen) & set(last) and set(seen) | set(last) <= set(order)
        page.locator("#explorer td button").last.click()
        told = dict(zip(page.locator("dialog dt").all_inner_texts(), page.locator("dialog dd").all_inner_texts()))
        assert told["prompt"] == last[-1] and told["w"] == "8"
        assert float(told["scene_accuracy"]) == pytest.approx(order[last[-1]] + 0.8, rel=1e-3)
        page.get_by_role("button", name="Close").click()
        page.get_by_label("columns").select_option(label="prompt")  # they change places: scales down, prompts across
        assert names.all_inner_texts() == [f"w = {w}" for w in range(1, SCALES + 1)]
        assert page.get_by_label("columns shown").locator("option").count() == len(starts)
        assert page.locator("#explorer thead th").count() == 25
        browser.close()
    assert errors == []


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
