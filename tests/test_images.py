"""Ranges, rounding, files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ldm_core import images


def test_rounding_is_to_nearest_and_has_no_bias():
    values = torch.rand(1, 3, 256, 256)
    pixels = images.to_uint8(values)
    assert abs(pixels.astype(float).mean() - 255 * values.mean().item()) < 0.01
    assert images.to_uint8(torch.tensor([0.0, 127.5 / 255 + 1e-4, 1.0]).view(1, 3, 1, 1)).ravel().tolist() == [
        0,
        128,
        255,
    ]


def test_every_level_survives_the_round_trip():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    np.testing.assert_array_equal(images.to_uint8(images.from_uint8(pixels)), pixels)


def test_model_range_is_undone():
    values = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(images.from_model(images.to_model(values)), values)


def test_a_png_keeps_pixels_and_text(tmp_path):
    pixels = np.random.RandomState(0).randint(0, 256, (8, 9, 3), dtype=np.uint8)
    images.save_png(tmp_path / "a.png", pixels, {"plain": "hello", "wide": "héllo ☃"})
    np.testing.assert_array_equal(images.load_png(tmp_path / "a.png"), pixels)
    assert Image.open(tmp_path / "a.png").text == {"plain": "hello", "wide": "héllo ☃"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_cut_png_is_noticed(tmp_path):
    images.save_png(tmp_path / "a.png", np.random.RandomState(0).randint(0, 256, (64, 64, 3), dtype=np.uint8))
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises((OSError, SyntaxError)):
        images.load_png(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1"])
def test_pictures_of_any_mode_become_three_channels(mode):
    assert images.from_pil(Image.new(mode, (5, 4))).shape == (3, 4, 5)


def test_transparency_shows_white():
    assert images.from_pil(Image.new("RGBA", (2, 2), (255, 0, 0, 0))).min() == 1
