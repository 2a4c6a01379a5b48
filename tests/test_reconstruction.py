"""Peak signal-to-noise ratio against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from evaluation.metrics.reconstruction import psnr


def test_an_error_of_one_grey_level_everywhere_is_48_db():
    images = torch.full((2, 3, 8, 8), 100.0)
    assert psnr(images, images + 1, 255.0).tolist() == pytest.approx([48.1308036086791] * 2)


def test_a_range_from_minus_one_to_one_counts_as_two():
    images = torch.zeros(1, 1, 4, 4)
    assert psnr(images, images + 0.2, 2.0).item() == pytest.approx(20.0, abs=1e-5)


def test_a_small_matrix_gives_the_value_worked_out_by_hand():
    images = torch.tensor([[0.0, 1], [2, 3]])[None, None]
    assert psnr(images, 3 - images, 3.0).item() == pytest.approx(10 * math.log10(9 / 5))


def test_each_image_has_its_own_value_where_pooling_their_errors_would_give_less():
    images, errors = torch.zeros(2, 1, 4, 4, dtype=torch.float64), torch.tensor([0.01, 0.1], dtype=torch.float64)
    others = images + errors[:, None, None, None]
    assert psnr(images, others).mean().item() == pytest.approx(30.0)
    pooled = psnr(images.reshape(1, 1, 8, 4), others.reshape(1, 1, 8, 4))
    assert pooled.item() == pytest.approx(22.967086218813385)


def test_equal_images_are_infinitely_good_and_other_shapes_are_refused():
    images = torch.rand(1, 3, 4, 4)
    assert psnr(images, images).item() == math.inf
    with pytest.raises(ValueError, match="one shape"):
        psnr(images, images[:, :1])
