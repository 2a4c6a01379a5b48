"""A link carries all settings; pictures drawn before are kept in the visitor's browser."""

from __future__ import annotations

import math
from urllib.parse import parse_qs, urlsplit

import gradio as gr
import pytest

from demo import text_to_image
from demo.links import link_to, number, query_of, read_link
from demo.recall import recalled
from demo.session import Session

SEEDS = """[...document.querySelectorAll('label')].some(
    each => each.offsetParent && /^Seeds/.test(each.innerText) && each.querySelector('textarea, input')?.value === '99')"""
PROMPT = """[...document.querySelectorAll('textarea')].some(
    each => each.offsetParent && each.value === 'a purple boat at night')"""


@pytest.fixture
def session(tiny):
    return Session(tiny)


def test_a_links_numbers_are_numbers_or_refused():
    assert number("7") == 7 and number("2.5") == 2.5 and math.isnan(number("x")) and math.isnan(number(""))


def test_what_a_link_leaves_out_is_the_models_own_and_what_is_wrong_is_said(session):
    values, wrong = read_link(session, text_to_image.NAMES, {"prompt": "a boat", "seed": "9", "substitute": "false"})
    own = dict(zip(text_to_image.NAMES, values))
    assert not wrong and own["prompt"] == "a boat" and own["seed"] == 9 and own["substitute"] is False
    assert own["steps"] == session.model.spec.steps and own["size"] == "32 x 32"
    for query, words in (
        ({"steps": "1e9"}, "Steps must be"),
        ({"seed": "nan"}, "The seed must be"),
        ({"model": "<b>"}, "The model must be one of"),
        ({"prompt": "x" * 401}, "400 are the most"),
        ({"substitute": "perhaps"}, "on or off"),
    ):
        assert words in read_link(session, text_to_image.NAMES, query)[1]


def test_a_link_that_the_server_writes_is_read_as_the_same_settings(session):
    own = {
        "prompt": "a boat & 50 % more =?",
        "negative_prompt": "",
        "seed": 2**32 - 4,
        "steps": 5,
        "guidance_scale": 2.5,
    }
    own |= {"scheduler": "ddim", "guidance_schedule": "cosine", "size": "32 x 48", "guidance_rule": "apg"}
    own |= {"model": session.model.spec.reference, "substitute": False, "pictures": 4}
    values, wrong = read_link(session, text_to_image.NAMES, query_of(link_to(own), text_to_image.NAMES))
    assert not wrong and dict(zip(text_to_image.NAMES, values)) == own


@pytest.mark.parametrize(
    "text", [None, 3, ["?seed=1"], "", "?", "?unknown=1", "x" * 9000, "?prompt=a&" + "b=1&" * 5000]
)
def test_what_is_no_link_changes_nothing(session, text):
    defaults = ["a house", "", 7, 5, 2.0, "ddim", "constant", "32 x 32", session.model.spec.reference, "cfg", True, 1]
    fill = recalled(session, text_to_image.NAMES, defaults)
    for whence in ("link", "kept", "picture", "elsewhere", None):
        assert all(value == gr.skip() for value in fill(text, whence)), (text, whence)


def test_a_form_of_before_is_filled_up_with_what_was_not_touched_and_is_left_alone_where_it_does_not_fit(session):
    defaults = ["a house", "", 7, *read_link(session, text_to_image.NAMES, {})[0][3:]]
    fill = recalled(session, text_to_image.NAMES, defaults)
    found = dict(zip(text_to_image.NAMES, fill("?steps=9", "kept")))
    assert (found["prompt"], found["seed"], found["steps"]) == ("a house", 7, 9)
    assert all(value == gr.skip() for value in fill("?steps=999", "kept")), "another page's, with other limits"
    assert all(value == gr.skip() for value in fill("?prompt=a house", "kept")), "nothing was changed"
    assert "not taken" in fill("?steps=999", "link")[len(text_to_image.NAMES)]


def test_prompt_and_settings_go_along_to_other_tabs_and_are_there_after_a_reload(visit):
    page = visit.page
    page.locator(".prompt textarea:visible").fill("a purple boat on a lake at dawn")
    page.get_by_label("Seed").first.fill("99")
    page.get_by_label("Seed").first.press("Enter")
    visit.tab("Guidance sweep")
    page.wait_for_function(
        "[...document.querySelectorAll('.prompt textarea')].filter(t => t.offsetParent)[0]?.value.startsWith('a purple boat')"
    )
    page.wait_for_function(SEEDS)
    page.locator(".prompt textarea:visible").fill("a purple boat at night")
    page.wait_for_timeout(500)  # no hand is sooner at the tabs; on a busy machine the page may not have noted it before
    visit.tab("From a picture")
    page.get_by_role("textbox", name="Prompt").locator("visible=true").first.wait_for()
    page.wait_for_function(PROMPT)
    page.reload()
    visit.wait_for_words("These are your settings of before")
    assert page.locator(".prompt textarea:visible").input_value() == "a purple boat at night"
    assert page.get_by_label("Seed").first.input_value() == "99"


