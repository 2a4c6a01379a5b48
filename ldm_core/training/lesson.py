"""What one step of stage 2 teaches: the loss that the recipe makes of a batch."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import SchedulerMixin
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTokenizer

from ..precision import mixed
from . import attention, losses, wording
from .batch import batch_of
from .config import DenoiserConfig
from .corpus import Corpus
from .layout import LayoutHead, layouts
from .tokenizer import SUFFIX


class Lesson:
    """What one step teaches: the loss of the recipe on a batch that depends on the step alone."""

    def __init__(
        self,
        module: nn.ModuleDict,
        tokenizer: CLIPTokenizer,
        corpus: Corpus,
        latents: np.ndarray,
        scheduler: SchedulerMixin,
        config: DenoiserConfig,
        device: str,
    ):
        self.module, self.tokenizer, self.corpus, self.latents = module, tokenizer, corpus, latents
        self.config, self.device = config, device
        self.alpha_bars = scheduler.alphas_cumprod.to(device)
        self.maps = attention.keep_maps(module["unet"]) if config.mask_weight else []
        known = tokenizer.get_vocab()
        self.named = {known[word + SUFFIX]: name for word, name in corpus.names.items() if word + SUFFIX in known}

    def loss(self, step: int) -> Tensor:
        """The weighted squared error, and the terms that the recipe adds to it."""
        config = self.config
        batch = batch_of(self.latents, self.corpus, config, step, self.device)
        t, noisy, target = batch.noised(self.alpha_bars, config.time_sampling, config.prediction_type)
        tokens = self.tokens_of(batch.captions)
        self.maps.clear()
        prediction = self.predict(noisy, t, tokens)
        alpha_bar, weight = self.alpha_bars[t], None
        if config.thing_weight:
            weight = self.weight_of_cells(batch.pictures, alpha_bar, noisy.shape[-1])
        loss = weighted_error(prediction, target, alpha_bar, weight, config)
        if config.mask_weight:
            loss = loss + config.mask_weight * self.attention_outside(tokens, batch.pictures)
        if config.layout_weight:
            loss = loss + config.layout_weight * self.layout_surprise(batch.pictures)
        if config.composition_weight:
            rng = np.random.default_rng((config.seed, step, 1))
            gap = self.composition_gap(prediction, noisy, t, batch.captions, rng)
            loss = loss + config.composition_weight * gap
        return loss

    def tokens_of(self, captions: list[str]) -> Tensor:
        """Token ids (B, T), padded to the longest prompt."""
        told = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt")
        return told.input_ids.to(self.device)

    def predict(self, noisy: Tensor, t: Tensor, tokens: Tensor) -> Tensor:
        """What the denoiser says, float32 (B, C, h, w)."""
        with mixed(self.device), attention_for_training(self.device):
            text = self.module["text_encoder"](tokens).last_hidden_state
            return self.module["unet"](noisy, t, encoder_hidden_states=text).sample.float()

    def weight_of_cells(self, pictures: list[int], alpha_bar: Tensor, side: int) -> Tensor:
        """1 where no thing is, more where one covers a cell, the more the less noise there is: (B, side, side)."""
        covered = covered_by_things([self.corpus.masks(i) for i in pictures], side).to(alpha_bar)
        return weight_of_cells(covered, alpha_bar, self.config.thing_weight)

    def attention_outside(self, tokens: Tensor, pictures: list[int]) -> Tensor:
        """The mean over the cross-attentions of the attention that words pay to where the things they name are not."""
        masks, counted = masks_of_tokens(tokens, [self.corpus.masks(i) for i in pictures], self.named)
        return torch.stack([losses.attention_outside(each, masks, counted) for each in self.maps]).mean()

    def layout_surprise(self, pictures: list[int]) -> Tensor:
        """How badly the denoiser's features foretell where the kinds and colours of the pictures are."""
        head = cast(LayoutHead, self.module["layout"])
        covered = layouts([self.corpus.masks(i) for i in pictures], head.names)
        return losses.layout_surprise(head(), covered.to(self.device))

    def composition_gap(
        self, prediction: Tensor, noisy: Tensor, t: Tensor, captions: list[str], rng: np.random.Generator
    ) -> Tensor:
        """On a quarter of the batch: whether a colour and a kind act independently on what is predicted."""
        words = self.corpus.colours, self.corpus.nouns
        found = ((row, wording.taken_apart(text, *words, rng)) for row, text in enumerate(captions))
        apart = {row: parts for row, parts in found if parts}
        rows = list(apart)[: len(captions) // 4]
        if not rows:
            return prediction.new_zeros(())
        tokens = self.tokens_of([apart[row][part] for part in range(3) for row in rows])
        parts = self.predict(noisy[rows].repeat(3, 1, 1, 1), t[rows].repeat(3), tokens).chunk(3)
        return losses.composition_gap(prediction[rows], *parts)


def weight_of_cells(covered: Tensor, alpha_bar: Tensor, thing_weight: float) -> Tensor:
    """For shares of cells that things cover (B, h, w), and alpha_bar (B,): 1 where none does, up to 1 + thing_weight."""
    return 1 + thing_weight * alpha_bar.view(-1, 1, 1) * covered


def weighted_error(
    prediction: Tensor, target: Tensor, alpha_bar: Tensor, weight: Tensor | None, config: DenoiserConfig
) -> Tensor:
    """The squared error of predictions (B, C, h, w), a mean with weights of cells (B, h, w) and, where the recipe asks, of
    times."""
    error = (prediction - target).square().mean(dim=1)
    error = (error if weight is None else error * weight).mean(dim=(1, 2))
    if config.min_snr_gamma:
        error = error * losses.min_snr_weight(alpha_bar, config.min_snr_gamma, config.prediction_type)
    return error.mean()


def covered_by_things(masks: list[dict[str, np.ndarray]], side: int) -> Tensor:
    """The share of each cell of each picture that any thing covers, float32 (B, side, side) in [0, 1]."""
    whole = [np.max(np.stack([*each.values()]), axis=0) if each else np.zeros((1, 1)) for each in masks]
    sized = [F.adaptive_avg_pool2d(torch.from_numpy(one).float()[None], side) for one in whole]
    return torch.cat(sized)


def masks_of_tokens(tokens: Tensor, masks: list[dict[str, np.ndarray]], named: dict[int, str]) -> tuple[Tensor, Tensor]:
    """A mask (h, w) for each token of (B, T), and whether the token names anything that is in its picture."""
    side = next((len(mask) for each in masks for mask in each.values()), 1)
    inside, counted = torch.zeros(*tokens.shape, side, side), torch.zeros(tokens.shape)
    for row, (line, known) in enumerate(zip(tokens.tolist(), masks)):
        for column, token in enumerate(line):
            if (name := named.get(token)) in known:
                inside[row, column] = torch.from_numpy(known[name])
                counted[row, column] = 1.0
    return inside.to(tokens.device), counted.to(tokens.device)


def attention_for_training(device: str) -> AbstractContextManager:
    """On a CPU the plain product beats the fused kernel, whose backward pass is slow: a fifth of a step saved."""
    return sdpa_kernel(SDPBackend.MATH) if device == "cpu" else nullcontext()
