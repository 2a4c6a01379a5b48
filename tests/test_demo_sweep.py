"""The sweep tab: all cells stream together, are measured, and can be kept; the server refuses what is out of bounds."""

from __future__ import annotations

import csv
import dataclasses
import html
import inspect
import io
import random
import re
import zipfile

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image

from demo import over_time, sweep_axes, sweep_checks, sweep_grid, sweep_scores, text_to_image, timing, turns
from demo.links import query_of, read_link
from demo.session import Limits, Session
from demo.sweep_grid import SweepCell
from demo.tabs import guidance
from evaluation.generation.axes import conditions, parse_sweep
from ldm_core.images import from_pil
from ldm_core.recipe import Recipe
from ldm_core.settings import SamplingSettings

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


def condition(sweep):
    """The one condition of an axis with one value, as the command line has it."""
    (only,) = conditions(SamplingSettings(), [parse_sweep(sweep)])
    return only


def cell(sweep, picture, seed=7, prompt="a house"):
    return SweepCell(condition(sweep), seed, prompt, picture)


def kept(path):
    """What a sweep's zip holds: pictures and recipes by name, the rows of its table."""
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".json") for name in archive.namelist() if name.endswith(".json")]
        pictures = {name: Image.open(io.BytesIO(archive.read(f"{name}.png"))) for name in names}
        recipes = {name: Recipe.from_json(archive.read(f"{name}.json").decode()) for name in names}
        table = list(csv.DictReader(io.StringIO(archive.read("scores.csv").decode())))
    return pictures, recipes, table


def test_all_cells_stream_together_and_the_last_are_the_models_own(session, tiny):
    frames = list(guidance.handler(session)(**good(session)))
    grids = [frame[0] for frame in frames if isinstance(frame[0], str)]
    assert len(frames) == 6 and len(grids) == 2 and all(grid.count("<img") == 6 for grid in grids)
    assert len(grids[0]) < 0.7 * len(grids[1]), "previews are packed tight"
    assert grids[-1].index("w = 1<") < grids[-1].index("w = 4<") and grids[-1].count('class="score">saturation') == 6
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


# axis, values, their names in tables, what each sets beside the prompt's wording
SWEPT = [
    ("guidance_scale", "0-4[2]", ["0", "4"], [{"guidance_scale": 0.0}, {"guidance_scale": 4.0}]),
    ("steps", "2,5", ["2", "5"], [{"steps": 2}, {"steps": 5}]),
    ("scheduler", "ddim, euler", ["ddim", "euler"], [{"scheduler": "ddim"}, {"scheduler": "euler"}]),
    ("shift", "1,3", ["1", "3"], [{"shift": 1.0}, {"shift": 3.0}]),
    (
        "guidance_schedule",
        "linear,interval",
        ["linear", "interval"],
        [{"guidance_schedule": "linear"}, {"guidance_interval": (0.2, 0.8)}],
    ),
    ("guidance_interval", "none,0.1:0.9", ["none", "0.1:0.9"], [{}, {"guidance_interval": (0.1, 0.9)}]),
    ("guidance_rescale", "0,0.5", ["0", "0.5"], [{}, {"guidance_rescale": 0.5}]),
    ("negative_prompt", "|a tree, night", ["(none)", "a tree, night"], [{}, {"negative_prompt": "a tree, night"}]),
    ("prompt", "{}|a drawing of {}", ["{}", "a drawing of {}"], [{}, {}]),
]


@pytest.mark.parametrize(("axis", "values", "names", "settings"), SWEPT, ids=[each[0] for each in SWEPT])
def test_any_setting_is_swept_and_each_cell_is_what_the_model_samples_with_it(
    session, tiny, axis, values, names, settings
):
    given = good(session, guidance_scales="3", axis=axis, values=values)
    *_, (grid, words, _, path) = guidance.handler(session)(**given)
    column = "wording" if axis == "prompt" else axis
    shown = "w" if axis == "guidance_scale" else column
    heads = re.findall(r"<th>([^<]+ = [^<]*)</th>", grid)
    assert heads == [f"{shown} = {name}" for name in names] and words.startswith("4 pictures")
    pictures, recipes, table = kept(path)
    assert [row[column] for row in table] == [name for name in names for _ in (7, 8)]
    assert list(table[0]) == ["file", column, "seed", "saturation", "change"]
    for row, own, index in zip(table[::2], settings, range(2)):
        name = row["file"].removesuffix(".png")
        prompt = "a drawing of a red house" if axis == "prompt" and index else "a red house"
        whole = {"steps": 5, "guidance_scale": 3.0} | own
        expected = tiny.sample(prompt, 7, **whole)[0]
        torch.testing.assert_close(from_pil(pictures[name]), expected, atol=0.51 / 255, rtol=0)
        assert recipes[name] == tiny.recipe(prompt, 7, **whole), "whole: it makes this very picture again"
    assert np.abs(np.asarray(pictures[name], float) - np.asarray(next(iter(pictures.values())), float)).max() > 0


