"""The trade-off over guidance scales: dominance by hand, the knee of a known curve, and what a paper takes over."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from evaluation.image_set import ImageSet
from evaluation.report import charts, paper, tables
from evaluation.report.pareto import find_front, not_dominated
from evaluation.run_facts import RunFacts
from evaluation.set_facts import measured_by


def a_summary(points, distance="fd_scenes", fit="clip_scenes"):
    images = ImageSet.of_rows(
        Path("run"), [{"file": f"{w}.png", "guidance_scale": w} for w in points], ["guidance_scale"]
    )
    rows = []
    for condition, (far, good) in zip(images.conditions, points.values()):
        for metric, value, better in ((distance, far, False), (fit, good, True)):
            interval = {"value": value, "n": 9, "se": 0.1, "low": value - 0.2, "high": value + 0.2}
            about = {"category": "", "note": "", "detector": "", "resize": "", "higher_is_better": better}
            rows.append({"condition": condition, "metric": metric} | images.values(condition) | interval | about)
    return tables.summary_table(rows, {"model": "m", "prompts": "p.txt", "guidance_schedule": "constant"}, images)


def test_a_scale_that_another_beats_in_both_is_dominated():
    front = find_front(a_summary({1.0: (10, 60), 2.0: (11, 70), 4.0: (20, 75), 8.0: (30, 74)}))
    assert front.best == ["w = 1", "w = 2", "w = 4"] and front.dominated == ["w = 8"]
    # From (60, 10) to (75, 20), both brought to [0, 1]: (70, 11) lies 0.57 below the line's height.
    assert front.knee == "w = 2"
    assert front.words() == (
        "Nothing else has both lower fd_scenes and higher clip_scenes than w = 1, w = 2, w = 4; the knee is at w = 2; "
        "dominated: w = 8."
    )


def test_equal_points_do_not_dominate_each_other():
    assert not_dominated(pd.Series({1: 5.0, 2: 5.0, 3: 6.0}), pd.Series({1: 1.0, 2: 1.0, 3: 1.0})) == [1, 2]


def test_two_scales_make_a_front_without_a_knee_and_one_makes_none():
    assert find_front(a_summary({1.0: (10, 60), 2.0: (11, 70)})).knee is None
    assert find_front(a_summary({1.0: (10, 60)})) is None


def test_the_famous_pair_comes_before_the_models_own():
    both = pd.concat(
        [a_summary({1.0: (1, 1), 2.0: (2, 2)}), a_summary({1.0: (1, 1), 2.0: (2, 2)}, "fid", "clip_score")]
    )
    assert find_front(both).distance == "fid"


def test_the_chart_labels_every_scale_and_hollows_what_is_dominated():
    svg = charts.front_chart(find_front(a_summary({1.0: (10, 60), 2.0: (11, 70), 4.0: (20, 75), 8.0: (30, 74)})))
    assert svg.count("<circle") == 4 and svg.count('class="hollow"') == 1
    assert "w = 2 (knee)" in svg and "fd_scenes against clip_scenes" in svg and "nan" not in svg


def test_the_label_of_each_condition_stands_at_its_own_point():
    points = {1.0: (10, 62), 2.0: (11, 70), 4.0: (20, 75), 8.0: (30, 60)}
    svg = charts.front_chart(find_front(a_summary(points)))
    circles = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"[^>]*><title>(w = \d)', svg)
    labels = re.findall(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>(w = \d)', svg)
    at = {name: (float(x), float(y)) for x, y, name in circles}
    assert len(at) == len(labels) == 4
    for x, y, name in labels:
        nearest = min(at, key=lambda other: abs(at[other][0] - float(x)) + abs(at[other][1] - float(y)))
        assert nearest == name and abs(at[name][0] - float(x)) < 8 and abs(at[name][1] - float(y)) < 8
    assert at["w = 1"][1] > at["w = 2"][1] > at["w = 4"][1] > at["w = 8"][1], "less distance lies lower"
    assert at["w = 8"][0] < at["w = 1"][0] < at["w = 2"][0] < at["w = 4"][0], "better fit lies to the right"


def test_the_latex_table_escapes_names_and_points_to_what_is_better():
    table = tables.side_by_side(a_summary({1.0: (10, 60), 2.0: (11, 70)}))
    made = paper.latex(table, {"fd_scenes": False, "clip_scenes": True}, "100 % of p_1.txt")
    assert r"fd\_scenes $\downarrow$ & 10.00 $\pm$ 0.10 & 11.00 $\pm$ 0.10 \\" in made
    assert (
        r"clip\_scenes $\uparrow$" in made
        and r"\caption{100 \% of p\_1.txt}" in made
        and r" & $w = 1$ & $w = 2$ \\" in made
    )


def test_no_letter_of_a_name_is_a_command_to_latex():
    table = pd.DataFrame({"wording = a {} of {}": ["1 ± 0"], "w = 2": ["2"]}, index=["a_b"])
    made = paper.latex(table, {}, r"50 % of $x\y~z^{2}$ & #1")
    assert r"\caption{50 \% of \$x\textbackslash{}y\textasciitilde{}z\textasciicircum{}\{2\}\$ \& \#1}" in made
    assert r" & wording = a \{\} of \{\} & $w = 2$ \\" in made and r"a\_b & 1 $\pm$ 0 & 2 \\" in made


def test_a_detector_that_brings_images_to_no_size_has_no_empty_word():
    detectors = {
        "own": {"name": "own", "sha256": "c" * 64, "resize": ""},
        "bare": {"name": "bare", "sha256": "", "resize": ""},
    }
    assert measured_by(detectors, {}) == " Features and scores are by own (cccccccccccc), bare."
    assert measured_by({}, {"a": {"words": "embedded, 2 images"}}).endswith(
        "reference statistics (a: embedded, 2 images)."
    )
    assert measured_by({}, {}) == ""


def test_the_methods_paragraph_says_what_was_done():
    known = {
        "protocol": {
            "guidance_schedule": "cosine",
            "guidance_interval": [0.2, 0.8],
            "guidance_rescale": 0.7,
            "width": 128,
            "height": 96,
            "weights": "a" * 64,
            "steps": 20,
            "scheduler": "ddim",
            "dtype": "float32",
            "run_seed": 5,
        },
        "guidance_scales": [1.0, 7.5],
        "images_per_prompt": 2,
        "prompt_count": 40,
        "prompts": "p.txt",
        "prompts_sha256": "c" * 64,
        "image_count": 160,
        "metrics": ["fd_scenes"],
        "model": "scenes",
        "detectors": {"scenes": {"name": "scenes_detector", "sha256": "b" * 64, "resize": "clean-64"}},
        "references": {"scenes": {"words": "embedded, 2000 images"}},
        "versions": {"torch": "2", "diffusers": "3", "transformers": "4"},
    }
    written = paper.methods(RunFacts.from_json(known))
    for part in (
        "2 images of 128 x 96 pixels for each of the 40 prompts of p.txt",
        "cosine classifier-free guidance in the interval t = 0.2 to 0.8, rescaled by 0.7 at scales 1, 7.5",
        "run seed 5",
        "scenes_detector (bbbbbbbbbbbb, clean-64)",
        "embedded, 2000 images",
    ):
        assert part in written
    assert "20 steps of ddim in float32" in written and "by the rule" not in written
    later = known | {"protocol": known["protocol"] | {"shift": 4.0, "guidance_rule": "apg:eta=0.5"}}
    written = paper.methods(RunFacts.from_json(later))
    assert "20 steps of ddim (shift 4 towards noise) in float32" in written and "by the rule apg:eta=0.5 at" in written
    assert "pixels for the prompt of p.txt" in paper.methods(RunFacts.from_json(known | {"prompt_count": 1}))


@pytest.mark.parametrize("named", [True, False])
def test_categories_have_a_table_where_prompts_have_them(named):
    summary = a_summary({1.0: (10, 60), 2.0: (11, 70)})
    if named:
        summary = pd.concat([summary, summary[summary["metric"] == "clip_scenes"].assign(category="night")])
    table = tables.categories(summary)
    assert len(table) == named
    if named:
        assert table.iloc[0].tolist() == ["clip_scenes", "night", "60 (n = 9)", "70 (n = 9)"]
