"""Obedience: what is read from pictures against what was asked for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from evaluation import obedience
from evaluation.detectors.silhouettes import Drawings, SilhouetteReader, in_cells, ious, load_silhouette_reader
from ldm_core.data import everyday


class Bright(nn.Module):
    """Takes what is bright in red for a thing."""

    def forward(self, images):
        return in_cells(images[:, :1]) - 0.5


def test_a_picture_of_the_silhouette_itself_obeys_and_its_negative_does_not():
    asked = torch.zeros(2, 1, 128, 128)
    asked[0, :, 32:96, 32:96], asked[1, :, :64] = 1, 1
    pictures = asked.expand(-1, 3, -1, -1)
    assert ious(Bright(), pictures, asked) == [1.0, 1.0]
    assert ious(Bright(), 1 - pictures, asked) == [0.0, 0.0]
    assert ious(Bright(), pictures.flip(0), asked)[0] == pytest.approx(0.125 / 0.625)  # of the whole area


def test_drawings_without_a_thing_are_left_out_and_silhouettes_cover_every_thing():
    seeds = range(12)
    found = Drawings.of("everyday", iter(seeds), 64)
    shown = [scene for scene in map(everyday.random_scene, seeds) if scene.things]
    assert len(found.captions) == len(found.images) == len(shown)
    for scene, asked in zip(shown, found.silhouettes):
        assert ((asked[0].numpy() > 0.5) >= (everyday.masks(scene, 64).max(0) > 0.5)).all()


def test_where_nothing_is_asked_for_there_is_no_obedience():
    asked = torch.zeros(2, 1, 64, 64)
    asked[1, :, :8] = 1
    nothing, something = ious(Bright(), torch.zeros(2, 3, 64, 64), asked)
    assert math.isnan(nothing) and something == 0.0


def test_the_reader_that_ships_sees_the_things_of_drawings_that_it_never_saw():
    drawings = Drawings.of("everyday", iter(everyday.HELD_OUT_SEEDS[5000:5012]), 128)
    reader = load_silhouette_reader("everyday")
    own, others = (
        ious(reader, drawings.images, asked) for asked in (drawings.silhouettes, drawings.silhouettes.roll(1, 0))
    )
    assert sum(own) / len(own) > 0.75 > 0.5 > sum(others) / len(others)


def test_a_world_without_a_reader_is_refused_in_words():
    with pytest.raises(ValueError, match="no reader of silhouettes knows the world 'fashion'.*train_silhouettes"):
        load_silhouette_reader("fashion")


def test_a_table_tells_each_way_s_iou_and_what_control_adds_to_the_same_seeds():
    drawings = Drawings.of("everyday", iter(range(6)), 64)
    empty = torch.zeros_like(drawings.images)
    rows = obedience.table(
        {obedience.REAL: drawings.images, obedience.FREE: empty}, Given(drawings.silhouettes), drawings
    )
    real, free = rows
    assert real["iou"].startswith("1.000") and real["more than without"].startswith("0.000")
    assert free["more than without"] == ""
    sheet = obedience.sheet({obedience.REAL: drawings.images, obedience.FREE: empty}, drawings)
    assert sheet.shape == (3, 3 * 64, len(drawings.captions) * 64)


class Given(SilhouetteReader):
    """Sees what it was given, whatever the pictures."""

    def __init__(self, silhouettes):
        super().__init__("everyday")
        self.silhouettes = silhouettes

    def forward(self, images):
        return in_cells(self.silhouettes) - 0.5
