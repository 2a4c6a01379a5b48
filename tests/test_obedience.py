"""Obedience: what is read from pictures against what was asked for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from evaluation import obedience
from ldm_core.data import scenes


class Bright(nn.Module):
    """Takes what is bright in red for a thing."""

    def forward(self, images):
        return images[:, :1] - 0.5


def test_a_picture_of_the_silhouette_itself_obeys_and_its_negative_does_not():
    asked = torch.zeros(2, 1, 128, 128)
    asked[0, :, 32:96, 32:96], asked[1, :, :64] = 1, 1
    pictures = asked.expand(-1, 3, -1, -1)
    assert obedience.ious(Bright(), pictures, asked) == [1.0, 1.0]
    assert obedience.ious(Bright(), 1 - pictures, asked) == [0.0, 0.0]
    assert obedience.ious(Bright(), pictures.flip(0), asked)[0] == pytest.approx(0.125 / 0.625)  # of the whole area


def test_drawings_without_a_thing_are_left_out_and_silhouettes_cover_every_thing():
    seeds = range(12)
    found = obedience.Drawings.of("scenes", iter(seeds), 64)
    shown = [scene for scene in map(scenes.random_scene, seeds) if scene.things]
    assert len(found.captions) == len(found.images) == len(shown)
    for scene, asked in zip(shown, found.silhouettes):
        assert ((asked[0].numpy() > 0.5) >= (scenes.masks(scene, 64).max(0) > 0.5)).all()
