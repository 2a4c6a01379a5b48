"""What a visitor meets: other models' pictures, files that are none, Stop, a line, prompts that the model cannot read, a phone."""

from __future__ import annotations

import re

import httpx
import pytest
from PIL import Image
from visits import SIZE, Visit

from demo.controls import WHAT_IT_DRAWS
from ldm_core.registry import MODELS

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
TABS = ("Draw", "From a picture", "From a layout", "Guidance sweep", "Autoencoders", "How it works", "Results", "About")


def draw(visit, prompt=None, steps=None, wait="Seed \\d+"):
    """Presses Draw, and waits for words in the status."""
    if steps is not None:
        visit.take_steps(steps)
    if prompt is not None:
        visit.page.locator(".prompt textarea:visible").fill(prompt)
    visit.page.get_by_role("button", name="Draw").click()
    visit.wait_for_words(wait)


def event(address, name, data):
    """The end of an endpoint's stream."""
    asked = httpx.post(f"{address}/gradio_api/call/{name}", json={"data": data}, timeout=120)
    if asked.status_code != 200:
        return asked.text
    return httpx.get(f"{address}/gradio_api/call/{name}/{asked.json()['event_id']}", timeout=120).text


def test_a_picture_of_another_model_is_restored_with_that_models_choices_and_drawn_again(visit, demo_server, tmp_path):
    data = [
        "a handbag",
        "",
        3,
        2,
        1.0,
        "ddim",
        "constant",
        SIZE,
        "fashion",
        "cfg",
        True,
        1,
    ]  # the size: left as the page has it
    text = event(demo_server.address, "generate", data)
    assert "event: complete" in text, text
    kept = tmp_path / "kept.png"
    kept.write_bytes(httpx.get(re.findall(r'http://[^"]*image\.png', text)[-1], timeout=60).content)
    assert Image.open(kept).size == (32, 32)
    visit.page.get_by_role("button", name="Go on from a picture made here").click()
    visit.page.set_input_files("#earlier input[type=file]", kept)
    visit.wait_for_words("Restored")
    assert "fashion" in visit.page.inner_text("#header") and "Fashion-MNIST" in visit.page.inner_text(".vocabulary")
    draw(visit, wait="Seed 3, ")
    assert visit.bytes_of() == kept.read_bytes()
    visit.page.get_by_role("button", name="Advanced").first.click()
    visit.page.get_by_label("Size").first.click()
    offered = [text.strip(" ✓\n") for text in visit.page.get_by_role("option").all_inner_texts()]
    assert offered == ["32 x 32", "48 x 32", "32 x 48"]
    visit.page.keyboard.press("Escape")


def test_a_file_that_is_no_picture_gets_one_sentence_in_any_tab_and_nothing_old_stays(browser, demo_server, tmp_path):
    visit = Visit(browser, demo_server.address, viewport=WIDE)
    words, nothing = tmp_path / "x.png", tmp_path / "y.png"
    words.write_bytes(b"no picture")
    nothing.touch()
    sentence = "This file is no picture that can be read; JPEG, PNG, WebP, BMP, TIFF will do."
    visit.page.get_by_role("button", name="Go on from a picture made here").click()
    visit.page.set_input_files("#earlier input[type=file]", words)
    visit.wait_for_words(f"Not restored. {sentence}")
    visit.tab("Autoencoders")
    for name in ("photo-f4", "photo-f8"):
        visit.page.get_by_label(f"{name} (here)").uncheck()
    visit.page.get_by_role("button", name="drawing 1").click()
    visit.page.wait_for_function("document.querySelector('#photo img')?.src.includes('drawing')")
    visit.page.get_by_role("button", name="Compare").click()
    visit.page.wait_for_selector("#comparison table")
    visit.wait_for_words("The photo was", "#compare-status")
    visit.page.click("#photo [aria-label='Remove Image']")
    visit.page.wait_for_function("!document.querySelector('#comparison table')")
    visit.page.set_input_files("#photo input[type=file]", nothing)
    visit.wait_for_words(f"Not taken. {sentence}", "#compare-status")
    visit.page.get_by_role("button", name="Compare").click()
    visit.page.wait_for_selector("text=Choose a photo first")
    assert "preprocess" not in visit.page.inner_text("body")
    visit.page.close()