def test_two_settings_are_swept_against_each_other_and_every_pair_is_what_the_model_samples(session, tiny):
    given = good(session, seeds="7", guidance_scales="3", axis="guidance_scale", values="1,4")
    *_, (grid, words, chart, path) = guidance.handler(session)(**given, second_axis="steps", second_values="2,5")
    assert words.startswith("4 pictures") and chart.color == "steps"
    assert re.findall(r"<th>([^<]+)</th>", grid) == ["w = 1", "w = 4"]
    assert re.findall(r'rowgroup">([^<]+)</th>', grid) == ["steps = 2", "steps = 5"]
    pictures, recipes, table = kept(path)
    assert [(row["steps"], row["guidance_scale"]) for row in table] == [("2", "1"), ("2", "4"), ("5", "1"), ("5", "4")]
    assert [bool(row["change"]) for row in table] == [False, True, False, True], "from the left neighbour of its row"
    for row in table:
        own = {"steps": int(row["steps"]), "guidance_scale": float(row["guidance_scale"])}
        name = row["file"].removesuffix(".png")
        expected = tiny.sample("a red house", 7, **own)[0]
        torch.testing.assert_close(from_pil(pictures[name]), expected, atol=0.51 / 255, rtol=0)
        assert recipes[name] == tiny.recipe("a red house", 7, **own)


def test_seeds_go_across_where_they_are_what_is_swept(session):
    given = good(session, seeds="7,8,9", guidance_scales="2", axis="seed", steps=2)
    *_, (grid, _, chart, _) = guidance.handler(session)(**given)
    assert re.findall(r"<th>([^<]+)</th>", grid) == ["seed 7", "seed 8", "seed 9"] and 'class="row"' not in grid
    assert chart.x == "seed" and [row[0] for row in chart.value["data"]] == ["7", "8", "9"]
    *_, (grid, _, _, _) = guidance.handler(session)(**given, second_axis="scheduler", second_values="ddim,euler")
    assert re.findall(r'rowgroup">([^<]+)</th>', grid) == ["scheduler = ddim", "scheduler = euler"]
    assert grid.count("<img") == 6 and re.findall(r"<th>([^<]+)</th>", grid)[0] == "seed 7"


def test_other_prompts_are_swept_beside_wordings_of_the_one_given(session, tiny):
    given = good(session, seeds="7", guidance_scales="2", axis="prompt", values="{}|a boat", steps=2)
    *_, (_, _, _, path) = guidance.handler(session)(**given)
    _, recipes, table = kept(path)
    assert [recipes[row["file"].removesuffix(".png")].prompt for row in table] == ["a red house", "a boat"]
    asked = []
    cells = [cell(f"prompt={text}", Image.new("RGB", (32, 32))) for text in ("a drawing of {}",)]
    cells.append(SweepCell(dataclasses.replace(cells[0].condition, wording="a boat"), 7, "a boat", cells[0].picture))
    found = sweep_scores.measured("everyday", "a house", cells)
    for prompt in ("a house", "a boat"):
        asked.append(sweep_scores.alignment("everyday", [prompt], [cells[0].picture])["clip_scenes"][0])
    assert [each.scores["clip_scenes"] for each in found] == pytest.approx(asked, abs=1e-4), (
        "each by what it was asked for"
    )


@pytest.mark.parametrize(
    ("axis", "second", "second_values", "name", "message"),
    [
        ("steps", "steps", "2,3", "second_axis", "Steps and Steps decide the same"),
        ("guidance_schedule", "guidance_interval", "none,0.1:0.9", "second_axis", "decide the same setting"),
        ("steps", "size", "1", "second_axis", "must be of one of"),
        ("steps", "scheduler", "ddim,best", "second_values", "must be one of ddim"),
        ("steps", "guidance_scale", "1,99", "second_values", "from 0 to 20"),
        ("steps", "seed", None, "", ""),
    ],
)
def test_a_second_setting_is_checked_as_the_first_is(session, axis, second, second_values, name, message):
    values = {"steps": "2,4", "guidance_schedule": "constant,interval"}[axis]
    given = good(session, seeds="7", axis=axis, values=values, second_axis=second, second_values=second_values)
    found = sweep_checks.problems(session, **given)
    assert (list(found) == [name] and message in found[name]) if name else not found


