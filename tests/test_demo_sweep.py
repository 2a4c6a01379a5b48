"""The sweep tab: all cells stream together, are measured, and can be kept; the server refuses what is out of bounds."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from demo import over_time, sweep_grid, timing
from demo.session import Session
from demo.sweep_grid import SweepCell
from demo.tabs import guidance
from ldm_core.images import from_pil
from ldm_core.recipe import Recipe

GOOD = {
    "prompt": "a red house",
    "guidance_scales": "1,2,4",
    "seeds": "7, 8",
    "guidance_schedule": "constant",
    "steps": 5,
}


def good(session, **changes):
    return GOOD | {"model": session.model.spec.reference} | changes


@pytest.fixture
def session(tiny):
    return Session(tiny)


def test_all_cells_stream_together_and_the_last_are_the_models_own(session, tiny):
    frames = list(guidance.handler(session)(**good(session)))
    grids = [frame[0] for frame in frames if isinstance(frame[0], str)]
    assert len(frames) == 6 and len(grids) == 2 and all(grid.count("<img") == 6 for grid in grids)
    assert len(grids[0]) < 0.7 * len(grids[1]), "previews are packed tight"
    assert grids[-1].index("w = 1<") < grids[-1].index("w = 4<") and grids[-1].count("saturation") == 6
    assert session.seconds_per_row[tiny.spec.reference] > 0 and not session.lane.locked()
    path = frames[-1][3]
    expected = tiny.sweep(["a red house"] * 2, [7, 8], [1, 2, 4], steps=5)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert "a-red-house_w4_seed8.png" in names and "contact-sheet.png" in names
        picture = Image.open(io.BytesIO(archive.read("a-red-house_w4_seed8.png")))
        table = archive.read("scores.csv").decode().splitlines()
        recipe = Recipe.from_json(archive.read("a-red-house_w4_seed8.json").decode())
    torch.testing.assert_close(from_pil(picture), expected[2, 1], atol=0.51 / 255, rtol=0)
    assert table[0] == "file,guidance_scale,seed,saturation,change" and len(table) == 7
    assert recipe.seed == 8 and recipe.settings.guidance.scale == 4 and "recipe" in picture.info


def test_guidance_within_an_interval_saves_rows_and_stands_in_the_recipe(session, tiny):
    rows = []
    for schedule in ("constant", "interval"):
        before = tiny.network_rows
        frames = list(
            guidance.handler(session)(**good(session, guidance_scales="4", guidance_schedule=schedule, steps=10))
        )
        rows.append(tiny.network_rows - before)
    assert rows == [2 * 20, 2 * 16], "of ten steps the first, t = 1 and 0.9, and the last, 0.1, go without"
    with zipfile.ZipFile(frames[-1][3]) as archive:
        recipe = Recipe.from_json(archive.read("a-red-house_w4_seed7.json").decode())
    assert recipe.settings.guidance.interval == (0.2, 0.8) and recipe.settings.guidance.schedule == "constant"


def test_pictures_of_a_known_world_are_scored_against_the_prompt():
    cells = [
        SweepCell(2.0, 7, Image.new("RGB", (32, 32), "red")),
        SweepCell(4.0, 7, Image.new("RGB", (32, 32), "blue")),
    ]
    assert set(guidance.measured("", "a house", cells)[1].scores) == {"saturation", "change"}
    first, second = guidance.measured("scenes", "a house", cells)
    assert list(first.scores) == ["clip_scenes", "saturation"] and list(second.scores)[-1] == "change"


def test_saturation_and_distance_have_their_closed_forms():
    red, grey = Image.new("RGB", (4, 4), (255, 0, 0)), Image.new("RGB", (4, 4), (90, 90, 90))
    assert sweep_grid.saturation(red) == 1 and sweep_grid.saturation(grey) == 0
    assert sweep_grid.distance(grey, Image.new("RGB", (4, 4), (93, 90, 90))) == pytest.approx(3**0.5)


def test_the_contact_sheet_holds_every_picture_in_its_place():
    colours = {(1.0, 5): (255, 0, 0), (2.0, 5): (0, 255, 0), (1.0, 6): (0, 0, 255), (2.0, 6): (9, 9, 9)}
    cells = [SweepCell(scale, seed, Image.new("RGB", (20, 20), colour)) for (scale, seed), colour in colours.items()]
    sheet = np.asarray(sweep_grid.contact_sheet(cells))
    for colour in colours.values():
        assert (sheet == colour).all(-1).sum() == 400
    rows, columns = np.nonzero((sheet == (0, 0, 255)).all(-1))
    assert rows.min() > np.nonzero((sheet == (255, 0, 0)).all(-1))[0].max() and columns.min() >= 110


def test_a_prompt_cannot_write_into_the_page():
    cells = [SweepCell(1.0, 5, Image.new("RGB", (4, 4)))]
    page = sweep_grid.grid_html(cells, '"><script>alert(1)</script>')
    assert "<script" not in page and "&lt;script" in page


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("prompt", "x" * 401, "characters"),
        ("guidance_scales", "1,,2", "1-8\\(1\\)"),
        ("guidance_scales", "1,99", "at the most"),
        ("guidance_scales", 3, "must be text"),
        ("guidance_scales", "0-20[20]", "pictures at the most"),
        ("seeds", "x", "like 7"),
        ("seeds", "4294967296", "at the most"),
        ("seeds", None, "like 7"),
        ("guidance_schedule", "zigzag", "one of"),
        ("steps", 0, "Steps must"),
        ("steps", float("nan"), "Steps must"),
        ("model", "best", "model must be one of"),
        ("model", None, "model must be one of"),
    ],
)
def test_the_server_refuses_what_is_out_of_bounds_before_the_queue(session, name, value, message):
    found = guidance.problems(session, **good(session, **{name: value}))
    assert list(found) == [name] and re.search(message, found[name])
    with pytest.raises(Exception, match=message):
        next(guidance.handler(session)(**good(session, **{name: value})))


def test_the_cost_is_said_before_the_start(session):
    name = session.model.spec.reference
    assert guidance.cost_words(session, "1,2,4", "7,8", 10, name) == "6 pictures"
    session.seconds_per_row[name] = 0.1
    assert guidance.cost_words(session, "0,1,4", "7", 10, name) == "3 pictures, about 4 s", (
        "one row at 0 and at 1, two at 4"
    )
    assert "like 7" in guidance.cost_words(session, "1", "", 10, name)


def test_stopping_gives_the_lane_back(session):
    sweeping = guidance.handler(session)(**good(session))
    next(sweeping)
    assert session.lane.locked()
    sweeping.close()
    assert not session.lane.locked()


def heights(name):
    """Of the drawn curve, from noise to picture; 7 for a weight of 1."""
    points = re.search('points="([^"]+)"', over_time.curve_svg(name))[1].split()
    return [62 - float(point.split(",")[1]) for point in points]


def test_the_drawn_curve_follows_the_schedule():
    assert set(heights("constant")) == {28}
    rising = heights("linear")
    assert rising == sorted(rising) and rising[0] == 7 and rising[-1] == 49
    within = heights("interval")
    assert within[0] == within[-1] == 7 and within[len(within) // 2] == 28 and set(within) == {7, 28}


def test_the_pages_speed_is_measured_by_its_own_buttons(tiny_folder, capsys):
    assert timing.main(["--model", str(tiny_folder), "--repeats", "1"]) == 0
    _, first, picture, sweep = capsys.readouterr().out.splitlines()
    seconds = [float(re.search(r": ([0-9.]+) s$", line)[1]) for line in (first, picture)]
    together, one_by_one, ratio = map(float, re.findall(r"[0-9.]+(?= s|$)", sweep))
    assert seconds[0] <= seconds[1] < one_by_one and ratio == pytest.approx(together / one_by_one, abs=0.2)
    with pytest.raises(SystemExit):
        timing.main(["--repeats", "0"])
    assert "must be 1 or more" in capsys.readouterr().err
