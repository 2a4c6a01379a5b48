"""Each variant at its best value against the plain one at its own: chosen on one half, compared on the other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.image_set import ImageSet
from evaluation.metrics.best_values import best_differences, best_values, by_condition, half_of
from evaluation.metrics.evidence import Evidence
from evaluation.metrics.metric import ImageScore
from evaluation.studies.guidance import concluded
from evaluation.studies.study import FAILS, HOLDS, IN_PART

GOOD, BAD = ImageScore(name="good", higher_is_better=True), ImageScore(name="bad", higher_is_better=False)
EFFECT = {("cfg", 1.0): 0.0, ("cfg", 2.0): 1.0, ("x", 1.0): 3.0, ("x", 2.0): 2.0}


@pytest.fixture
def evidence(tmp_path):
    """Twelve prompts under two rules at two w; `good` is a level for each condition and a little noise, `bad` its opposite."""
    noise = np.random.default_rng(0).normal(0, 0.01, (12, 4))
    rows = [
        {"prompt_id": p, "prompt": f"p{p}", "seed": p, "guidance_scale": w, "rule": rule, "file": f"{p}{rule}{w}.png"}
        | {"good": level + noise[p, k], "bad": -level - noise[p, k]}
        for p in range(12)
        for k, ((rule, w), level) in enumerate(EFFECT.items())
    ]
    return Evidence(ImageSet.of_rows(tmp_path, rows, ("guidance_scale", "rule")))


def test_the_best_value_of_each_variant_is_found_whichever_way_a_metric_points(evidence):
    best = best_values(by_condition(evidence, [GOOD, BAD]), "rule", "guidance_scale")
    assert best.set_index(["metric", "rule"])["guidance_scale"].to_dict() == {
        ("good", "cfg"): 2,
        ("good", "x"): 1,
        ("bad", "cfg"): 2,
        ("bad", "x"): 1,
    }


def test_the_halves_share_no_caption_and_the_difference_is_that_of_the_other_half(evidence):
    chosen, judged = (half_of(evidence, place) for place in (0, 1))
    assert set(chosen.images.table["prompt_id"]) == {0, 2, 4, 6, 8, 10}
    assert set(judged.images.table["prompt_id"]) == {1, 3, 5, 7, 9, 11}
    best = best_values(by_condition(chosen, [GOOD, BAD]), "rule", "guidance_scale")
    found = best_differences(judged, [GOOD, BAD], best, "rule", "guidance_scale", "cfg").set_index("metric")
    table = judged.images.table.pivot(index="prompt_id", columns=["rule", "guidance_scale"], values="good")
    assert found.loc["good", "difference"] == pytest.approx((table["x", 1] - table["cfg", 2]).mean())
    assert found.loc["bad", "difference"] == pytest.approx(-found.loc["good", "difference"])
    assert list(found["verdict"]) == ["x is better", "x is better"] and (found["p"] < 0.05).all()


def rows(*verdicts):
    made = [("accuracy", "a", verdicts[0]), ("distance", "a", verdicts[1]), ("other", "a", verdicts[2])]
    table = pd.DataFrame(made, columns=["metric", "rule", "verdict"])
    values = {"value": 1.0, "value of cfg": 2.0, "guidance_scale": 3.0, "guidance_scale of cfg": 4.0}
    return table.assign(**values, difference=-1.0, low=-2.0, high=-0.5)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (("a is better", "tied at this n", "cfg is better"), HOLDS),
        (("a is better", "cfg is better", "tied at this n"), IN_PART),
        (("tied at this n", "tied at this n", "a is better"), FAILS),
        (("cfg is better", "tied at this n", "tied at this n"), FAILS),
    ],
)
def test_the_claim_holds_where_a_rule_wins_by_a_metric_that_decides_and_loses_by_none(verdicts, expected):
    verdict, words = concluded(rows(*verdicts), ["accuracy", "distance"])
    assert verdict == expected and "accuracy (cfg 2 at w = 4)" in words
    assert ("better a at w = 3 (-1, -2 to -0.5)" in words) == ("a is better" in verdicts)
