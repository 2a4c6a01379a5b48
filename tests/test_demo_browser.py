"""The page as a visitor has it: headless Chromium against the running server."""

from __future__ import annotations

import re
import time

import pytest
from PIL import Image
from visits import Visit

from demo.controls import WHAT_IT_DRAWS
from ldm_core.data import everyday
from ldm_core.recipe import read_png
from ldm_core.registry import MODELS


def test_the_page_opens_with_a_picture_and_asks_nobody_else_for_anything(visit):
    assert visit.page.evaluate("document.querySelector('#picture img').naturalWidth") == MODELS["scenes"].width
    assert WHAT_IT_DRAWS[MODELS["scenes"].world] in visit.page.inner_text(".vocabulary")
    unnamed = visit.page.evaluate("[...document.querySelectorAll('img')].filter(i => !i.alt && i.offsetParent).length")
    assert unnamed == 0, "pictures without a description"
    script = """[...document.querySelectorAll('input, textarea, select')].filter(i => i.offsetParent && i.type != 'file'
        && !i.labels?.length && !i.getAttribute('aria-label') && !i.getAttribute('aria-labelledby')
        && !i.closest('label')).map(i => i.outerHTML.slice(0, 120))"""
    assert visit.page.evaluate(script) == [], "inputs without a label"


def test_the_picture_forms_in_previews_and_the_file_carries_its_recipe(visit, tmp_path):
    seen, first = set(), visit.source()
    visit.page.locator(".prompt textarea:visible").fill("a blue house on the left by the lake at night")
    visit.page.get_by_role("button", name="Draw").click()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not re.search(r"Seed \d+", visit.page.inner_text("#status")):
        seen.add(visit.source())
        visit.page.wait_for_timeout(15)
    assert len(seen - {first, None}) >= 2, "previews before the picture"
    path = tmp_path / "x.png"
    path.write_bytes(visit.bytes_of())
    assert read_png(path).prompt == "a blue house on the left by the lake at night"


def test_stop_stops_and_the_next_may_draw(visit, demo_server):
    visit.take_steps(100)
    visit.page.get_by_role("button", name="Draw").click()
    visit.wait_for_words("Step \\d+ of 100")
    visit.page.get_by_role("button", name="Stop").first.click()
    visit.wait_for_words("Stopped")
    deadline = time.monotonic() + 10
    while demo_server.session.lane.locked() and time.monotonic() < deadline:
        visit.page.wait_for_timeout(20)
    assert not demo_server.session.lane.locked() and visit.page.is_visible("#picture img"), "what there was stays"


def test_a_sweep_streams_its_cells_together(visit):
    visit.tab("Guidance sweep")
    # The tab may have opened with a finished one.
    opening = visit.page.evaluate("document.querySelector('.sweep td img')?.src ?? ''")
    visit.page.get_by_label("Guidance scales").fill("1,3,6")
    visit.page.get_by_role("button", name="Sweep").click()
    visit.page.wait_for_function(
        "before => (document.querySelector('.sweep td img')?.src ?? '') !== before", arg=opening
    )
    first = visit.source(".sweep td img")
    visit.wait_for_words("^3 pictures", "#sweep-status")
    assert visit.page.locator(".sweep td img").count() == 3
    visit.page.wait_for_selector(".sweep td div:has-text('clip_scenes') >> nth=2")
    assert visit.source(".sweep td img") != first, "the cells formed before they were done"
    visit.page.wait_for_selector("text=Keep all (zip)")


def test_cells_fit_the_width_and_one_is_enlarged_by_a_click_and_opened_in_draw(visit):
    page = visit.page
    visit.tab("Guidance sweep")
    page.get_by_label("Guidance scales").fill("1,5")
    page.get_by_label("Against", exact=True).click()
    page.get_by_role("option", name="Steps", exact=True).click()
    visit.fill_offered("Values: Steps", "1,2")
    page.wait_for_selector("text=/^4 pictures/")
    page.get_by_role("button", name="Sweep", exact=True).click()
    page.wait_for_selector("text=Keep all (zip)")
    assert page.evaluate("(e => e.scrollWidth <= e.clientWidth)(document.querySelector('.sweep'))")
    assert "Mean saturation of the colours" in page.inner_text(".sweep dl")
    cell = page.get_by_role("button", name="guidance scale 5").last
    small = cell.locator("img").bounding_box()
    cell.click()
    large = page.locator("dialog.enlarged img").bounding_box()
    assert large["width"] > 1.3 * small["width"]
    words = page.inner_text("dialog.enlarged")
    assert "steps 2, guidance scale 5, seed 7" in words and "saturation" in words
    page.keyboard.press("Escape")
    assert not page.locator("dialog.enlarged").is_visible()
    cell.click()
    page.get_by_role("button", name="Open in Draw").click()
    visit.wait_for_words("These are that picture's settings")
    page.get_by_role("button", name="Draw", exact=True).wait_for()
    assert page.locator("[aria-label='number input for Guidance scale w']:visible").input_value() == "5"
    page.get_by_role("button", name="Advanced").first.click()
    assert page.get_by_label("number input for Steps").first.input_value() == "2"