def test_stop_always_ends_in_stopped(visit, demo_server):
    draw(visit, steps=2)
    for pause in (0, 100, 700, 1500):
        draw(visit, steps=100, wait=".")
        visit.page.wait_for_timeout(pause)
        visit.page.get_by_role("button", name="Stop").first.click()
        visit.wait_for_words("^Stopped")
        visit.page.wait_for_timeout(400)
        assert visit.page.inner_text("#status").startswith("Stopped")
        assert not visit.page.locator("text=/^Error$/").count() and not demo_server.session.lane.locked()
        draw(visit, steps=1)


def test_who_waits_is_told_the_place_in_line_and_that_the_page_lives(browser, demo_server):
    visits = [Visit(browser, demo_server.address, viewport=WIDE) for _ in range(2)]
    lane = demo_server.session.lane
    other = lane.join()  # a visitor who draws for as long as it takes
    assert lane.wait(other, 60)
    try:
        draw(visits[0], steps=1, wait="yours is next")
        draw(visits[1], steps=1, wait="2 others are before you.*Waiting for [1-9]")
        visits[0].page.get_by_role("button", name="Stop").first.click()
        visits[0].wait_for_words("^Stopped")
        visits[1].wait_for_words("yours is next")
    finally:
        lane.leave(other)
    visits[1].wait_for_words("Seed \\d+")
    for visit in visits:
        visit.page.close()


def test_no_prompt_is_handled_silently(visit):
    for prompt, words in (
        ("", "The prompt is empty.*Try: a red house"),
        ("ein Haus am Wasser 🐱", "knows no word of this prompt.*Try: a red house"),
        ("a red house with 3 quasars", "does not know .quasars.*words alone, not: 3"),
        ("a red house by the lake at night " * 8, "too long for this model, which did not read its end: at, night"),
    ):
        draw(visit, prompt, steps=1, wait=words)
        assert WHAT_IT_DRAWS[MODELS["scenes"].world] in visit.page.inner_text(".vocabulary"), (
            "what it knows stays in sight"
        )
        visit.tab("Guidance sweep")
        visit.page.locator(".prompt textarea:visible").fill(prompt)
        visit.page.get_by_label("Guidance scales").fill("1")
        visit.page.get_by_role("button", name="Sweep", exact=True).click()
        visit.wait_for_words(words, "#sweep-status")
        visit.tab("Draw")


def test_a_prompt_longer_than_the_box_is_refused_and_not_cut(browser, demo_server):
    visit = Visit(browser, demo_server.address, viewport=WIDE)
    visit.page.locator(".prompt textarea:visible").fill("a red house " * 50)
    visit.page.get_by_role("button", name="Draw").click()
    visit.page.wait_for_selector("text=The prompt has 600 characters; 400 are the most.")
    visit.page.close()


def test_enter_draws_and_shift_enter_breaks_the_line(visit):
    prompt = visit.page.locator(".prompt textarea:visible")
    assert "Enter draws" in visit.page.inner_text(".prompt")
    prompt.fill("a red house")
    prompt.press("Shift+Enter")
    prompt.press_sequentially("at night")
    assert prompt.input_value() == "a red house\nat night"
    prompt.press("Enter")
    visit.wait_for_words("Seed \\d+")
    assert "Made from the prompt: a red house" in visit.page.get_attribute("#picture img", "alt")


