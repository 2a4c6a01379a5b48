"""The demo: what the server refuses, what a visitor gets, and that one picture at a time is drawn."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("gradio")

from demo import app  # noqa: E402
from demo.session import Session  # noqa: E402
from demo.tabs import generate  # noqa: E402
from ldm_core.images import from_pil  # noqa: E402
from ldm_core.recipe import Recipe  # noqa: E402

GOOD = {"prompt": "a house", "negative_prompt": "", "seed": 7, "steps": 5, "guidance_scale": 3.0, "scheduler": "ddim"}


@pytest.fixture
def session(tiny):
    return Session(tiny)


def test_a_visitor_sees_previews_and_then_the_picture_with_its_recipe(session, tiny):
    frames = list(generate.handler(session)(**GOOD))
    assert len(frames) == 3 and frames[0][1].startswith("Step 1 of 5")
    picture, words = frames[-1]
    recipe = Recipe.from_json(picture.info["recipe"])
    again = tiny.sample(**recipe.sample_settings())
    torch.testing.assert_close(from_pil(picture), again[0], atol=0.51 / 255, rtol=0)
    assert "Seed 7" in words and picture.info["parameters"].startswith("a house")


def test_words_the_model_never_saw_are_said(session):
    assert "zebra" in list(generate.handler(session)(**GOOD | {"prompt": "a zebra"}))[-1][1]


@pytest.mark.parametrize(
    ("name", "value"),
    [("prompt", "x" * 401), ("prompt", None), ("negative_prompt", 3), ("seed", -1), ("seed", 2**32), ("seed", 1.5),
     ("seed", True), ("steps", 0), ("steps", 101), ("steps", float("nan")), ("guidance_scale", float("nan")),
     ("guidance_scale", float("inf")), ("guidance_scale", -1), ("guidance_scale", "4"), ("scheduler", "heun"), ("scheduler", None)],
)  # fmt: skip
def test_the_server_refuses_what_is_out_of_bounds_before_the_queue(session, name, value):
    problems = session.problems(**GOOD | {name: value})
    assert sum(map(bool, problems)) == 1 and problems[list(GOOD).index(name)]
    with pytest.raises(Exception, match="must be|characters"):
        next(generate.handler(session)(**GOOD | {name: value}))


def test_stopping_gives_the_lane_back(session):
    drawing = generate.handler(session)(**GOOD)
    next(drawing)
    assert session.lane.locked()
    drawing.close()  # what the page does on Stop, and when a tab is closed
    assert not session.lane.locked()


def test_a_second_visitor_is_told_to_wait(session):
    first = generate.handler(session)(**GOOD)
    next(first)
    assert "yours is next" in next(generate.handler(session)(**GOOD))[1]
    first.close()


def test_the_page_builds_with_named_endpoints_and_no_way_around_the_queue(session):
    page = app.build(session)
    names = {function.api_name for function in page.fns.values() if function.api_visibility == "public"}
    assert names == {"generate", "sweep", "reconstruct"} and page.api_open is False


def test_the_page_opens_with_a_picture_of_the_embedded_model_and_waits_for_others(session):
    picture = generate.opening(Session.load("scenes"))
    assert picture.size == (128, 128) and Recipe.from_json(picture.info["recipe"]).seed == 7
    assert generate.opening(session) is None
