"""The demo: what the server refuses, what a visitor gets, and that one picture at a time is drawn."""

from __future__ import annotations

import dataclasses
import re

import gradio as gr
import pytest
import torch
from PIL import Image

from demo import app, recall, sweep_checks, text_to_image, turns
from demo.controls import EXAMPLES, WHAT_IT_DRAWS
from demo.session import Door, Limits, Session
from demo.tabs import generate
from demo.tabs import guidance as guidance_tab
from ldm_core.images import from_pil, png_text
from ldm_core.recipe import Recipe
from ldm_core.registry import MODELS

GOOD = {
    "prompt": "a house",
    "negative_prompt": "",
    "seed": 7,
    "steps": 5,
    "guidance_scale": 3.0,
    "scheduler": "ddim",
    "guidance_schedule": "constant",
}


@pytest.fixture
def session(tiny):
    return Session(tiny)


def good(session, **changes):
    own = {
        "size": "32 x 32",
        "model": session.model.spec.reference,
        "guidance_rule": "cfg",
        "substitute": True,
        "pictures": 1,
    }
    return GOOD | own | changes


def test_a_visitor_sees_previews_and_then_the_picture_with_its_recipe(session, tiny):
    frames = list(text_to_image.handler(session)(**good(session)))
    assert len(frames) == 3 and frames[0][1].startswith("Step 1 of 5")
    picture, words, several = frames[-1]
    assert several == [(picture, "seed 7")]
    recipe = Recipe.from_json(picture.info["recipe"])
    again = tiny.sample(**recipe.sample_settings())
    torch.testing.assert_close(from_pil(picture), again[0], atol=0.51 / 255, rtol=0)
    assert "Seed 7" in words and picture.info["parameters"].startswith("a house")


def test_several_pictures_are_drawn_in_one_call_each_step_and_each_carries_its_own_recipe(session, tiny):
    calls, rows = tiny.network_calls, tiny.network_rows
    frames = list(text_to_image.handler(session)(**good(session, pictures=4)))
    assert tiny.network_rows - rows == 4 * 2 * 5 and tiny.network_calls - calls < 4 * 5
    assert [len(frame[2]) for frame in frames] == [4, 4, 4] and "Seeds 7 to 10" in frames[-1][1]
    for seed, (picture, caption) in zip((7, 8, 9, 10), frames[-1][2]):
        recipe = Recipe.from_json(picture.info["recipe"])
        again = tiny.sample(**recipe.sample_settings())
        torch.testing.assert_close(from_pil(picture), again[0], atol=1.01 / 255, rtol=0)
        assert recipe.seed == seed and caption == f"seed {seed}"


def test_several_pictures_count_as_several_and_their_seeds_stay_in_range(tiny):
    small = Session(tiny, Limits(work=2 * 10 * 32 * 32 / 1e6))
    assert not small.problems(**good(small, steps=5, pictures=2))
    assert "2.0 times the work" in small.problems(**good(small, steps=5, pictures=4))["steps"]
    assert "follow one another" in small.problems(**good(small, seed=2**32 - 1, pictures=2))["seed"]


def test_stop_keeps_the_previews_of_all(session):
    drawing = text_to_image.handler(session)(**good(session, steps=9, pictures=2), request=Request())
    assert len(next(drawing)[2]) == 2
    turns.stopping(session)(Request())
    _, words, several = list(drawing)[-1]
    assert words.startswith("Stopped") and several == gr.skip() and not session.lane.locked()


class Request:
    session_hash = "tab"


def test_words_the_model_never_saw_are_said(session):
    assert "zebra" in list(text_to_image.handler(session)(**good(session, prompt="a zebra")))[-1][1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", "x" * 401),
        ("prompt", None),
        ("negative_prompt", 3),
        ("seed", -1),
        ("seed", 2**32),
        ("seed", 1.5),
        ("seed", True),
        ("steps", 0),
        ("steps", 101),
        ("steps", float("nan")),
        ("guidance_scale", float("nan")),
        ("guidance_scale", float("inf")),
        ("guidance_scale", -1),
        ("guidance_scale", "4"),
        ("scheduler", "heun"),
        ("scheduler", None),
        ("guidance_schedule", "zigzag"),
        ("guidance_rule", "autoguidance:model=scenes"),
        ("guidance_rule", "cfg++"),
        ("substitute", "perhaps"),
        ("pictures", 3),
        ("pictures", True),
        ("pictures", "2"),
        ("pictures", float("nan")),
        ("size", "64 x 64"),
        ("size", 3),
        ("model", "best"),
        ("model", None),
    ],
)
def test_the_server_refuses_what_is_out_of_bounds_before_the_queue(session, name, value):
    problems = session.problems(**good(session, **{name: value}))
    assert list(problems) == [name] and problems[name]
    with pytest.raises(Exception, match=r"must be|must be one|characters"):
        next(text_to_image.handler(session)(**good(session, **{name: value})))


