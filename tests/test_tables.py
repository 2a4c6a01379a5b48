"""The tables that a reader copies: digits as far as the error allows, which way is better, how many images."""

from __future__ import annotations

import pandas as pd
import pytest

from evaluation.report import tables
from tests.test_pareto import a_summary


@pytest.mark.parametrize(
    ("value", "se", "text"),
    [
        (0.33333, 0.2108, "0.33 ± 0.21"),
        (41.6666, 1.234, "41.7 ± 1.2"),
        (1331.26, 209.4, "1331 ± 209"),
        (0.9366, 0.00241, "0.9366 ± 0.0024"),
        (-0.004, 0.1, "-0.00 ± 0.10"),
        (1.2345e-9, 2.2e-10, "1.23e-09 ± 2.2e-10"),
        (0.98765, None, "0.9877"),
        (0.98765, float("nan"), "0.9877"),
        (1.0, 0.0, "1"),
    ],
)
def test_a_value_has_the_digits_that_its_error_leaves_it(value, se, text):
    assert tables.with_error(value, se) == text


def test_a_copied_row_says_which_way_is_better_and_of_how_many_images_it_is():
    summary = a_summary({1.0: (10, 60), 2.0: (11, 70)})
    summary.loc[summary["metric"] == "clip_scenes", "n"] = [7, 9]
    table = tables.with_counts(summary)
    assert list(table.index) == ["fd_scenes ↓", "clip_scenes ↑"] and list(table["n"]) == ["9", "7 to 9"]
    assert "fd_scenes ↓" in tables.as_text(summary) and "7 to 9" in tables.as_text(summary)
    page = tables.summary_html(summary)
    assert page.count("class=best") == 2 and "<td>7 to 9</td>" in page


def test_a_pipe_sign_or_a_line_end_in_a_category_leaves_the_markdown_whole():
    made = tables.markdown(pd.DataFrame({"metric": ["a|b", "two\r\nlines"], "n": [3, 4]}))
    assert made.splitlines()[-2:] == [r"| a\|b | 3 |", "| two lines | 4 |"]
