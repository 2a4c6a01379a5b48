"""CLIP and DINOv2 at tiny size, built from the real classes and loaded as the published checkpoints are."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model

from evaluation.detectors.clip import CMMD, SCORE, load_clip, load_cmmd
from evaluation.detectors.dinov2 import SOURCE, load_dinov2
from ldm_core.data import everyday
from ldm_core.training.tokenizer import build_tokenizer

LONG = "a red house on the left and " * 20
PROMPTS = [f"a blue boat, {LONG}", f"a pine tree, {LONG}", "a red house"]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-clip")
    tokenizer = build_tokenizer(everyday.known_words(), 77)
    torch.manual_seed(0)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = tower | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 77,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = CLIPConfig(text_config=text, vision_config=tower | {"image_size": 32, "patch_size": 8}, projection_dim=16)
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.4] * 3, "image_std": [0.2] * 3}))
    return folder


@pytest.fixture(scope="module")
def images():
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def clip(clip_folder, monkeypatch):
    monkeypatch.setenv(SCORE.variable, str(clip_folder))
    return load_clip()


def test_clip_score_is_that_of_transformers_own_model(clip, clip_folder, images):
    model = CLIPModel.from_pretrained(clip_folder).eval()
    tokens = clip.tokenizer(["a red house"] * 3, return_tensors="pt")
    with torch.inference_mode():
        cosines = model(**tokens, pixel_values=(images - 0.4) / 0.2).logits_per_image[:, 0] / model.logit_scale.exp()
    features, scores = clip.extract(images, ["a red house"] * 3)
    assert features.shape == (3, 16) and clip.resize == "clean-32, middle square"
    assert scores["clip_score"] == pytest.approx((100 * cosines).clamp(min=0).tolist(), abs=1e-3)


def test_prompts_that_are_too_long_keep_their_end_and_still_differ(clip):
    tokens = clip.tokenizer(PROMPTS[:1], truncation=True, max_length=77).input_ids[0]
    assert len(tokens) == 77 and tokens[-1] == clip.tokenizer.eos_token_id
    one, other, _ = clip.text_features(PROMPTS)
    assert (one - other).abs().max() > 1e-3, "without its end-of-text token every long prompt would be the same"
    assert [clip.is_truncated(prompt) for prompt in PROMPTS] == [True, True, False]


def test_a_prompt_scores_the_same_beside_longer_ones(clip):
    assert torch.allclose(clip.text_features(PROMPTS)[2], clip.text_features(PROMPTS[2:])[0], atol=1e-5)


def test_each_score_is_clamped_by_itself_and_equal_directions_score_100(clip, images, monkeypatch):
    directions = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0]])
    monkeypatch.setattr(clip, "image_features", lambda images: directions)
    monkeypatch.setattr(clip, "text_features", lambda prompts: torch.tensor([[3.0, 0.0]] * 3))
    assert clip.extract(images, ["a"] * 3)[1]["clip_score"] == pytest.approx([100, 0, 0])


def test_a_wide_image_is_judged_by_its_middle(clip, images):
    wide = torch.cat([torch.zeros(3, 3, 32, 10), images, torch.ones(3, 3, 32, 10)], dim=3)
    assert torch.equal(clip.image_features(wide), clip.image_features(images))


def test_the_clip_of_cmmd_gives_features_alone(clip_folder, images, monkeypatch):
    monkeypatch.setenv(CMMD.variable, str(clip_folder))
    features, scores = load_cmmd().extract(images, [""] * 3)
    assert features.shape == (3, 16) and scores == {}


def test_dinov2_gives_the_normalised_class_token(tmp_path, images, monkeypatch):
    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14)
    model = Dinov2Model(config).eval()
    model.save_pretrained(tmp_path)
    monkeypatch.setenv(SOURCE.variable, str(tmp_path))
    detector = load_dinov2()
    features, scores = detector.extract(images, [""] * 3)
    assert features.shape == (3, 24) and scores == {} and detector.resize == "clean-224"
    larger = torch.nn.functional.interpolate(images, (224, 224), mode="bicubic", antialias=True).clamp(0, 1)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        expected = model(pixel_values=(larger - mean) / std).pooler_output
    np.testing.assert_allclose(features, expected.numpy(), atol=1e-4)


@pytest.mark.parametrize(("load", "source"), [(load_clip, SCORE), (load_cmmd, CMMD), (load_dinov2, SOURCE)])
def test_weights_that_are_not_here_are_named_with_what_would_bring_them(load, source, monkeypatch, tmp_path):
    monkeypatch.delenv(source.variable, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=f"{source.id} is not in the local cache.*set {source.variable} to a folder"):
        load()
