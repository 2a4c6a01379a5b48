"""The bars of the everyday world: each figure from what was drawn, beside what it is to reach."""

from __future__ import annotations

import pandas as pd
import pytest

from evaluation import bars, card
from evaluation.detectors.everyday.audit import SUMMED
from evaluation.statistics import Estimate
from evaluation.worlds import caption_of
from ldm_core.data import everyday


def test_a_bar_holds_from_above_or_where_less_is_better_from_below():
    high, low = bars.Bar("a", Estimate(0.93, 9), 0.93, 0.97), bars.Bar("b", Estimate(0.2, 9), 0.1, 0.03, lowest=True)
    assert (high.row()["holds"], low.row()["holds"]) == ("yes", "no")
    assert bars.Bar("c", Estimate(0.05, 9), 0.1, 0.03, lowest=True).row()["holds"] == "yes"


def test_withheld_captions_state_a_combination_that_training_never_shows_of_every_sort():
    texts = bars.withheld_captions(3)
    scenes = [everyday.parse(text) for text in texts]
    assert 12 <= len(texts) <= 24 and all(bars.is_withheld(text) for text in texts)
    told = {(thing.kind, thing.colour) for scene in scenes for thing in scene.things}
    assert set(everyday.UNSEEN_PAIRS) <= told
    assert sum(scene.has_unseen_relation for scene in scenes) >= 4
    assert not bars.is_withheld("a red car") and not bars.is_withheld("a sentence of something else")


def test_the_best_scale_is_where_most_atoms_hold():
    images = pd.DataFrame({"guidance_scale": [1.0, 1.0, 4.0, 4.0], "scene_accuracy": [0.5, 0.7, 1.0, 0.4]})
    assert bars.best_scale(images) == 4


def test_figures_are_of_images_the_worst_skill_is_named_and_extras_count_where_all_is_told():
    seeds = everyday.HELD_OUT_SEEDS[:40]
    texts = [caption_of("everyday", seed) for seed in seeds]
    told = [bars.names_all(text, seed) for text, seed in zip(texts, seeds)]
    assert 20 < sum(told) < 40  # four of five captions name every thing
    images = pd.DataFrame({"prompt": texts, "scene_accuracy": 0.5, "scene_prompt_accuracy": 0.0})
    images["scene_extra"] = [0.0 if complete else 3.0 for complete in told]
    for skill, share in (("kind", 0.9), ("colour", 0.25)):
        images[f"scene_accuracy_{skill}"] = share
    images = images.reindex(
        columns=[*images, *(f"scene_accuracy_{s}" for s in bars.OF_SKILL if s not in ("kind", "colour"))]
    )
    found = {bar.name: bar.found.value for bar in bars.of_images(images, 40)}
    assert found == {
        "scene_accuracy, all atoms": 0.5,
        "the worst skill (colour)": 0.25,
        "prompts with every atom right": 0.0,
        "things nobody asked for, where all are named": 0.0,
    }


def test_the_reader_is_as_good_as_its_worst_skill():
    rows = [("kind", 0.99), ("relation", 0.7), (SUMMED[0], 0.1)]
    audit = pd.DataFrame([{"skill": s, "value": v, "n": 9, "se": 0.1, "low": v - 0.1, "high": v} for s, v in rows])
    bar = bars.of_reader(audit, SUMMED)
    assert "relation" in bar.name and (bar.found.value, bar.found.high) == (0.7, 0.7)


def test_withheld_combinations_are_counted_by_prompt():
    table = pd.DataFrame({"unseen": [True, True, False], "right": [True, False, False], "prompt_id": [0, 1, 2]})
    assert bars.of_withheld(table)[0].found.value == pytest.approx(0.5)


def test_most_prompts_of_the_main_command_hold_a_kind_that_the_world_knows():
    found = bars.known_prompts(card.coco())
    assert found.n >= 200 and found.value > 0.8