def test_a_sweep_of_steps_charts_its_own_seeds_and_a_refusal_leaves_nothing_of_it(browser, demo_server):
    visit = Visit(browser, demo_server.address, viewport={"width": 1280, "height": 900})
    visit.tab("Guidance sweep")
    visit.page.get_by_label("Sweep", exact=True).click()
    visit.page.get_by_role("option", name="Steps", exact=True).click()
    values = visit.fill_offered("Values: Steps", "1,2")
    for seeds in (["7"], ["11", "12"]):
        visit.page.get_by_label("Seeds").fill(",".join(seeds))
        visit.page.wait_for_selector(f"text=/^{2 * len(seeds)} pictures/")  # the cost: what was typed has arrived
        visit.page.get_by_role("button", name="Sweep", exact=True).click()
        visit.wait_for_words(f"^{2 * len(seeds)} pictures", "#sweep-status")
        visit.page.wait_for_selector(f"svg text:text-is('seed {seeds[-1]}')")
        legend = visit.page.locator("svg text").all_text_contents()
        assert [text for text in legend if re.match(r"seed \d", text)] == [f"seed {seed}" for seed in seeds]
        heads = visit.page.locator(".sweep thead th").all_inner_texts()
        assert "steps" in legend and heads == ["steps = 1", "steps = 2"]
    values.fill("1,x")
    visit.page.get_by_role("button", name="Sweep").click()
    visit.page.wait_for_function("!document.querySelector('.sweep td img')")
    assert visit.page.locator("text=Steps must be a list like 4,8,12").first.is_visible()
    assert not visit.page.get_by_role("button", name="Keep all (zip)").is_visible()
    assert visit.page.locator("svg text").count() == 0
    # For a moment gradio shows a clock there.
    visit.page.wait_for_function("document.querySelector('#sweep-status').innerText.trim() === ''")
    visit.page.close()


def test_a_dropped_picture_restores_everything_and_is_drawn_again_byte_for_byte(visit, tmp_path):
    prompt = visit.page.locator(".prompt textarea:visible")
    prompt.fill("a green boat on a lake at dawn")
    visit.page.get_by_label("Seed").first.fill("4242")
    visit.page.get_by_role("button", name="Draw").click()
    visit.wait_for_words("Seed 4242, ")
    path = tmp_path / "kept.png"
    path.write_bytes(visit.bytes_of())
    prompt.fill("something else")
    visit.page.get_by_label("Seed").first.fill("1")
    visit.page.get_by_role("button", name="Go on from a picture made here").click()
    visit.page.set_input_files("#earlier input[type=file]", path)
    visit.wait_for_words("make the same picture again")
    assert prompt.input_value() == "a green boat on a lake at dawn"
    visit.page.get_by_role("button", name="Draw").click()
    visit.wait_for_words("Seed 4242, ")
    assert visit.bytes_of() == path.read_bytes()


def test_a_photo_is_compared_with_numbers_and_a_slider_that_keys_move(visit, tmp_path):
    Image.fromarray(everyday.draw(everyday.random_scene(9), 192)).save(tmp_path / "photo.jpg", quality=95)
    visit.tab("Autoencoders")
    visit.page.click("#photo [aria-label='Remove Image']")
    visit.page.set_input_files("#photo input[type=file]", tmp_path / "photo.jpg")
    visit.page.wait_for_selector("#photo img")
    visit.page.get_by_role("button", name="Compare").click()
    visit.wait_for_words("The photo was .* 192 x 192 pixels", "#compare-status")
    assert re.search(r"photo-f8\s+\d\d\.\d\d", visit.page.inner_text("#comparison table"))
    slider = visit.page.locator(".cut input").first
    slider.focus()
    slider.press("Home")
    assert visit.page.evaluate("document.querySelector('.cut').style.getPropertyValue('--cut')") == "0%"


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_needs_no_sideways_scrolling(browser, demo_server, dark):
    scheme = "dark" if dark else "light"
    visit = Visit(browser, demo_server.address, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    for name in ("Draw", "From a picture", "Guidance sweep", "Autoencoders", "How it works", "Results", "About"):
        visit.tab(name)
        visit.page.wait_for_timeout(300)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390, name
    visit.tab("Draw")
    visit.take_steps(1)
    visit.tab("Guidance sweep")
    visit.page.get_by_label("Guidance scales").fill("1-8(1)")
    visit.page.wait_for_selector("text=/^8 pictures/")
    visit.page.get_by_role("button", name="Sweep").click()
    keep = visit.page.get_by_role("button", name="Keep all (zip)")
    keep.wait_for()
    box = keep.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390, "only the grid itself is wider than the screen"
    assert visit.page.evaluate("(e => e.scrollWidth > e.clientWidth)(document.querySelector('.sweep'))"), "and scrolls"
    visit.page.close()
