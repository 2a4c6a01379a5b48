"""Photographs from a folder: found, turned, cropped; what is no photograph is named."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ldm_core.data import photos
from ldm_core.training.corpus import load_corpus


def test_squares_are_the_middles_of_photographs_large_enough(tmp_path):
    (tmp_path / "deeper").mkdir()
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[4:36, 14:46] = 200
    Image.fromarray(pixels).save(tmp_path / "deeper" / "a.png")
    Image.fromarray(pixels[:20]).save(tmp_path / "small.png")
    (tmp_path / "notes.txt").write_text("no picture")
    (only,) = photos.squares(tmp_path, 10, 32)
    assert only.shape == (32, 32, 3) and (only == 200).all()


def test_a_large_photograph_is_made_smaller_first(tmp_path):
    pixels = np.zeros((200, 400, 3), np.uint8)
    pixels[:, 150:250] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    (square,) = photos.squares(tmp_path, 1, 50)
    assert (square[:, 6:-6] > 250).all() and square.shape == (50, 50, 3), (
        "200 pixels became 100, the middle 50 are white"
    )


def test_a_photograph_is_turned_as_its_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise is needed
    Image.new("RGB", (30, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert photos.open_photo(tmp_path / "turned.jpg").size == (20, 30)


def test_what_is_no_photograph_is_named(tmp_path):
    with pytest.raises(ValueError, match="holds no photograph"):
        photos.photo_files(tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        photos.photo_files(tmp_path / "none")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 not really")
    with pytest.raises(ValueError, match=r"broken\.jpg cannot be read"):
        list(photos.squares(tmp_path, 1, 8))
    with pytest.raises(ValueError, match="--data must name a folder"):
        load_corpus("photos", 1, 8)