def test_stopping_gives_the_lane_back(session):
    drawing = text_to_image.handler(session)(**good(session))
    next(drawing)
    assert session.lane.locked()
    drawing.close()  # what the page does on Stop, and when a tab is closed
    assert not session.lane.locked()


def test_a_second_visitor_is_told_to_wait(session):
    first = text_to_image.handler(session)(**good(session))
    next(first)
    assert "yours is next" in next(text_to_image.handler(session)(**good(session)))[1]
    first.close()


def test_the_page_builds_with_named_endpoints_and_no_way_around_the_queue(session):
    page = app.build(session)
    names = {function.api_name for function in page.fns.values() if function.api_visibility == "public"}
    assert (
        names == {"generate", "sweep", "reconstruct", "watch", "noising", "between", "factors", "from_picture"}
        and page.api_open is False
    )


def test_the_page_opens_with_a_picture_of_the_embedded_model_and_waits_for_others(session):
    opened = Session.load("scenes")
    picture = text_to_image.opening(opened)
    assert (
        picture.size == (opened.model.spec.width, opened.model.spec.height)
        and Recipe.from_json(picture.info["recipe"]).seed == 7
    )
    assert re.fullmatch(r"4 pictures, about \d+ s", sweep_checks.cost_words(opened, "1,2,4,8", "7", 12, "scenes"))
    assert text_to_image.opening(session) is None


def test_too_much_work_for_one_request_is_said_in_words(tiny):
    small = Session(tiny, Limits(work=2 * 10 * 32 * 32 / 1e6))
    assert not small.problems(**good(small, steps=10))
    assert "1.1 times the work" in small.problems(**good(small, steps=11))["steps"]


def test_another_size_is_drawn_and_goes_into_the_recipe(session):
    picture, *_ = list(text_to_image.handler(session)(**good(session, size="48 x 32")))[-1]
    assert picture.size == (48, 32) and Recipe.from_json(picture.info["recipe"]).settings.width == 48