def test_the_cost_is_refused_exactly_where_the_sweep_is(session):
    rng, name = random.Random(5), session.model.spec.reference
    texts = ["1,2,4", "1,99", "", "2", "x", "0-8[9]", "ddim,euler", "none,0.2:0.8", "{}|a boat", "4,8"]
    refused = 0
    for _ in range(300):
        scales, values, second_values = (rng.choice(texts) for _ in range(3))
        seeds, steps = rng.choice(["7", "7,8", "x", "1,2,3,4,5,6,7,8"]), rng.choice([5, 100, 0, 101, 2.5, None])
        axis, second = rng.choice([*sweep_axes.AXES, "size"]), rng.choice([*sweep_axes.AXES, None])
        schedule = rng.choice(["constant", "zigzag"])
        found = sweep_checks.problems(
            session, "", scales, seeds, schedule, steps, name, axis, values, second, second_values
        )
        words = sweep_checks.cost_words(
            session, scales, seeds, steps, name, axis, values, schedule, second, second_values
        )
        assert words == " ".join(found.values()) if found else re.match(r"\d+ pictures?", words), (found, words)
        refused += bool(found)
    assert 50 < refused < 300


def test_stop_keeps_scores_and_zip_of_what_is_done(session):
    given = good(session, seeds="7", axis="steps", values="2,3,90", guidance_scales="2")
    sweeping, frames = guidance.handler(session)(**given, request=Request()), []
    for frame in sweeping:
        frames.append(frame)
        if isinstance(frame[1], str) and frame[1].startswith("Picture 3: step 2"):
            turns.stopping(session)(Request())
    grid, words, chart, path = frames[-1]
    assert words.startswith("Stopped: 2 of 3 pictures are done.") and grid.count("<img") == 2
    assert grid.count('class="score">saturation') == 2 and chart.visible
    pictures, recipes, table = kept(path)
    assert len(pictures) == len(recipes) == len(table) == 2 and not session.lane.locked()


def test_stop_before_a_picture_is_done_says_so_and_while_waiting_too(session):
    sweeping = guidance.handler(session)(**good(session), request=Request())
    next(sweeping)
    turns.stopping(session)(Request())
    assert [frame[1] for frame in sweeping][-1].startswith("Stopped before a picture was done")
    holder = session.lane.join()
    assert session.lane.wait(holder, 0)
    waiting = guidance.handler(session)(**good(session), request=Request())
    next(waiting)
    turns.stopping(session)(Request())
    assert [frame[1] for frame in waiting][-1].startswith("Stopped")
    session.lane.leave(holder)


class Request:
    session_hash = "tab"


def test_each_score_is_explained_below_and_a_cell_opens_in_draw_where_its_settings_are_offered(session):
    *_, (grid, _, _, _) = guidance.handler(session)(**good(session, seeds="7", guidance_scales="1,4"))
    assert set(re.findall(r"<dt>([^<]+)</dt>", grid)) == {"saturation", "change"}
    links = [html.unescape(link) for link in re.findall(r'data-link="([^"]*)"', grid)]
    values, wrong = read_link(session, text_to_image.NAMES, query_of(links[1], text_to_image.NAMES))
    own = dict(zip(text_to_image.NAMES, values))
    assert not wrong and own["prompt"] == "a red house" and own["guidance_scale"] == 4 and own["steps"] == 5
    *_, (grid, _, _, _) = guidance.handler(session)(
        **good(session, seeds="7", axis="guidance_rescale", values="0,0.5", guidance_scales="2", steps=2)
    )
    assert [bool(link) for link in re.findall(r'data-link="([^"]*)"', grid)] == [True, False]


def test_cells_of_other_steps_are_drawn_group_by_group_beside_those_already_there(session):
    frames = list(guidance.handler(session)(**good(session, axis="steps", values="5,6", guidance_scales="2")))
    grids = [frame[0] for frame in frames if isinstance(frame[0], str)]
    assert [grid.count("<img") for grid in grids] == [2, 2, 4, 4]
    assert [grid.count("<td></td>") for grid in grids] == [2, 2, 0, 0], "places for those to come"
    said = [frame[1] for frame in frames if isinstance(frame[1], str)]
    assert said[0].startswith("Picture 1 to 2: step 1 of 5") and said[5].startswith("Picture 3 to 4: step 1 of 6")
    assert said[10].endswith("step 6 of 6, 0.0 s left")


