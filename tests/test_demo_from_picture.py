"""A visitor's own picture: drawn anew, painted, enlarged."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from test_demo_server import NASTY, call

from demo import mask_grid
from demo.session import Limits, Session
from demo.tabs import from_picture
from demo.uploads import fitted_upload
from ldm_core.data import everyday
from ldm_core.images import from_pil
from ldm_core.recipe import Recipe, read_png
from ldm_core.registry import MODELS

HALF = ("1" * 8 + "0" * 8) * 16


@pytest.fixture
def session(tiny):
    return Session(tiny)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(everyday.draw(everyday.random_scene(9), 64)).save(path)
    return str(path)


def test_a_mask_is_read_square_by_square():
    mask = mask_grid.mask_of("0" * 17 + "1" + "0" * 238, 32, 64)
    assert mask.sum() == 2 * 4 and bool((mask[0, 2:4, 4:8] == 1).all())
    assert mask_grid.mask_of("", 32, 32) is None and mask_grid.mask_of("0" * 256, 32, 32) is None
    for wrong in ("1", "2" * 256, "1" * 257, None, ["1"], "1" * 255 + "\n"):
        assert "256 signs" in mask_grid.check_mask(wrong)


def test_a_picture_is_never_squeezed(tmp_path):
    wide = torch.zeros(3, 40, 120)
    wide[0, :, 40:80] = 1  # its middle is red
    Image.fromarray((wide.permute(1, 2, 0) * 255).byte().numpy()).save(tmp_path / "wide.png")
    image, done = fitted_upload(str(tmp_path / "wide.png"), 32, 32)
    assert image.shape == (3, 32, 32) and image[0, :, 3:-3].min() > 0.95 and "its middle" in done[-1]


def test_only_what_is_painted_is_drawn_anew_and_the_recipe_says_so(session, tiny, photo, tmp_path):
    *_, (picture, words) = from_picture.handler(session)(photo, "a house", 0.6, 5, HALF)
    image, _ = fitted_upload(photo, 32, 32)
    drawn = from_pil(picture)
    assert torch.equal(drawn[..., 16:], (image[..., 16:] * 255).round() / 255) and "Seed 5" in words
    recipe = Recipe.from_json(picture.info["recipe"])
    assert recipe.task.name == "inpainting"
    again = tiny.inpaint(image, mask_grid.mask_of(HALF, 32, 32), "a house", 5)
    torch.testing.assert_close(drawn, again[0], atol=0.51 / 255, rtol=0)


def test_strength_says_how_much_is_new_and_enlarging_doubles_the_sides(session, tiny, photo):
    *_, (picture, _) = from_picture.handler(session)(photo, "a house", 0.3, 5)
    image, _ = fitted_upload(photo, 32, 32)
    again = tiny.image_to_image(image, "a house", 5, strength=0.3)
    torch.testing.assert_close(from_pil(picture), again[0], atol=0.51 / 255, rtol=0)
    *_, (large, _) = from_picture.handler(session)(photo, "a house", 0.3, 5, HALF, True)
    assert large.size == (64, 64) and Recipe.from_json(large.info["recipe"]).task.name == "upscaling"


def test_what_is_asked_for_too_much_or_wrongly_is_said(tiny, photo):
    small = Session(tiny, Limits(work=2 * tiny.spec.steps * 32 * 32 / 1e6))
    assert not from_picture.problems(small, photo, "a house", 0.6, 1)
    assert "4.0 times the work" in from_picture.problems(small, photo, "a house", 0.6, 1, "", True)["picture"]
    found = from_picture.problems(small, None, 3, float("nan"), 1.5, "x", 1)
    assert set(found) == {"picture", "prompt", "strength", "seed", "mask", "enlarge"}


def test_bad_requests_are_refused_in_words_before_the_queue(demo_server):
    for bad in NASTY:
        status, text = call(demo_server.address, "from_picture", [bad, "a house", 0.5, 1, "", False])
        assert status < 500 and (status != 200 or "event: error" in text), (bad, status, text[:300])
        assert "error\ndata: null" not in text and "Traceback" not in text and "root:x:0" not in text


def test_a_visitor_paints_half_of_a_picture_and_the_other_half_stays(visit, tmp_path):
    side = MODELS["scenes"].height
    Image.fromarray(everyday.draw(everyday.random_scene(9), side)).save(tmp_path / "own.png")
    visit.tab("From a picture")
    visit.page.click("#start-picture [aria-label='Remove Image']")
    visit.page.set_input_files("#start-picture input[type=file]", tmp_path / "own.png")
    visit.page.wait_for_selector("#start-picture img")
    visit.page.get_by_role("button", name="right half").click()
    box = visit.page.locator("#painting .mask").bounding_box()
    assert visit.page.get_attribute("#painting .mask", "data-mask") == ("0" * 8 + "1" * 8) * 16
    visit.page.mouse.move(box["x"] + 3, box["y"] + 3)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + 3, box["y"] + box["height"] / 16 + 3)
    visit.page.mouse.up()
    mask = visit.page.get_attribute("#painting .mask", "data-mask")
    assert mask[0] == mask[16] == "1" and mask.count("1") == 130
    visit.page.get_by_role("button", name="Draw from it").click()
    visit.wait_for_words("Seed 7, ", "#drawn-status")
    (tmp_path / "drawn.png").write_bytes(visit.bytes_of("#drawn img"))
    drawn, own = (from_pil(Image.open(tmp_path / name)) for name in ("drawn.png", "own.png"))
    covered = mask_grid.mask_of(mask, side, side).expand(3, -1, -1) > 0
    assert torch.equal(drawn[~covered], own[~covered]) and not torch.equal(drawn[covered], own[covered])
    assert read_png(tmp_path / "drawn.png").task.name == "inpainting"
