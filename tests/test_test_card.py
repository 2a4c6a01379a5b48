"""The test card: the same on every machine, with what each autoencoder finds hard in its place."""

from __future__ import annotations

import numpy as np

from ldm_core.data.test_card import test_card as draw_card


def test_it_is_one_picture_of_512_pixels_and_always_the_same():
    card = draw_card()
    assert card.shape == (512, 512, 3) and card.dtype == np.uint8 and np.array_equal(card, draw_card())


def test_the_zone_plate_is_slow_in_its_middle_and_as_fast_as_pixels_allow_at_its_rim():
    plate = draw_card()[16:216, 16:216, 0].astype(int)
    assert plate[99:101, 99:101].min() > 250
    steps = np.abs(np.diff(plate, axis=1))
    assert steps[95:105, 190:].mean() > 100 > 10 > steps[98:102, 97:103].mean()


def test_gradients_run_from_black_to_white_and_all_hues_occur():
    card = draw_card()
    assert card[240, 232].max() == 0 and card[240, 495].min() == 255
    assert {int(channel) for channel in card[262, 232:496].argmax(1)} == {0, 1, 2}
