"""Axes as people write them, and the conditions that they make together."""

from __future__ import annotations

import pytest

from evaluation.generation.axes import conditions, from_stored, parse_scales, parse_sweep, scale_axis, stored
from ldm_core.settings import SamplingSettings


@pytest.mark.parametrize(
    ("text", "scales"),
    [
        ("1,2,4,8", (1, 2, 4, 8)),
        ("1-3(1)", (1, 2, 3)),
        ("1-2(0.5), 7.5", (1, 1.5, 2, 7.5)),
        ("1-8[4]", (1, 3.333333, 5.666667, 8)),
        (" 0 , 0.5 ", (0, 0.5)),
        ("4,4,1", (4, 1)),
    ],
)
def test_scales_are_read_as_people_write_them(text, scales):
    assert parse_scales(text) == pytest.approx(scales)


@pytest.mark.parametrize(
    "text", ["", "a", "1,,2", "-1", "nan", "inf", "5-1(1)", "1-8(0)", "1-8[1]", "1-1000(1)", "1;2"]
)
def test_other_scales_are_refused_with_an_example(text):
    with pytest.raises(ValueError, match="1-8\\(1\\)|1 to 64"):
        parse_scales(text)


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("steps=4,8,12", "steps", [4, 8, 12]),
        ("steps=4-12(4)", "steps", [4, 8, 12]),
        ("scheduler=ddim, euler", "scheduler", ["ddim", "euler"]),
        ("guidance_interval=none,0.1:0.9", "guidance_interval", ["none", "0.1:0.9"]),
        ("guidance_scale=1-2(0.5)", "guidance_scale", [1, 1.5, 2]),
        ("negative_prompt=|blurry|ugly, deformed", "negative_prompt", ["", "blurry", "ugly, deformed"]),
        ("prompt={}|a drawing of {}", "wording", ["{}", "a drawing of {}"]),
        ("model=scenes,fashion", "model", ["scenes", "fashion"]),
        ("fast:steps=4,scheduler=euler|slow:steps=20", "bundle", ["fast", "slow"]),
        ("way=fast:steps=4|slow:steps=20", "way", ["fast", "slow"]),
    ],
)
def test_an_axis_is_read_as_it_is_written(text, name, values):
    axis = parse_sweep(text)
    assert axis.name == name and [value.name for value in axis.values] == values


def test_a_bundle_sets_all_its_settings_and_what_it_does_not_name_stays():
    fast, slow = conditions(
        SamplingSettings.of(scheduler="ddim"), [parse_sweep("fast:steps=4,scheduler=euler|slow:steps=20")]
    )
    assert (fast.settings["steps"], fast.settings["scheduler"]) == (4, "euler")
    assert (slow.settings["steps"], slow.settings["scheduler"]) == (20, "ddim") and slow.label == "bundle = slow"


def test_commas_within_a_rule_part_its_parameters_and_the_others_part_rules():
    axis = parse_sweep("guidance_rule=cfg,apg:eta=0.5,norm=3,cfg-zero,apg:momentum=0")
    assert [value.name for value in axis.values] == ["cfg", "apg:eta=0.5:norm=3", "cfg-zero", "apg:momentum=0"]
    assert axis.values[1].settings == (("guidance_rule", "apg:eta=0.5:norm=3"),)
    bundle = parse_sweep(
        "way=soft:guidance_rule=apg:eta=0:norm=3,guidance_scale=6|free:guidance_rule=cfg++,guidance_scale=1"
    )
    assert dict(bundle.values[0].settings) == {"guidance_rule": "apg:norm=3", "guidance_scale": 6.0}
    with pytest.raises(ValueError, match="holds apg twice"):
        parse_sweep("guidance_rule=apg,apg:eta=0")


def test_axes_cross_and_a_condition_says_its_value_on_each():
    made = conditions(
        SamplingSettings(), [scale_axis([1, 4]), parse_sweep("steps=4,8"), parse_sweep("prompt={},an {}")]
    )
    assert len(made) == 8 and made[3].label == "w = 1, steps = 8, wording = an {}"
    assert made[3].settings["steps"] == 8 and made[3].guidance_scale == 1 and made[3].wording == "an {}"
    assert len({condition.label for condition in made}) == 8


def test_a_condition_is_the_same_after_its_way_through_a_file():
    (made,) = conditions(SamplingSettings.of(guidance_interval=(0.1, 0.9)), [parse_sweep("way=fast:steps=4,width=64")])
    assert from_stored(stored(made)) == made


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps", "must look like"),
        ("steps=", "must look like"),
        ("stepz=4", "is none of steps"),
        ("steps=4,4", "holds 4 twice"),
        ("steps=4,x", "steps"),
        ("steps=0", "steps must be"),
        ("prompt=a cat", "once, where the prompt goes"),
        ("fast:stepz=4", "no setting of a picture"),
        ("model=fast:steps=4", "cannot be called model"),
    ],
)
def test_what_is_no_axis_is_one_line(text, message):
    with pytest.raises(ValueError, match=message):
        parse_sweep(text)


@pytest.mark.parametrize(
    "sweeps", [("steps=4,8", "steps=12,16"), ("steps=4,8", "a:steps=4|b:steps=5"), ("a:steps=4", "b:width=64")]
)
def test_two_sweeps_of_one_thing_are_refused(sweeps):
    with pytest.raises(ValueError, match="two sweeps decide"):
        conditions(SamplingSettings(), [parse_sweep(text) for text in sweeps])


def test_too_many_conditions_are_refused():
    axes = [scale_axis(range(1, 61)), parse_sweep("steps=1-60(1)")]
    with pytest.raises(ValueError, match="3600 conditions; 1024"):
        conditions(SamplingSettings(), axes)
