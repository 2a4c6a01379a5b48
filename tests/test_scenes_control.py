"""The control that ships: there with its card, and what it draws obeys."""

from __future__ import annotations

import itertools
import json

import pytest
import torch

import ldm_core
from evaluation import obedience
from evaluation.detectors.silhouettes import Drawings, ious, load_silhouette_reader
from evaluation.worlds import DRAWN
from ldm_core.registry import WEIGHTS, control_names, find_control
from ldm_core.tasks.start import image_sha256

NAME = "scenes-control"


@pytest.fixture(scope="module")
def model():
    return ldm_core.load("scenes", device="cpu", dtype="float32", control=NAME, engine="torch")


def test_the_control_that_ships_is_known_by_name_and_has_its_card():
    assert NAME in control_names() and find_control(NAME).embedded
    assert json.loads((WEIGHTS / NAME / "config.json").read_text())["_class_name"] == "T2IAdapter"
    card = (WEIGHTS / NAME / "README.md").read_text(encoding="utf-8")
    for part in (
        "**Data.**",
        "**Licence.**",
        "**Training.**",
        "evaluation.obedience scenes",
        "train_control scenes-cpu",
    ):
        assert part in card, part
    assert sum(path.stat().st_size for path in (WEIGHTS / NAME).iterdir()) < 9e6


def test_pictures_drawn_into_silhouettes_obey_where_those_of_the_same_seeds_without_control_do_not(model):
    world = model.spec.world
    seeds = itertools.islice(DRAWN[world].HELD_OUT_SEEDS, 4000, 4005)
    asked, reader = Drawings.of(world, seeds, model.height), load_silhouette_reader(world)
    pictures = obedience.ways(model, asked, (1.0,))
    steered, free, real = (
        torch.tensor(ious(reader, pictures[name], asked.silhouettes)).mean()
        for name in ("drawn with control, scale 1", obedience.FREE, obedience.REAL)
    )
    assert steered > free + 0.1 and real > free + 0.1, f"with {steered:.2f}, without {free:.2f}, real {real:.2f}"


def test_without_an_image_the_model_draws_as_it_does_without_the_control(model):
    plain = ldm_core.load("scenes", device="cpu", dtype="float32", engine="torch")
    given = {"steps": 3, "rows_per_call": 4}
    assert torch.equal(model.sample("a red house", 7, **given), plain.sample("a red house", 7, **given))
    white = torch.ones(3, model.height, model.width)
    recipe = model.recipe("a red house", 7, control_image=white)
    assert (recipe.control, recipe.control_image) == (NAME, image_sha256(white))