def test_the_chart_lies_along_the_swept_setting_and_names_keep_their_order():
    grey = Image.new("RGB", (4, 4))
    made = sweep_scores.measured("", "", [cell(f"steps={steps}", grey) for steps in (4, 12, 8)])
    chart = sweep_scores.chart_of(made)
    assert chart.x == "steps" and chart.sort is None and [row[0] for row in chart.value["data"]] == [4, 12, 8]
    made = sweep_scores.measured("", "", [cell(f"scheduler={name}", grey) for name in ("unipc", "ddim")])
    chart = sweep_scores.chart_of(made)
    assert chart.x == "scheduler" and chart.sort == ["unipc", "ddim"] and chart.visible
    assert not sweep_scores.chart_of(made[:1]).visible, "a point is no line"


def test_the_endpoint_keeps_its_parameters_and_new_ones_stand_last_with_defaults(session):
    parameters = inspect.signature(guidance.handler(session)).parameters
    given = {name: each.default for name, each in parameters.items() if name != "request"}
    assert tuple(given) == guidance.NAMES
    assert list(given.values()) == [
        inspect.Parameter.empty,
        "1,2,4,8",
        "7",
        "constant",
        session.model.spec.steps,
        session.model.spec.reference,
        "guidance_scale",
        "",
        "seed",
        "",
    ]


def test_the_scale_of_the_other_sweeps_is_the_one_given_or_the_models_own(session):
    name = session.model.spec.reference
    assert sweep_axes.held_scale(session, "3", name) == 3
    assert sweep_axes.held_scale(session, "1,2", name) == session.model.spec.guidance_scale


def test_choosing_an_axis_offers_values_that_the_page_then_takes(session):
    name = session.model.spec.reference
    for axis in sweep_axes.AXES:
        scales, values, steps, schedule = guidance.choose_axis(session, axis, name)
        given = good(session, guidance_scales=scales.value, axis=axis, values=values.value)
        assert sweep_checks.problems(session, **given) == {}
        assert (steps.interactive, schedule.interactive) == (axis != "steps", axis != "guidance_schedule")
        other = "seed" if axis == "steps" else "steps"
        scales, second, steps, _ = guidance.choose_against(session, axis, name, other)
        assert scales == gr.skip() if axis == "guidance_scale" else scales.visible, "what was typed stays"
        given |= {"second_axis": other, "second_values": second.value, "guidance_scales": "2"}
        assert sweep_checks.problems(session, **given) == {} and not steps.interactive
    with pytest.raises(Exception, match="one of"):
        guidance.choose_axis(session, "size", name)


@pytest.mark.parametrize(
    ("axis", "values", "message"),
    [
        ("steps", "4,x", "Steps must be a list like 4,8,12"),
        ("steps", "4,4", "each value once"),
        ("steps", "", "Steps must be a list like"),
        ("steps", "4,101", "whole number from 1 to 100; a list looks like 4,8,12"),
        ("steps", "default", "Steps must be a whole number"),
        ("steps", 8, "like 4,8,12"),
        ("steps", "9" * 3000, "like 4,8,12"),
        ("guidance_scale", "1,99", "from 0 to 20"),
        ("scheduler", "ddim,best", "must be one of ddim, .*like ddim,"),
        ("guidance_schedule", "zigzag", "like constant,linear"),
        ("guidance_interval", "0.9:0.1", "like none,0.2:0.8"),
        ("guidance_rescale", "0,2", "like 0,0.5,1"),
        ("shift", "0,1", "Shift of the steps must be a list like 1,2,4"),
        ("guidance_rule", "cfg,agp", "like cfg,apg,fdg,tcfg"),
        ("guidance_rule", "cfg,autoguidance:model=scenes", "guidance rule must be one of cfg, apg"),
        ("negative_prompt", "|" + "x" * 401, "401 characters"),
        ("prompt", "{}|{}", "like {}"),
        ("prompt", "{}|" + "x" * 390 + " {}", "402 characters"),
        ("steps", "1-40(1)", "32 pictures at the most"),
    ],
)
def test_values_that_the_page_cannot_draw_are_refused_in_one_sentence_with_an_example(session, axis, values, message):
    given = good(session, seeds="7", axis=axis, values=values)
    found = sweep_checks.problems(session, **given)
    assert list(found) == ["values"] and re.search(message, found["values"]) and len(found["values"]) < 200
    with pytest.raises(Exception, match=message):
        next(guidance.handler(session)(**given))