@pytest.mark.parametrize(("schedule", "rule"), [("cosine", "cfg"), ("interval", "apg")])
def test_a_picture_dropped_back_restores_every_setting_and_is_made_again_byte_for_byte(
    session, tmp_path, schedule, rule
):
    asked = {"seed": 11, "guidance_scale": 2.5, "negative_prompt": "clouds", "size": "32 x 48"}
    given = good(session, **asked, guidance_schedule=schedule, guidance_rule=rule)
    picture, *_ = list(text_to_image.handler(session)(**given))[-1]
    png_of(picture, tmp_path / "one.png")
    *values, words = recall.restore(session, text_to_image.NAMES, str(tmp_path / "one.png"))
    assert values == list(given.values()) and "the same picture again" in words
    again, *_ = list(text_to_image.handler(session)(*values))[-1]
    png_of(again, tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def png_of(picture, path):
    """As gradio saves it: the picture's own texts in the file."""
    picture.save(path, pnginfo=png_text({key: value for key, value in picture.info.items() if isinstance(value, str)}))


def test_a_picture_of_other_circumstances_says_so(session, tmp_path):
    picture, *_ = list(text_to_image.handler(session)(**good(session)))[-1]
    recipe = Recipe.from_json(picture.info["recipe"])
    for change, words in (
        ({"weights": "0" * 64}, f"{recipe.model} has other weights here"),
        (
            {"dtype": "bfloat16"},
            "nearly the same picture, not the same to the last bit, since it was made with dtype bfloat16",
        ),
        ({"versions": dict.fromkeys("abcde", "1")}, "a 1, here none; b 1, here none; c 1, here none and 2 things more"),
        ({"vae": "taesd", "lora": "pixel"}, "Restored, but for the autoencoder taesd, the LoRA pixel:"),
    ):
        assert words in recall.restored_words(session, dataclasses.replace(recipe, **change))


def test_pictures_without_a_recipe_or_with_a_bad_one_are_answered_in_words(session, tmp_path):
    path = tmp_path / "x.png"
    Image.new("RGB", (64, 64)).save(path)
    with pytest.raises(Exception, match="carries no recipe"):
        recall.restore(session, text_to_image.NAMES, str(path))
    picture, *_ = list(text_to_image.handler(session)(**good(session)))[-1]
    recipe = Recipe.from_json(picture.info["recipe"])
    recipe = dataclasses.replace(recipe, settings=recipe.settings.replaced(steps=1000))
    picture.info = {"recipe": recipe.to_json()}
    png_of(picture, path)
    with pytest.raises(Exception, match="Steps must be a whole number from 1 to 100"):
        recall.restore(session, text_to_image.NAMES, str(path))
    path.write_bytes(b"no picture")
    with pytest.raises(Exception, match="no picture that can be read"):
        recall.restore(session, text_to_image.NAMES, str(path))


def test_choosing_a_model_sets_its_own_defaults(session):
    prompt, steps, scale, size, words, _prompts, _scheduler, header = generate.choose_model(session, "scenes")
    spec = MODELS["scenes"]
    assert prompt == EXAMPLES[spec.world][0] and (steps, scale) == (spec.steps, spec.guidance_scale)
    assert size.value == f"{spec.width} x {spec.height}" and f"{size.value} pixels" in header
    assert words.value == WHAT_IT_DRAWS[spec.world] != "" and "Model `scenes`" in header
    with pytest.raises(Exception, match="must be one of"):
        generate.choose_model(session, "best")


def test_a_visitor_may_wait_for_a_few_requests_and_others_are_not_held_up():
    door = Door(Limits(waiting_per_visitor=2, waiting_per_address=3))
    assert [door.enter("a", "1.1.1.1") for _ in range(2)] == ["", ""]
    assert "let them finish first" in door.enter("a", "1.1.1.1")
    assert door.enter("b", "1.1.1.1") == "" and "finish" in door.enter("c", "1.1.1.1"), "the address has its own limit"
    assert door.enter("c", "2.2.2.2") == ""
    door.leave("a", "1.1.1.1")
    assert door.enter("a", "1.1.1.1") == ""


def test_a_request_that_never_comes_back_is_forgotten(monkeypatch):
    door, now = Door(Limits(waiting_per_visitor=1)), [0.0]
    monkeypatch.setattr("demo.session.time.monotonic", lambda: now[0])
    assert door.enter("a", "1.1.1.1") == "" and door.enter("a", "1.1.1.1")
    now[0] = Door.FORGET + 1
    assert door.enter("a", "1.1.1.1") == "" and len(door.waiting) == 2
    assert door.enter("b", "") == "" and len(door.waiting) == 3, "an address that is not told is not counted"
    door.leave("stranger", "")


def test_who_stops_everything_may_begin_again_and_scripts_count_by_their_address():
    door = Door(Limits(waiting_per_visitor=2, waiting_per_address=3))
    assert [door.enter("a", "1.1.1.1") for _ in range(2)] == ["", ""]
    door.leave("a", "1.1.1.1", all_of_them=True)
    assert [bool(door.enter("", "1.1.1.1")) for _ in range(4)] == [False, False, False, True]
    door.leave("an event's own name", "1.1.1.1")
    assert door.enter("", "1.1.1.1") == ""


def test_what_goes_wrong_on_the_device_is_said_without_a_traceback(session, monkeypatch):
    def broken(*given):
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        yield

    monkeypatch.setattr(text_to_image, "draw", broken)
    with pytest.raises(Exception, match=r"The device is out of memory\. Try a smaller request\."):
        list(text_to_image.handler(session)(**good(session)))
    assert not session.lane.locked()


@pytest.mark.parametrize("family", ["tiny_xl_folder", "tiny_sd3_folder"])
def test_a_page_with_a_model_of_another_family_draws_and_sweeps(request, family):
    folder = request.getfixturevalue(family)
    session = Session.load(str(folder))
    own = session.schedulers(session.model.spec.reference)
    assert own[0] == session.model.scheduler_name and ("flow-euler" in own) == (own == ["flow-euler"])
    app.build(session)
    picture, *_ = list(text_to_image.handler(session)(**good(session, scheduler=own[0])))[-1]
    assert picture.size == (32, 32)
    *_, (grid, words, _, path) = guidance_tab.handler(session)("a house", "1,3", "7", "constant", 3, str(folder))
    assert words.startswith("2 pictures") and path and grid.count("<img") >= 2


def test_another_model_is_drawn_by_its_own_scheduler_unless_one_is_named():
    """Few-step models are taught the steps of one scheduler: that of the page's model would spoil them."""
    session = Session.load("scenes")
    offered = {name: session.schedulers(name) for name in ("scenes", "scenes-turbo")}
    assert "scenes-turbo" not in session.models and offered["scenes-turbo"][0] == "ddim"
    assert not any("pndm" in names for names in offered.values()), "their shifted steps it does not take"
    assert "pndm" in session.schedulers("fashion")
    session.model.scheduler_config = session.model.scheduler_config | {"_class_name": "EulerDiscreteScheduler"}
    given = good(session, size="256 x 256", model="scenes-turbo", steps=4, scheduler="euler")
    picture, *_ = list(text_to_image.handler(session)(**given))[-1]
    assert Recipe.from_json(picture.info["recipe"]).settings.scheduler == "ddim"
    assert session.schedulers("scenes-turbo") == offered["scenes-turbo"], "as before it was loaded"
    picture, *_ = list(text_to_image.handler(session)(**given | {"scheduler": "unipc"}))[-1]
    assert Recipe.from_json(picture.info["recipe"]).settings.scheduler == "unipc"
