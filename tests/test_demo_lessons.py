"""How it works: what its views show is what the model did, and they move in the browser alone."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image
from test_demo_server import NASTY, call
from visits import Visit

import ldm_core
from demo import app, lesson_endpoints, lessons
from demo.cost_view import PIXELS, SPACES, byte_words, cost_html
from demo.film import film
from demo.lane import Lane
from demo.noising_view import SCHEDULES, noised, shares
from demo.openings import WORDS, Opening, Openings
from demo.session import Limits, Session
from demo.tabs import how_it_works
from demo.trajectory_view import as_seen, chosen, moments_of, noise_share
from demo.word_view import WordsSeen


@pytest.fixture
def session(tiny):
    return Session(tiny)


def test_the_arrow_of_a_step_is_how_far_the_two_predictions_lie_apart(tiny):
    """v and epsilon are linear in the picture's guess: guided = u + w (c - u), so w = 1 and w = 3 differ by two arrows."""
    one, three = (next(iter(tiny.denoise("a house", 3, scale, steps=3))) for scale in (1.0, 3.0))
    assert one.arrow.abs().max() == 0, "one prediction alone was asked for"
    assert three.arrow.abs().max() > 0
    slope = (three.clean - one.clean) / (2 * three.arrow)
    torch.testing.assert_close(slope, slope.mean().expand_as(slope), rtol=2e-2, atol=1e-3)


def test_the_moments_of_a_drawing_begin_at_its_seeds_noise_and_hand_on_their_latents(tiny):
    states = list(tiny.denoise("a house", 3, 4.0, steps=5))
    moments = moments_of(tiny, 3, states)
    noise = torch.randn(moments[0].noisy.shape, generator=torch.Generator().manual_seed(3))
    assert torch.equal(moments[0].noisy, noise)
    assert all(torch.equal(after.noisy, state.latent[0].float()) for after, state in zip(moments[1:], states))
    assert [moment.step for moment in chosen(moments, 3)] == [0, 2, 4] and chosen(moments) == moments
    assert moments[1].strength == pytest.approx(float(states[1].arrow.square().mean().sqrt()))


def test_the_share_of_noise_is_the_schedulers_own(tiny):
    scheduler = DDIMScheduler.from_config(tiny.scheduler_config)
    zeros, ones = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    for step in (0, 250, 999):
        added = scheduler.add_noise(zeros, ones, torch.tensor([step]))
        assert noise_share(tiny.scheduler_config, step / 999) == pytest.approx(float(added) ** 2, abs=1e-6)
    flow = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
    assert [noise_share(flow, t) for t in (0.0, 0.5, 0.75, 1.0)] == [0, 0.5, 0.9, 1]
    assert noise_share({"_class_name": "EDMEulerScheduler"}, 0.5) is None


def test_a_latent_of_a_solver_that_keeps_large_ones_is_brought_to_unit_spread_and_no_other():
    latent = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(as_seen(latent), latent)
    assert float(as_seen(14 * latent).std()) == pytest.approx(1.0)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_goes_from_the_picture_to_noise(name):
    parts = [shares(name, t / 20) for t in range(21)]
    assert parts[0] == (1, 0) and parts[-1][0] < 0.1 and parts[-1][1] > 0.99
    assert all(before[0] > after[0] for before, after in pairwise(parts))
    if name != "straight line":
        assert all(math.hypot(*part) == pytest.approx(1) for part in parts)


def test_the_cosine_schedule_is_the_papers():
    """Nichol & Dhariwal 2021, eq. 17, with s = 0.008."""
    level = [math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(1001)]
    assert shares("cosine", 0.5)[0] ** 2 == pytest.approx(level[501] / level[0], rel=1e-3)
    latent, noise = torch.ones(1, 1, 1), torch.zeros(1, 1, 1)
    found = {(name, t): float(z) for name, t, z in noised(latent, noise)}
    assert found["straight line", 0.25] == 0.75 and found["linear", 0.0] == 1


def test_costs_are_exact():
    """By hand: 512 x 512 pixels are 262,144 places, whose attention is 262,144^2 numbers of two bytes; f = 8 leaves 64 x 64."""
    assert PIXELS.values(512) == 786_432 and PIXELS.attention_bytes(512) == 137_438_953_472
    eight = next(space for space in SPACES if space.factor == 8)
    assert eight.values(512) == 16_384 and eight.attention_bytes(512) == 33_554_432
    assert byte_words(33_554_432) == "33.6 MB" and byte_words(137_438_953_472) == "137 GB" and byte_words(96) == "96 B"
    row = re.search(r"f = 8.*?</tr>", cost_html()).group()
    assert "4,096 x" in row and "48 x" in row and "33.6 MB" in row


