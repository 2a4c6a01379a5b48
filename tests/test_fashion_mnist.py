"""Fashion-MNIST: the IDX format, the checks, and the official files where they are at hand."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from ldm_core.data import fashion_mnist


def idx(array: np.ndarray) -> bytes:
    return b"\x00\x00\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def test_numbers_of_numpy_make_the_same_caption():
    assert fashion_mnist.caption(np.uint8(3), np.int64(5)) == fashion_mnist.caption(3, 5)


def test_an_idx_file_is_read_back_exactly():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_array_equal(fashion_mnist.read_idx(idx(array)), array)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:6], lambda data: b"\x01" + data[1:], lambda data: b""]
)
def test_a_damaged_idx_file_is_said(damage):
    with pytest.raises(ValueError, match="IDX file"):
        fashion_mnist.read_idx(damage(idx(np.zeros((2, 3), np.uint8))))


def test_another_file_under_the_official_name_is_refused(tmp_path):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"something else")
    with pytest.raises(ValueError, match="not the official file"):
        fashion_mnist.load("train", tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="has no t10k-images"):
        fashion_mnist.load("test", tmp_path)


def test_padding_keeps_the_picture_in_the_middle():
    padded = fashion_mnist.pad(np.full((1, 28, 28), 9, np.uint8))
    assert padded.shape == (1, 32, 32) and padded[0, 2:30, 2:30].min() == 9 and padded.sum() == 9 * 28 * 28


def test_every_label_is_said_in_several_ways():
    for label, name in enumerate(fashion_mnist.LABELS):
        said = {fashion_mnist.caption(label, seed) for seed in range(60)}
        assert len(said) >= 6 and any(name.split()[-1] in text for text in said)


def test_every_caption_is_read_back_and_free_wording_too():
    for label in range(10):
        assert all(fashion_mnist.parse(fashion_mnist.caption(label, seed)) == label for seed in range(60))
    assert fashion_mnist.parse("A grey T shirt, please") == 0 and fashion_mnist.parse("two running shoes") == 7
    assert fashion_mnist.parse("a leather handbag") == 8 and fashion_mnist.parse("a house") is None
    assert fashion_mnist.parse("a coat and a bag") is None, "two things: no single label is right"


@pytest.mark.skipif("LDM_TEST_DATA" not in os.environ, reason="LDM_TEST_DATA is not set")
def test_the_official_files_load():
    images, labels = fashion_mnist.load("test", Path(os.environ["LDM_TEST_DATA"]) / "fashion_mnist")
    assert images.shape == (10_000, 28, 28) and np.bincount(labels).tolist() == [1000] * 10
