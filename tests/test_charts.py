"""The charts of the report: round ticks, one mark a scale, the ceiling where there is one."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from evaluation.report import charts, tables


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (12, 340, [100, 200, 300]), (-0.5, 3.2, [0, 1, 2, 3]), (1e-3, 1.2e-3, None)],
)
def test_ticks_are_few_round_and_inside_the_axis(low, high, expected):
    ticks = charts._ticks(low, high)
    assert 3 <= len(ticks) <= 6 and all(low <= tick <= high for tick in ticks)
    assert expected is None or ticks == pytest.approx(expected)


def test_a_chart_marks_every_scale_and_draws_the_ceiling_above_them():
    rows = pd.DataFrame({"guidance_scale": [4.0, 1.0], "value": [0.9, 0.5], "low": [0.85, 0.4], "high": [0.95, 0.6]})
    svg = charts.chart(rows, "scene_accuracy", True, line=1.0)
    heights = [float(y) for y in re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', svg)]
    ceiling = float(re.search(r'y1="([\d.]+)" y2="[\d.]+" class="ceiling"', svg).group(1))
    assert len(heights) == 2 and ceiling < heights[1] < heights[0], "scales ascend; up the page is larger"
    assert "higher is better" in svg and "<title>w = 4: 0.9</title>" in svg
    assert "ceiling" not in charts.chart(rows, "scene_accuracy", True)


def test_a_second_axis_makes_a_curve_for_each_of_its_values_with_its_name_behind_it():
    points = [(w, steps, 0.5) for w in (1.0, 4.0) for steps in (4, 8)]
    rows = pd.DataFrame(points, columns=["guidance_scale", "steps", "value"]).assign(low=0.4, high=0.6)
    svg = charts.chart(rows, "scene_accuracy", True, axis="guidance_scale", others=["steps"])
    assert svg.count("<polyline") == 2 and "curves: steps" in svg and "<title>w = 4, steps = 8: 0.5</title>" in svg
    labels = re.findall(r'y="([0-9.]+)" class="quiet">(4|8)<', svg)
    assert sorted(text for _, text in labels) == ["4", "8"]
    assert abs(float(labels[0][0]) - float(labels[1][0])) >= 11, "none over another"


def test_differences_stand_below_each_other_about_zero_hollow_where_they_are_tied():
    rows = pd.DataFrame(
        {"rule": ["a", "b", "<c>"], "difference": [-2.0, 1.0, 0.5], "low": [-3.0, -1, None], "high": [-1.0, 3, None]}
    )
    svg = charts.difference_chart(rows, "fd_scenes", False, "rule", "cfg")
    points = re.findall(r'<circle cx="([\d.]+)" cy="(\d+)" r="4"( class="hollow")?/>', svg)
    zero = float(re.search(r'x1="([\d.]+)" x2="[\d.]+" y1="\d+" y2="\d+" class="ceiling"', svg).group(1))
    places = [float(x) for x, _, _ in points]
    assert places[0] < zero < places[2] < places[1] and [bool(hollow) for *_, hollow in points] == [False, True, True]
    assert svg.count('class="bar"') == 2 and "left is better" in svg and "&lt;c&gt;" in svg


@pytest.mark.parametrize(
    ("value", "count", "text"),
    [(110, 2, "110"), (99.7, 2, "100"), (9.96, 2, "10"), (0.8958, 4, "0.8958"), (-727.3, 2, "-727")],
)
def test_numbers_have_the_digits_that_count_and_no_exponent_for_hundreds(value, count, text):
    assert tables.digits(value, count) == text