def test_a_film_is_one_picture_with_its_frames_side_by_side():
    frames = [Image.new("RGB", (8, 4), colour) for colour in ("red", "blue")]
    found = film(frames, "two <frames>", exact=True)
    assert "two &lt;frames&gt;" in found and "--ratio: 8 / 4" in found and found.count("data:image/webp") == 1


def test_each_part_draws_and_refuses_in_words(session, tiny, tmp_path):
    view, words = list(lesson_endpoints.watch(session)("a house", 3, 4.0))[-1]
    assert re.search(r"Step 6 of 20, t = 0\.70: \d\d% noise", view)
    assert view.count('<figure class="film') == 4 + 2 and re.match(r"\d+ steps, ", words), "two words"
    assert list(lesson_endpoints.noising(session)("a house", 3))[-1][0].count('<figure class="film') == len(SCHEDULES)
    assert "of the second" in list(lesson_endpoints.between(session)("a house", "a boat", 3, 4))[-1][0]
    wrong = lesson_endpoints.problems(session, ("prompt", "seed"), "x" * 401, 1.5)
    assert "400 are the most" in wrong["prompt"] and "whole number" in wrong["seed"]
    small = Session(tiny, Limits(work=2 * tiny.spec.steps * 32 * 32 / 1e6))
    assert not lesson_endpoints.problems(small, ("prompt", "seed"), "a house", 1)
    asked = lesson_endpoints.problems(small, lesson_endpoints.NAMES["between"], "a house", "a boat", 1, 2)
    assert "8.0 times the work" in asked["first_prompt"]
    assert "photo first" in lesson_endpoints.problems(session, ("photo",), None)["photo"]


def test_a_words_map_is_the_models_own_of_each_step_shown_and_what_it_is_worth_is_said(tiny):
    prompt = "a red house"
    seen = WordsSeen.of(tiny, prompt, 3.0)
    states = list(seen.noting(tiny, tiny.denoise(prompt, 7, 3.0, steps=4)))
    assert torch.equal(states[-1].latent, list(tiny.denoise(prompt, 7, 3.0, steps=4))[-1].latent)
    known = tiny.word_maps(prompt, 7, guidance_scale=3.0, steps=4)
    assert [word.text for word in seen.words] == list(known.words) == ["a", "red", "house"]
    for own, theirs in zip(seen.maps, known.steps):
        torch.testing.assert_close(own, theirs)
    view = seen.html([0, 2])
    assert re.findall(r"<option( selected)?>(\w+)", view) == [("", "a"), ("", "red"), (" selected", "house")]
    assert view.count('<div class="word" hidden>') == 2
    assert "by chance" in seen.note("everyday") and "was not measured" in seen.note("fashion")
    assert not any(module._forward_pre_hooks for module in tiny.denoiser.network.modules())


def test_words_that_cannot_be_followed_are_told_of_in_one_sentence(tiny, tiny_sd3_folder):
    assert "At w = 0" in WordsSeen.of(tiny, "a house", 0).note("everyday")
    assert "must hold a word" in WordsSeen.of(tiny, " ... ", 2.0).note("everyday")
    other = ldm_core.load(str(tiny_sd3_folder), device="cpu", dtype="float32")
    seen = WordsSeen.of(other, "a house", 2.0)
    assert "need a U-Net" in seen.note("") and seen.html([]) == ""
    assert len(list(seen.noting(other, other.denoise("a house", 7, 2.0, steps=2)))) == 2


def test_each_part_has_three_sentences_and_something_to_try(session):
    for text in (how_it_works.WATCH, how_it_works.NOISE, how_it_works.BETWEEN, how_it_works.COST, how_it_works.FACTORS):
        heading, _, body = text.partition("\n")
        assert heading.startswith("### ") and len(re.findall(r"[.!?](?= [A-Z]|$)", body)) == 3, heading
    page = app.build(session)
    tries = [block.value for block in page.blocks.values() if str(getattr(block, "value", "")).startswith("Try this: ")]
    assert len(tries) == 4 and "Try this: 2048 pixels" in cost_html()


def test_a_photo_is_shrunk_by_the_three_autoencoders(session, tmp_path):
    Image.new("RGB", (48, 32), "teal").save(tmp_path / "photo.png")
    view, _ = list(lessons.by_factor(session, str(tmp_path / "photo.png")))[-1]
    assert (
        re.findall(r"<b>(f = \d+: \d+ x \d+)", view)[::1] == ["f = 4: 86 x 64", "f = 8: 43 x 32", "f = 16: 21 x 16"]
        or view
    )


