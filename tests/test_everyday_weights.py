"""The stage weights of the second embedded world: they open, and do what their card says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import CLIPTextModel, CLIPTokenizer

from ldm_core.loading import load_autoencoder
from ldm_core.registry import WEIGHTS
from ldm_core.training import everyday, held_out, reading, train_autoencoder, train_text_encoder
from ldm_core.training.config import AUTOENCODERS, TEXT_ENCODERS
from ldm_core.training.corpus import load_corpus

FOLDER = WEIGHTS / "everyday"


def test_the_autoencoder_is_the_recipes_and_keeps_what_its_card_says():
    built = train_autoencoder.begin(AUTOENCODERS["everyday-cpu"], FOLDER / "vae")
    assert built.config.latent_channels == 16
    coder = load_autoencoder(FOLDER / "vae")
    assert coder.factor == 16 and coder.latent_channels == 16
    mean, _ = held_out.psnr(FOLDER / "vae", "everyday", 256, count=3)
    assert mean > 24
