"""The model that the stages teach: begun from a folder as far as that fits, and written as a folder part by part."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import SchedulerMixin, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from ...loading import load_autoencoder
from .. import train_denoiser, train_text_encoder
from ..corpus import Corpus, load_corpus
from ..fact_reader import HEAD, save_head
from ..folder import save_half, save_text_encoder, save_unet
from ..tokenizer import tokenizer_for
from ..train_autoencoder import freeze_encoder, take_fitting
from .recipe import ResidentRecipe


@dataclass
class Model:
    """Everything on the device; `folder` is a diffusers folder as soon as there is a U-Net in it."""

    folder: Path
    corpus: Corpus
    tokenizer: CLIPTokenizer
    reader: nn.ModuleDict  # text_encoder, and the head that tells facts
    vae: Any
    scheduler: SchedulerMixin
    unet: UNet2DConditionModel
    data: str
    goes_on: bool = False  # whether the U-Net is one that was taught before

    @property
    def encoder(self) -> CLIPTextModel:
        """Frozen."""
        return self.reader["text_encoder"].eval().requires_grad_(False)

    def save_text(self) -> None:
        save_text_encoder(self.folder, self.reader["text_encoder"], self.tokenizer, self.corpus.words)
        save_head(self.folder / HEAD, cast(nn.Linear, self.reader["head"]))

    def save_autoencoder(self) -> None:
        save_half(self.vae, self.folder / "vae")

    def save_denoiser(self) -> None:
        """Written beside the former one, then put in its place."""
        beside = self.folder / ".unet"
        shutil.rmtree(beside, ignore_errors=True)  # of a run that was killed
        save_unet(beside, self.unet, self.vae, self.scheduler, self.data)
        for part in sorted(beside.iterdir()):  # model_index.json first, unet last
            place = self.folder / part.name
            if place.is_dir():
                shutil.rmtree(place)
            part.replace(place)
        beside.rmdir()


def begin(init: Path, folder: Path, recipe: ResidentRecipe, device: str, say: Callable[[str], None]) -> Model:
    """The recipe's networks with the weights of `init` wherever name and shape agree, random ones elsewhere; which, is said.

    The autoencoder is that of `init` as it is. What fits whole is in `folder` at once. `init` has a
    tokenizer; ValueError where it has no autoencoder.
    """
    corpus = load_corpus(recipe.denoiser.data, 1, recipe.denoiser.image_size)
    coder = load_autoencoder(init / "vae")
    vae: Any = coder.vae
    freeze_encoder(vae, vae)
    tokenizer = tokenizer_for(corpus.words, recipe.denoiser.text_tokens, folder, init)
    reader = train_text_encoder.build(recipe.text, tokenizer, corpus)
    knows_words = _read(reader, init, say)
    channels, size = vae.config.latent_channels, recipe.denoiser.image_size // coder.factor
    unet = train_denoiser.build(recipe.denoiser, channels, tokenizer, size)["unet"]
    knows_pictures = _drawn(unet, init, say)
    networks: tuple[Any, ...] = (vae, unet)
    for network in networks:
        network.to(device).to(memory_format=torch.channels_last)
    scheduler = train_denoiser.noise_schedule(recipe.denoiser)
    model = Model(folder, corpus, tokenizer, reader.to(device), vae, scheduler, unet, recipe.denoiser.data)
    model.goes_on = knows_pictures
    model.save_text()
    model.save_autoencoder()
    if knows_words and knows_pictures:
        model.save_denoiser()
    return model


def _read(reader: nn.ModuleDict, init: Path, say: Callable[[str], None]) -> bool:
    try:
        train_text_encoder.go_on_from(reader, init)
    except (OSError, ValueError):
        say("the text encoder begins with random weights: that of --init is none, or of another shape")
        return False
    return True


def _drawn(unet: UNet2DConditionModel, init: Path, say: Callable[[str], None]) -> bool:
    if not (init / "unet").is_dir():
        say("the U-Net begins with random weights: --init has none")
        return False
    earlier = UNet2DConditionModel.from_pretrained(init / "unet", torch_dtype=torch.float32)
    fitting, whole = take_fitting(unet, earlier), len(unet.state_dict())
    say(f"the U-Net begins with {fitting} of {whole} tensors from --init")
    return fitting == whole
