"""A link carries all settings; pictures drawn before are kept in the visitor's browser."""

from __future__ import annotations

import math
from urllib.parse import parse_qs, urlsplit

import pytest

from demo.links import number, read_link
from demo.session import Session
from demo.tabs import generate


@pytest.fixture
def session(tiny):
    return Session(tiny)


def test_a_links_numbers_are_numbers_or_refused():
    assert number("7") == 7 and number("2.5") == 2.5 and math.isnan(number("x")) and math.isnan(number(""))


def test_what_a_link_leaves_out_is_the_models_own_and_what_is_wrong_is_said(session):
    values, wrong = read_link(session, generate.NAMES, {"prompt": "a boat", "seed": "9", "substitute": "false"})
    own = dict(zip(generate.NAMES, values))
    assert not wrong and own["prompt"] == "a boat" and own["seed"] == 9 and own["substitute"] is False
    assert own["steps"] == session.model.spec.steps and own["size"] == "32 x 32"
    for query, words in (
        ({"steps": "1e9"}, "Steps must be"),
        ({"seed": "nan"}, "The seed must be"),
        ({"model": "<b>"}, "The model must be one of"),
        ({"prompt": "x" * 401}, "400 are the most"),
        ({"substitute": "perhaps"}, "on or off"),
    ):
        assert words in read_link(session, generate.NAMES, query)[1]


def test_a_link_brings_the_settings_back_and_the_browser_keeps_what_was_drawn(visit, browser, demo_server):
    page = visit.page
    page.locator(".prompt textarea:visible").fill("a green boat & a tree")
    page.get_by_label("Seed").first.fill("4242")
    page.get_by_role("button", name="Link", exact=True).click()
    visit.wait_for_words("now carries all settings")
    asked = parse_qs(urlsplit(page.url).query, keep_blank_values=True)
    assert set(asked) == set(generate.NAMES) and asked["prompt"] == ["a green boat & a tree"]
    page.get_by_role("button", name="Draw", exact=True).click()
    visit.wait_for_words("Seed 4242, ")
    page.wait_for_selector("#kept a img")
    page.reload()
    visit.wait_for_words("These are the link's settings")
    assert page.get_by_label("Seed").first.input_value() == "4242", "a reload keeps them, for the address does"
    page.goto(demo_server.address)
    page.locator("#kept a").click()
    visit.wait_for_words("These are the link's settings")
    assert page.locator(".prompt textarea:visible").input_value() == "a green boat & a tree"
    page.get_by_role("button", name="Forget them").click()
    assert (
        page.locator("#kept a").count() == 0
        and page.evaluate("localStorage.getItem('latent-diffusion-drawings')") is None
    )
    page.goto(f"{demo_server.address}/?steps=100000&prompt=<img src=x>")
    visit.wait_for_words("not taken. Steps must be a whole number")