def test_the_slider_moves_every_film_without_a_word_to_the_server(browser, demo_server):
    visit = Visit(browser, demo_server.address, viewport={"width": 1280, "height": 900})
    visit.tab("How it works")
    visit.page.locator("#cost .scrub").wait_for()
    asked = len(visit.requests)
    slider = visit.page.locator("#cost input[type=range]")
    slider.focus()
    slider.press("End")
    assert "2048 x 2048 pixels" in visit.page.inner_text("#cost output") and "8.4 MB" not in visit.page.inner_text(
        "#cost"
    )
    slider.press("Home")
    visit.page.locator("#cost .jump").click()
    assert slider.input_value() == str(31) and slider.get_attribute("aria-valuetext") == "2048 x 2048 pixels"
    visit.page.get_by_role("button", name="Try this: the same without guidance").click()
    visit.wait_for_words("8 steps, ", "#watch-status")
    assert visit.page.locator("#watch .films > .film").count() == 4
    assert "one prediction alone" in visit.page.inner_text("#watch .length")
    assert visit.page.locator("[aria-label='number input for Guidance scale w']:visible").input_value() == "1"
    words = visit.page.locator("#watch .words")
    words.locator("select").select_option("house")
    shown = words.locator(".word:not([hidden])")
    assert shown.count() == 1 and shown.locator("[role=img]").get_attribute("aria-label") == "the map of house"
    assert "by chance" in visit.page.inner_text("#watch")
    before = len([url for url in visit.requests if "gradio_api" in url])
    visit.page.locator("#watch .play").click()
    visit.page.wait_for_function("document.querySelector('#watch input[type=range]').value == 7")
    assert visit.page.evaluate("document.querySelector('#watch .scrub').style.getPropertyValue('--at')") == "7"
    assert len([url for url in visit.requests if "gradio_api" in url]) - before <= 1 and asked
    assert not [text for text in visit.errors if "favicon" not in text], visit.errors
    visit.page.close()


def test_a_tab_opens_with_a_finished_result_and_a_failed_one_is_left_out(browser, demo_server):
    openings = demo_server.openings
    steered = {"layout"} if demo_server.session.control else set()
    names = {"sweep", "comparison", "watch", "noising", "between", "factors", "from_picture", "results"}
    assert set(openings.known) == names | steered
    assert openings.of("sweep") == (), "nothing has begun"
    openings.known["broken"] = Opening("broken", (), lambda: iter([1 / 0]))
    openings.draw("sweep", "broken").join()
    assert openings.of("broken") == () and openings.of("sweep")[1] == WORDS and not demo_server.session.lane.locked()
    visit = Visit(browser, demo_server.address, viewport={"width": 1280, "height": 900})
    visit.tab("Guidance sweep")
    visit.wait_for_words("drawn as the page began", "#sweep-status")
    visit.page.wait_for_function("document.querySelectorAll('.sweep td img').length === 4")
    visit.page.get_by_label("Guidance scales").fill("1,x")
    visit.page.get_by_role("button", name="Sweep").click()
    visit.page.wait_for_function("!document.querySelector('.sweep td img')")
    visit.page.close()
    openings.begun = False
    openings.drawn.clear(), openings.known.pop("broken")


def test_what_is_read_from_files_does_not_wait_for_what_is_drawn():
    openings, begun = Openings(Lane()), []

    def opening(name, **more):
        return Opening(name, (), lambda: iter([(begun.append(name), "")]), **more)

    openings.known = {name: opening(name) for name in ("watch", "sweep")} | {"results": opening("results", read=True)}
    openings.draw().join(60)
    assert begun == ["results", "watch", "sweep"] == list(openings.drawn)


def test_bad_requests_to_the_lessons_are_refused_in_words_before_the_queue(demo_server):
    for bad in (each for each in NASTY if each != 0):
        asked = {
            "watch": ["a house", bad, 1.0],
            "noising": ["a house", bad],
            "between": ["a house", "a boat", 1, bad],
            "factors": [bad],
        }
        for name, data in asked.items():
            status, text = call(demo_server.address, name, data)
            assert status < 500 and (status != 200 or "event: error" in text), (name, bad, status, text[:300])
            assert "error\ndata: null" not in text and "Traceback" not in text and "root:x:0" not in text
    assert not demo_server.session.lane.locked()
