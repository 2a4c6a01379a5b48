"""The embedded autoencoders for photographs: there with their cards, and as good as the cards say."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from evaluation import autoencoders
from ldm_core.registry import AUTOENCODERS, WEIGHTS

EMBEDDED = [name for name, spec in AUTOENCODERS.items() if spec.embedded]


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_embedded_autoencoder_is_there_with_its_card(name):
    assert (WEIGHTS / name / "config.json").exists() and "Kodak" in (WEIGHTS / name / "README.md").read_text(
        encoding="utf-8"
    )


@pytest.mark.skipif("LDM_TEST_DATA" not in os.environ, reason="LDM_TEST_DATA is not set")
def test_photo_autoencoders_beat_plain_shrinking_and_lose_more_the_more_they_save(tmp_path):
    kodak = Path(os.environ["LDM_TEST_DATA"]) / "kodak"
    assert (
        autoencoders.main(
            ["--images", str(kodak), "--limit", "2", "--models", ",".join(EMBEDDED), "--out", str(tmp_path)]
        )
        == 0
    )
    table = pd.read_csv(tmp_path / "summary.csv").set_index("model").loc[EMBEDDED]
    assert (table["gain"] >= 2).all(), "dB over bicubic at as many values"
    assert table["psnr"].is_monotonic_decreasing and table["values_saved"].is_monotonic_increasing
