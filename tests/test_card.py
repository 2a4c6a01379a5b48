"""`python -m evaluation.card`: the figures of a card, from what the model has never seen."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from evaluation import card
from evaluation.worlds import caption_of
from ldm_core.data import everyday, fashion_mnist
from ldm_core.registry import MODELS


def test_the_card_of_scenes_prints_its_figures_and_leaves_a_run(tmp_path, capsys):
    arguments = ["scenes", "--count", "4", "--guidance-scales", "2", "--withheld", "1", "--out", str(tmp_path)]
    assert card.main(arguments) == 0
    said = capsys.readouterr().out
    quality = re.search(r"on 4 held-out images: ([\d.]+) dB PSNR", said)
    assert float(quality[1]) > 28 and "by whether training ever showed it" in said
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (8 * MODELS["scenes"].width, 8 * MODELS["scenes"].height)
        assert sheet.getpixel((5, 5)) != (0, 0, 0)
    summary = pd.read_csv(tmp_path / "run" / "summary.csv").set_index("metric")["value"]
    assert {"fd_scenes", "coverage_scenes", "clip_scenes", "scene_accuracy", "scene_accuracy_ceiling"} <= set(
        summary.index
    )


def test_prompts_are_held_out_captions_and_the_ten_labels_in_turn():
    seed = everyday.HELD_OUT_SEEDS[1]
    assert list(card.captions("everyday", 2))[1] == caption_of("everyday", seed)
    assert [fashion_mnist.parse(text) for text in card.captions("fashion", 12)] == [*range(10), 0, 1]


def test_a_model_of_no_world_is_refused_in_one_line(tiny_folder, capsys):
    with pytest.raises(SystemExit) as stopped:
        card.main([str(tiny_folder)])
    assert stopped.value.code == 2 and "is of no world" in capsys.readouterr().err


@pytest.mark.skipif("LDM_TEST_DATA" not in os.environ, reason="LDM_TEST_DATA is not set")
def test_held_out_clothes_come_with_captions_of_their_labels():
    folder = Path(os.environ["LDM_TEST_DATA"]) / "fashion_mnist"
    labels = fashion_mnist.load("test", folder)[1][:120]
    parts = list(card.held_out_fashion(120, 32, folder))
    assert [len(texts) for texts, _ in parts] == [50, 50, 20]
    assert [fashion_mnist.parse(text) for texts, _ in parts for text in texts] == labels.tolist()
    assert all(images.shape[1:] == (3, 32, 32) and np.ptp(images.numpy()) == 1 for _, images in parts)