def test_an_axis_that_the_page_does_not_have_is_refused_by_name(session):
    for axis in ("size", "height", None, 3):
        assert "must be of one of" in sweep_checks.problems(session, **good(session, axis=axis, values="1"))["axis"]


def test_each_cell_counts_by_its_own_steps(tiny):
    small = Session(tiny, Limits(work=2 * 20 * 32 * 32 / 1e6))
    assert not sweep_checks.problems(small, **good(small, seeds="7", axis="steps", values="2,8,10"))
    found = sweep_checks.problems(small, **good(small, seeds="7", axis="steps", values="2,10,12"))
    assert "1.2 times the work" in found["steps"]
    name = tiny.spec.reference
    assert sweep_checks.cost_words(small, "1", "7", 5, name, "steps", "2,10,12") == found["steps"], (
        "said before the start"
    )


def test_pictures_of_a_known_world_are_scored_against_the_prompt():
    cells = [
        cell("guidance_scale=2", Image.new("RGB", (32, 32), "red")),
        cell("guidance_scale=4", Image.new("RGB", (32, 32), "blue")),
    ]
    assert set(sweep_scores.measured("", "a house", cells)[1].scores) == {"saturation", "change"}
    first, second = sweep_scores.measured("everyday", "a house", cells)
    assert list(first.scores) == ["clip_scenes", "saturation"] and list(second.scores)[-1] == "change"


def test_saturation_and_distance_have_their_closed_forms():
    red, grey = Image.new("RGB", (4, 4), (255, 0, 0)), Image.new("RGB", (4, 4), (90, 90, 90))
    assert sweep_scores.saturation(red) == 1 and sweep_scores.saturation(grey) == 0
    assert sweep_scores.distance(grey, Image.new("RGB", (4, 4), (93, 90, 90))) == pytest.approx(3**0.5)


@pytest.mark.parametrize("sweep", ["guidance_scale={}", "negative_prompt=something rather long to read {}" + "x" * 99])
def test_the_contact_sheet_holds_every_picture_in_its_place(sweep):
    colours = {("1", 5): (255, 0, 0), ("2", 5): (0, 255, 0), ("1", 6): (0, 0, 255), ("2", 6): (9, 0, 9)}
    cells = [
        cell(sweep.format(value), Image.new("RGB", (20, 20), colour), seed) for (value, seed), colour in colours.items()
    ]
    image = sweep_grid.contact_sheet(cells)
    sheet = np.asarray(image)
    for colour in colours.values():
        assert (sheet == colour).all(-1).sum() == 400
    rows, columns = np.nonzero((sheet == (0, 0, 255)).all(-1))
    assert rows.min() > np.nonzero((sheet == (255, 0, 0)).all(-1))[0].max() and columns.min() >= 110
    assert columns.max() < np.nonzero((sheet == (0, 255, 0)).all(-1))[1].min() and image.width < 600


def test_a_prompt_and_a_swept_text_cannot_write_into_the_page():
    page = sweep_grid.grid_html(
        [
            cell(
                'negative_prompt="><script>alert(2)</script>',
                Image.new("RGB", (4, 4)),
                5,
                '"><script>alert(1)</script>',
            )
        ]
    )
    assert "<script" not in page and "&lt;script&gt;alert(1)" in page and "&lt;script&gt;alert(2)" in page


def test_swept_texts_that_look_alike_as_file_names_keep_their_own(tmp_path):
    grey = Image.new("RGB", (4, 4))
    made = [cell("negative_prompt=ö", grey), cell("negative_prompt=ü", grey), cell("negative_prompt=../x", grey)]
    sweep_grid.write_zip(tmp_path / "x.zip", sweep_scores.measured("", "", made), "A house!")
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        names = [name for name in archive.namelist() if name.startswith("a-house")]
    assert len(set(names)) == 3 and not any("/" in name for name in names)


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
    found = sweep_checks.problems(session, **good(session, **{name: value}))
    assert list(found) == [name] and re.search(message, found[name])
    with pytest.raises(Exception, match=message):
        next(guidance.handler(session)(**good(session, **{name: value})))


def test_the_cost_is_said_before_the_start(session):
    name = session.model.spec.reference
    assert sweep_checks.cost_words(session, "1,2,4", "7,8", 10, name) == "6 pictures"
    session.seconds_per_row[name] = 0.1
    assert sweep_checks.cost_words(session, "0,1,4", "7", 10, name) == "3 pictures, about 4 s", (
        "one row at 0 and at 1, two at 4"
    )
    assert "like 7" in sweep_checks.cost_words(session, "1", "", 10, name)


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
