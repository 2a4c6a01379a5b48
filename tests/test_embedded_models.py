"""The models that ship: they draw what they are asked for, and diffusers' own pipeline runs their folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ldm_core
from evaluation.card import captions
from evaluation.detectors.detector import load_detector
from ldm_core.registry import MODELS, WEIGHTS

EMBEDDED = [name for name, spec in MODELS.items() if spec.embedded]


@pytest.mark.parametrize(
    ("name", "metric", "least"),
    # Of 1,000 captions of the everyday world 0.94 and 0.93 are found; 12 have a standard error of 0.05.
    [
        ("scenes", "scene_accuracy", 0.75),
        ("scenes-turbo", "scene_accuracy", 0.65),
        ("fashion", "fashion_accuracy", 0.8),
    ],
)
def test_an_embedded_model_draws_what_held_out_prompts_ask_for(name, metric, least):
    model, world = ldm_core.load(name, device="cpu"), MODELS[name].world
    prompts = list(captions(world, 12))
    images = model.sample(prompts, seeds=list(range(12)))
    scores = load_detector(world).extract(images, prompts)[1][metric]
    assert sum(scores) / 12 >= least, "the cards say 0.92 or 0.93 for each of the three"


def test_the_one_of_few_steps_asks_its_network_four_times_where_the_other_asks_16(tmp_path):
    quick, whole = (ldm_core.load(name, device="cpu", engine="torch") for name in ("scenes-turbo", "scenes"))
    for model in (quick, whole):
        model.sample("a red house", 3)
    assert (quick.network_rows, whole.network_rows) == (4, 16)
    held = list((WEIGHTS / "scenes-turbo").rglob("*.safetensors"))
    assert sum(path.stat().st_size for path in held) < 3e6, "autoencoder, text encoder and U-Net are those of scenes"


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_embedded_model_has_a_card_with_its_figures_and_their_command(name):
    card = (WEIGHTS / name / "README.md").read_text(encoding="utf-8")
    for part in (
        "**Data.**",
        "**Licence.**",
        "**Training.**",
        "**Figures**",
        "**What it cannot do.**",
        f"evaluation.card {name}",
        "dB PSNR",
    ):
        assert part in card, part
    assert json.loads((WEIGHTS / name / "model_index.json").read_text())["_class_name"] == "StableDiffusionPipeline"


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_trained_folder_names_its_world(name):
    assert ldm_core.load(str(WEIGHTS / name), device="cpu").spec.world == MODELS[name].world


def test_all_weights_together_are_small_and_no_file_is_too_large_for_a_git_host():
    root = Path(__file__).parents[1]
    files = [path for part in ("ldm_core", "evaluation") for path in (root / part).rglob("*.safetensors")]
    assert max(path.stat().st_size for path in files) < 9e6
    assert sum(path.stat().st_size for path in files) < 80e6
