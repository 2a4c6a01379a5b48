"""The parts of the embedded model, each by itself: they open, and do what their card says."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import CLIPTokenizer

from ldm_core.loading import load_autoencoder
from ldm_core.registry import WEIGHTS
from ldm_core.training import fact_reader, held_out, train_autoencoder, train_text_encoder
from ldm_core.training.config import AUTOENCODERS, TEXT_ENCODERS
from ldm_core.training.corpus import load_corpus

FOLDER = WEIGHTS / "scenes"


def test_the_autoencoder_is_the_recipes_and_keeps_what_its_card_says():
    built = train_autoencoder.begin(AUTOENCODERS["scenes-cpu"], FOLDER / "vae")
    assert built.config.latent_channels == 16
    coder = load_autoencoder(FOLDER / "vae")
    assert coder.factor == 16 and coder.latent_channels == 16
    mean, _ = held_out.psnr(FOLDER / "vae", "everyday", 256, count=3)
    assert mean > 33  # the first three of the card's 1,000, which keep 34.0 where all keep 35.7


def test_the_text_encoder_reads_most_captions_without_a_mistake_withheld_combinations_too():
    tokenizer = CLIPTokenizer.from_pretrained(FOLDER / "tokenizer")
    config, corpus = TEXT_ENCODERS["scenes-cpu"], load_corpus("everyday", 1, 16)
    module = train_text_encoder.build(config, tokenizer, corpus)
    train_text_encoder.go_on_from(module, FOLDER)
    usual, rare = train_text_encoder.to_be_judged(corpus, 64, 16)
    rows = train_text_encoder.report(module.eval(), tokenizer, corpus, (usual, rare), "cpu")
    assert rows["captions"][1] > 0.6 and rows["captions of what no picture shows"][1] > 0.4
    assert all(share > 0.6 for name, (_, share) in rows.items() if name.startswith("facts"))


def test_the_layer_that_names_facts_is_kept_in_bytes_to_half_a_percent_of_each_facts_largest_weight(tmp_path):
    head, found = nn.Linear(8, 5), nn.Linear(8, 5)
    nn.init.zeros_(head.weight[4])
    fact_reader.save_head(tmp_path / "head.safetensors", head)
    fact_reader.load_head(tmp_path / "head.safetensors", found)
    bound = head.weight.abs().amax(dim=1, keepdim=True) / 200 + 1e-6
    assert ((found.weight - head.weight).abs() <= bound).all() and not found.weight[4].any()
    torch.testing.assert_close(found.bias, head.bias, atol=1e-3, rtol=0)
    with pytest.raises(RuntimeError, match="size mismatch"):
        fact_reader.load_head(tmp_path / "head.safetensors", nn.Linear(8, 6))


def test_the_shipped_encoder_says_what_it_reads_in_a_prompt_and_one_without_the_layer_is_no_reader(tmp_path):
    read = fact_reader.FactReader.find(FOLDER, "everyday")
    first, second = read(["two red cars on a street at night", "a purple truck"])
    assert {"car", "red car", "2 car", "street", "night"} <= first and not {"blue car", "3 car"} & first
    assert "purple truck" in second and "red truck" not in second
    assert fact_reader.FactReader.find(tmp_path, "everyday") is None