def test_in_what_two_pictures_differ_is_shown(visit):
    page = visit.page
    for seed, steps in ((5, 1), (6, 1), (6, 2)):
        page.get_by_label("Seed").first.fill(str(seed))
        visit.take_steps(steps)
        kept = page.locator("#kept figure").count()
        page.get_by_role("button", name="Draw", exact=True).click()
        page.wait_for_function("n => document.querySelectorAll('#kept figure').length === n", arg=kept + 1)
    assert page.inner_text("#kept .difference") == "Of the two ticked: steps 1 → 2"
    ticks = page.locator("#kept input")
    assert [ticks.nth(place).is_checked() for place in range(3)] == [True, True, False]
    ticks.nth(2).check()
    assert "Of the two ticked: seed 5 → 6" in page.inner_text("#kept .difference")
    ticks.nth(2).uncheck()
    assert "Tick two" in page.inner_text("#kept .difference")


def test_four_pictures_of_a_click_stand_together_and_each_is_kept_with_its_seed(visit):
    page = visit.page
    page.get_by_role("radio", name="4", exact=True).check()
    page.get_by_role("button", name="Draw", exact=True).click()
    visit.wait_for_words("Seeds 7 to 10, ")
    page.wait_for_function("document.querySelectorAll('#pictures .thumbnail-item img').length === 4")
    assert not page.locator("#picture").is_visible() and page.locator("#pictures").is_visible()
    page.wait_for_function("document.querySelectorAll('#kept figure').length === 4")
    assert page.locator("#kept a img").first.get_attribute("alt").endswith("seed 10")
    page.get_by_role("radio", name="1", exact=True).check()
    page.get_by_role("button", name="Draw", exact=True).click()
    visit.wait_for_words("Seed 7, ")
    page.locator("#picture").wait_for()
    assert not page.locator("#pictures").is_visible()


def test_with_the_switch_on_a_pause_in_typing_draws_one_picture_of_the_newest_words_which_is_not_kept(visit):
    page = visit.page
    box, source = page.locator(".prompt textarea:visible"), "document.querySelector('#picture img')?.src"
    box.fill("a red house")
    opened = page.evaluate(source)
    page.wait_for_timeout(600)
    assert page.evaluate(source) == opened, "the switch is off"
    page.get_by_role("radio", name="4", exact=True).check()
    page.get_by_label("Draw while I type").check()
    box.fill("a blue boat on a lake")
    visit.wait_for_words("Seed 7, ")
    visit.wait_for_words(" s by scenes-turbo. ")
    page.wait_for_function("document.querySelector('#picture img').alt.endsWith('a blue boat on a lake')")
    assert page.evaluate(source) != opened
    box.press_sequentially(" at night", delay=30)
    page.wait_for_function("document.querySelector('#picture img').alt.endsWith('a lake at night')")
    assert page.locator("#kept figure").count() == 0
    box.fill("")
    page.wait_for_timeout(600)
    assert page.locator("#picture img").get_attribute("alt").endswith("at night"), "no words draw nothing"


def test_a_link_brings_the_settings_back_and_the_browser_keeps_what_was_drawn(visit, browser, demo_server):
    page = visit.page
    page.locator(".prompt textarea:visible").fill("a green boat & a tree")
    page.get_by_label("Seed").first.fill("4242")
    page.get_by_role("button", name="Link", exact=True).click()
    visit.wait_for_words("now carries all settings")
    asked = parse_qs(urlsplit(page.url).query, keep_blank_values=True)
    assert set(asked) == set(text_to_image.NAMES) and asked["prompt"] == ["a green boat & a tree"]
    page.get_by_role("button", name="Draw", exact=True).click()
    visit.wait_for_words("Seed 4242, ")
    page.wait_for_selector("#kept a img")
    page.reload()
    visit.wait_for_words("These are the link's settings")
    assert page.get_by_label("Seed").first.input_value() == "4242", "a reload keeps them, for the address does"
    page.goto(demo_server.address)
    page.locator("#kept a").click()
    visit.wait_for_words("These are that picture's settings")
    assert page.locator(".prompt textarea:visible").input_value() == "a green boat & a tree"
    page.get_by_role("button", name="Forget them").click()
    assert (
        page.locator("#kept a").count() == 0
        and page.evaluate("localStorage.getItem('latent-diffusion-drawings')") is None
    )
    page.goto(f"{demo_server.address}/?steps=100000&prompt=<img src=x>")
    visit.wait_for_words("not taken. Steps must be a whole number")
