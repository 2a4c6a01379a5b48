"""Names, folders, hub ids, and every way they can be wrong, in one line each."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
import torch

import ldm_core
from ldm_core import loading, registry


def test_the_registry_and_the_package_import_no_torch():
    code = "import sys, ldm_core; ldm_core.MODELS['scenes']; sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_folder_brings_its_native_size_and_hash(tiny, tiny_folder):
    assert (tiny.height, tiny.width, tiny.factor, tiny.scheduler_name) == (32, 32, 2, "ddim")
    assert len(tiny.weights) == 64


@pytest.mark.parametrize(
    ("name", "message"),
    [("scens", "did you mean 'scenes'"), ("sd15", "did you mean 'sd1.5'"), ("", "unknown model ''"), ("./nowhere/at/all", "unknown model")],
)  # fmt: skip
def test_unknown_names_get_a_suggestion(name, message):
    with pytest.raises(ValueError, match=message):
        ldm_core.load(name)


def test_a_folder_that_is_no_checkpoint_is_said(tmp_path):
    with pytest.raises(ValueError, match="no model_index.json"):
        ldm_core.load(str(tmp_path))


def test_another_family_is_named(tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(ValueError, match="is a FluxPipeline"):
        ldm_core.load(str(tmp_path))


def test_a_missing_part_is_named(tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "m")
    shutil.rmtree(tmp_path / "m" / "unet")
    with pytest.raises(ValueError, match="not whole: .*unet is missing"):
        ldm_core.load(str(tmp_path / "m"))


def test_an_unreachable_hub_says_what_would_do(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="hub cannot be reached .* 'scenes'"):
        ldm_core.load("nobody/nothing-at-all")


def test_devices_and_precisions_are_checked(tiny_folder):
    with pytest.raises(ValueError, match="device 'moon'"):
        ldm_core.load(str(tiny_folder), device="moon")
    with pytest.raises(ValueError, match="dtype must be one of fp32"):
        ldm_core.load(str(tiny_folder), dtype="int3")
    assert loading.choose_dtype("bf16", "cpu") is torch.bfloat16 and loading.choose_dtype(None, "cuda:0") is torch.bfloat16


def test_bfloat16_stays_close_to_float32(tiny, tiny_folder):
    half = ldm_core.load(str(tiny_folder), device="cpu", dtype="bf16")
    a, b = (model.sample("a house", 3, 2.0, steps=5) for model in (tiny, half))
    assert 0 < (a - b).abs().mean() < 0.02


def test_a_swapped_autoencoder_decodes(tiny, tiny_folder, tiny_v_folder):
    swapped = ldm_core.load(str(tiny_folder), device="cpu", dtype="fp32", vae=str(tiny_v_folder))
    assert swapped.weights != tiny.weights and swapped.sample("a house", 3, 1.0, steps=1).shape == (1, 3, 32, 32)
    with pytest.raises(ValueError, match="no autoencoder folder"):
        ldm_core.load(str(tiny_folder), vae=str(tiny_folder / "scheduler"))


def test_unseen_words_are_counted_by_prompt(tiny):
    assert tiny.unseen_words(["a red zebra zebra", "Zebra on the Lake!", "a house"]) == {"zebra": 2}


def test_long_prompts_are_noticed(tiny):
    assert tiny.conditioner.is_truncated("a house " * 20) and not tiny.conditioner.is_truncated("a house")


def test_every_registry_row_is_complete():
    for name, spec in registry.MODELS.items():
        assert spec.name == name and spec.licence != "unknown" and spec.description and spec.steps >= 1