@pytest.mark.parametrize("dark", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_axe_finds_nothing_serious_on_any_tab(browser, demo_server, size, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    if dark:  # the slow ones look at tabs with their finished results too
        demo_server.openings.draw().join(300)
    visit = Visit(browser, demo_server.address, viewport=size, color_scheme="dark" if dark else "light")
    draw(visit, steps=1)
    for name in TABS:
        visit.tab(name)
        visit.page.wait_for_timeout(400)
        if name == "Autoencoders" and dark:
            visit.page.locator(".measures summary").click()
        if name == "Guidance sweep":
            visit.page.get_by_role("button", name="Sweep", exact=True).click()
            visit.page.wait_for_selector("text=Keep all (zip)")
        found = axe.Axe().run(visit.page).response["violations"]
        serious = [
            (each["id"], [node["html"][:200] for node in each["nodes"]])
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        assert not serious, (name, serious)
    visit.page.close()
    demo_server.openings.begun = False
    demo_server.openings.drawn.clear()


def test_the_tab_key_goes_to_the_prompt_first_focus_is_seen_and_the_status_is_spoken(visit):
    visit.page.get_by_role("tab", name="Draw").focus()
    for _ in range(8):  # the other tabs come first
        visit.page.keyboard.press("Tab")
        if visit.page.evaluate("document.activeElement.tagName") == "TEXTAREA":
            break
    script = "(e => [e.tagName, getComputedStyle(e).outlineStyle, getComputedStyle(e).borderTopWidth])(document.activeElement)"
    assert visit.page.evaluate(script) == ["TEXTAREA", "solid", "1px"]
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.innerText") == "Draw"
    assert visit.page.get_attribute("#status", "aria-live") == "polite"
    visit.tab("Autoencoders")
    for name in ("cat", "coffee", "test card", "drawing 1", "drawing 2"):
        assert visit.page.get_by_role("button", name=name).is_visible()


def test_a_thin_photo_does_not_make_a_tower_of_a_page(visit, tmp_path):
    Image.new("RGB", (33, 2000), "teal").save(tmp_path / "thin.png")
    visit.tab("Autoencoders")
    visit.page.click("#photo [aria-label='Remove Image']")
    visit.page.set_input_files("#photo input[type=file]", tmp_path / "thin.png")
    visit.page.wait_for_function("document.querySelector('#photo img')?.src.includes('thin')")
    visit.page.get_by_label("scenes (of the model)").check()
    visit.page.get_by_role("button", name="Compare").click()
    visit.wait_for_words("The photo was", "#compare-status")
    tall = "Math.max(...[...document.querySelectorAll('#comparison img')].map(i => i.getBoundingClientRect().height))"
    assert visit.page.evaluate(tall) <= 700 and visit.page.evaluate("document.documentElement.scrollHeight") < 6000
    boxes = [visit.page.locator(name).first.bounding_box() for name in ("#photo", "button:has-text('Compare')")]
    assert 0 <= boxes[1]["y"] - boxes[0]["y"] - boxes[0]["height"] < 60, "Compare stands right below the photo"
    ratios = visit.page.evaluate(
        "[...document.querySelectorAll('.cut img')].map(i => [i.clientWidth / i.clientHeight, "
        "i.naturalWidth / i.naturalHeight])"
    )
    assert all(abs(shown / own - 1) < 0.05 for shown, own in ratios), ratios


def test_on_a_phone_draw_is_in_the_first_screen_and_a_wide_grid_says_that_it_scrolls(browser, demo_server):
    visit = Visit(browser, demo_server.address, viewport=PHONE)
    box = visit.page.get_by_role("button", name="Draw").bounding_box()
    assert box["y"] + box["height"] < 500
    form = visit.page.locator(".prompt").first.bounding_box()
    assert form["width"] >= 340 and visit.page.locator("#picture img").bounding_box()["width"] >= 300
    visit.take_steps(1)
    visit.tab("Guidance sweep")
    for scales, scrolls in (("1,2,4,8", False), ("1-8(1)", True)):  # as many as fit, and more
        visit.page.get_by_label("Guidance scales").fill(scales)
        visit.page.wait_for_selector(f"text=/^{8 if scrolls else 4} pictures/")
        visit.page.get_by_role("button", name="Sweep", exact=True).click()
        visit.page.wait_for_selector("text=Keep all (zip)")
        visit.wait_for_words(f"^{8 if scrolls else 4} pictures", "#sweep-status")
        assert visit.page.locator(".scrolls").is_visible() == scrolls
    visit.page.close()


def test_the_page_is_shared_under_its_own_title_with_its_own_picture(demo_server):
    page = httpx.get(demo_server.address, timeout=60).text
    tags = dict(re.findall(r'<meta (?:property|name)="((?:og|twitter):\w+)" content="([^"]*)"', page))
    assert tags["og:title"] == tags["twitter:title"] == "Latent diffusion" and "radio" not in " ".join(tags.values())
    picture = httpx.get(tags["og:image"], timeout=60)
    assert picture.headers["content-type"] == "image/webp" and picture.content[8:12] == b"WEBP"
    assert page.count("og:title") == 1
