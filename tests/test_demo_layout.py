"""A layout that a visitor paints: the tab is there with a control, and what is painted steers the picture."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from conftest import free_port
from PIL import Image
from test_control import make_adapter
from visits import Visit

from demo import app, mask_grid
from demo.mask_grid import LAYOUT_SIDE
from demo.session import Session
from demo.tabs import layout
from ldm_core.images import from_pil
from ldm_core.recipe import Recipe, read_png

HALF = ("1" * 16 + "0" * 16) * 32


@pytest.fixture(scope="module")
def control(tmp_path_factory):
    return str(make_adapter(tmp_path_factory.mktemp("control") / "tiny-control"))


@pytest.fixture
def session(tiny, control):
    return Session(tiny, control=control)


def test_the_tab_is_there_where_a_control_is_and_nowhere_else(tiny, session):
    assert "From a layout" in app.tabs_of(session) and "From a layout" not in app.tabs_of(Session(tiny))
    names = {event.api_name for event in app.build(session).fns.values() if event.api_visibility == "public"}
    assert "layout" in names


def test_a_layout_of_squares_and_a_mask_are_each_others_inverse():
    mask = mask_grid.mask_of(HALF, 128, 128, LAYOUT_SIDE)
    assert mask.shape == (1, 128, 128) and mask[..., :64].min() == 1 and mask[..., 64:].max() == 0
    assert mask_grid.squares_of(mask[0]) == HALF
    assert "1024 signs" in mask_grid.check_mask("1", LAYOUT_SIDE) and not mask_grid.check_mask(HALF, LAYOUT_SIDE)


def test_the_examples_are_silhouettes_of_drawings_with_what_stands_in_them():
    examples = layout.examples_of("everyday")
    assert [name for name, _, _ in examples] == ["drawing 1", "drawing 2", "drawing 3"] and layout.examples_of(
        "fashion"
    ) == []
    for _, squares, prompt in examples:
        assert not mask_grid.check_mask(squares, LAYOUT_SIDE) and 20 < squares.count("1") < 700 and len(prompt) > 10


def test_what_is_painted_steers_the_picture_and_the_recipe_names_it(session, control):
    *_, (picture, words) = layout.handler(session)("a red house", HALF, 1.0, 5)
    *_, (plain, _) = layout.handler(session)("a red house", HALF, 0, 5)
    drawn, free = from_pil(picture), from_pil(plain)
    assert (drawn - free).abs().max() > 1 / 255 and "Seed 5" in words
    mask = mask_grid.mask_of(HALF, 32, 32, LAYOUT_SIDE).expand(3, -1, -1)
    steered = session.steered()
    again = steered.sample("a red house", 5, control_images=mask)
    torch.testing.assert_close(drawn, again[0], atol=0.51 / 255, rtol=0)
    torch.testing.assert_close(free, session.model.sample("a red house", 5)[0], atol=0.51 / 255, rtol=0)
    assert Recipe.from_json(picture.info["recipe"]) == steered.recipe("a red house", 5, control_image=mask)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (("x" * 401, "", 1.0, 1), "prompt"),
        (("a house", "1", 1.0, 1), "layout"),
        (("a house", None, 1.0, 1), "layout"),
        (("a house", "", 2.1, 1), "control_scale"),
        (("a house", "", float("nan"), 1), "control_scale"),
        (("a house", "", True, 1), "control_scale"),
        (("a house", "", 1.0, 1.5), "seed"),
    ],
)
def test_what_is_out_of_bounds_is_refused_before_the_queue(session, given, name):
    found = layout.problems(session, *given)
    assert list(found) == [name]
    with pytest.raises(Exception, match="must be|characters"):
        next(layout.handler(session)(*given))


@pytest.fixture(scope="module")
def steered_server(tiny, control):
    page = app.build(Session(tiny, control=control))
    given = {"server_name": "127.0.0.1", "server_port": free_port(), "prevent_thread_lock": True, "quiet": True}
    _, address, _ = page.launch(**given, **app.launch_options())
    yield SimpleNamespace(address=address.rstrip("/"))
    page.close()


def test_a_visitor_paints_a_layout_and_the_picture_follows(browser, steered_server, tmp_path):
    visit = Visit(browser, steered_server.address, picture=False, viewport={"width": 1280, "height": 900})
    visit.tab("From a layout")
    box = visit.page.locator("#layout .mask").bounding_box()
    visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visit.page.mouse.down()
    visit.page.mouse.up()
    assert visit.page.get_attribute("#layout .mask", "data-mask").count("1") == 9, "a brush of three squares"
    visit.page.get_by_role("button", name="Draw into it").click()
    visit.wait_for_words("Seed 7, ", "#layout-status")
    (tmp_path / "laid.png").write_bytes(visit.bytes_of("#laid img"))
    assert Image.open(tmp_path / "laid.png").size == (32, 32) and read_png(tmp_path / "laid.png").control_image
    assert not [text for text in visit.errors if "favicon" not in text], visit.errors
    visit.page.close()
