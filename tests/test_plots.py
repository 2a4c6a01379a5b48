"""The charts of the report: round ticks, one mark a scale, the ceiling where there is one."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from evaluation.report import charts as plots
from evaluation.report import tables


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (12, 340, [100, 200, 300]), (-0.5, 3.2, [0, 1, 2, 3]), (1e-3, 1.2e-3, None)],
)
def test_ticks_are_few_round_and_inside_the_axis(low, high, expected):
    ticks = plots._ticks(low, high)
    assert 3 <= len(ticks) <= 6 and all(low <= tick <= high for tick in ticks)
    assert expected is None or ticks == pytest.approx(expected)


def test_a_chart_marks_every_scale_and_draws_the_ceiling_above_them():
    rows = pd.DataFrame({"guidance_scale": [4.0, 1.0], "value": [0.9, 0.5], "low": [0.85, 0.4], "high": [0.95, 0.6]})
    svg = plots.chart(rows, "scene_accuracy", True, line=1.0)
    heights = [float(y) for y in re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', svg)]
    ceiling = float(re.search(r'y1="([\d.]+)" y2="[\d.]+" class="ceiling"', svg).group(1))
    assert len(heights) == 2 and ceiling < heights[1] < heights[0], "scales ascend; up the page is larger"
    assert "higher is better" in svg and "<title>w = 4: 0.9</title>" in svg
    assert "ceiling" not in plots.chart(rows, "scene_accuracy", True)


@pytest.mark.parametrize(
    ("value", "count", "text"),
    [(110, 2, "110"), (99.7, 2, "100"), (9.96, 2, "10"), (0.8958, 4, "0.8958"), (-727.3, 2, "-727")],
)
def test_numbers_have_the_digits_that_count_and_no_exponent_for_hundreds(value, count, text):
    assert tables.digits(value, count) == text
