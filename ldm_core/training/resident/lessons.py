"""What a step teaches, drawn from rows on the device: no part of it leaves the device, and so it can be recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import SchedulerMixin
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from ...precision import mixed
from .. import losses
from ..config import AutoencoderConfig, ControlConfig, DenoiserConfig
from ..layout import LayoutHead
from ..lesson import weight_of_cells, weighted_error
from ..reading import misread
from ..tokenizer import SUFFIX
from ..train_autoencoder import in_model_range
from ..train_control import ControlLesson
from ..turbo_lesson import TurboLesson, drawn_weights
from .rows import Rows

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]  # a noisy latent, times and words to what the denoiser says


@dataclass(frozen=True)
class Telling:
    """Rows of pictures with captions, some of which are dropped, and the frozen encoder that reads these."""

    rows: Rows
    encoder: CLIPTextModel
    nothing: Tensor  # tokens (T,) of no caption
    dropout: float

    def draw(self, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """Places of rows (batch,), their latents (batch, C, h, w) and tokens of a caption of each (batch, T)."""
        chosen, device = self.rows.chosen(batch), self.nothing.device
        way = torch.randint(self.rows["tokens"].shape[1], (batch,), device=device)
        tokens = self.rows["tokens"][chosen, way].long()
        dropped = torch.rand(batch, 1, device=device) < self.dropout
        return chosen, self.rows["latents"][chosen].float(), torch.where(dropped, self.nothing, tokens)

    @torch.no_grad()
    def words(self, tokens: Tensor) -> Tensor:
        """As the encoder tells them, (B, T, width)."""
        return self.encoder(tokens).last_hidden_state


class TextLesson:
    """Captions heard: the facts that each states."""

    def __init__(self, module: nn.ModuleDict, heard: Rows, facts: int, batch: int, device: str):
        self.module, self.heard, self.facts, self.batch, self.device = module, heard, facts, batch, device

    def loss(self) -> Tensor:
        chosen = self.heard.chosen(self.batch)
        return self.error(self.heard["tokens"][chosen].long(), self.heard["facts"][chosen].long())

    def error(self, tokens: Tensor, facts: Tensor) -> Tensor:
        """Of tokens (B, T) and the places of the facts that they state, -1 where there are fewer (B, most)."""
        with mixed(self.device):
            logits = self.module["head"](self.module["text_encoder"](tokens).pooler_output.float())
        return misread(logits.float(), stated(facts, self.facts))


def stated(facts: Tensor, count: int) -> Tensor:
    """Places of facts (B, most), -1 where there are fewer -> ones and zeros float32 (B, count)."""
    found = torch.zeros(len(facts), count + 1, device=facts.device)
    return found.scatter_(1, torch.where(facts < 0, count, facts), 1.0)[:, :-1]


class DecoderLesson:
    """Pictures out of their latents, a little of the posterior's noise upon these."""

    def __init__(self, vae: Any, pictures: Rows, config: AutoencoderConfig, device: str):
        self.vae, self.pictures, self.config, self.device = vae, pictures, config, device

    def loss(self) -> Tensor:
        chosen = self.pictures.chosen(self.config.whole_batch)
        means = self.pictures["means"][chosen]
        latent = means + self.config.posterior_std * torch.randn_like(means)
        return self.error(latent, in_model_range(self.pictures["images"][chosen]))

    def error(self, latent: Tensor, image: Tensor) -> Tensor:
        """Of unscaled latents (B, C, h, w) and images (B, 3, H, W) in [-1, 1]."""
        with mixed(self.device):
            decoded = self.vae.decode(latent).sample
        return losses.reconstruction(decoded.float(), image, self.config.mse_weight, self.config.gradient_weight)


class DenoiserLesson:
    """lesson.py's, whose terms it shares, but for the composition gap, which takes captions apart. ValueError where a
    recipe asks for that."""

    def __init__(
        self,
        predict: Predict,
        layout: LayoutHead,
        maps: list[Tensor],
        telling: Telling,
        scheduler: SchedulerMixin,
        named: Tensor,
        config: DenoiserConfig,
    ):
        if config.composition_weight:
            raise ValueError(f"composition_weight must be 0 on resident rows, got {config.composition_weight}")
        self.predict, self.layout, self.maps, self.telling = predict, layout, maps, telling
        self.named, self.config = named, config
        self.alpha_bars = scheduler.alphas_cumprod.to(named.device)

    def loss(self) -> Tensor:
        config, rows = self.config, self.telling.rows
        chosen, clean, tokens = self.telling.draw(config.batch)
        t = losses.timesteps(len(clean), len(self.alpha_bars), config.time_sampling, device=str(clean.device))
        masks, names = rows["masks"][chosen].float() / 255, rows["names"][chosen].long()
        return self.error(clean, torch.randn_like(clean), t, tokens, masks, names)

    def error(self, clean: Tensor, noise: Tensor, t: Tensor, tokens: Tensor, masks: Tensor, names: Tensor) -> Tensor:
        """Of latents and noise (B, C, h, w), times (B,), tokens (B, T), and masks (B, M, H, W) of what names (B, M) say by
        their places in the list of the layout's head, -1 where there is none."""
        config, alpha_bar = self.config, self.alpha_bars[t]
        noisy, target = losses.diffusion_target(clean, noise, alpha_bar, config.prediction_type)
        words = self.telling.words(tokens)
        self.maps.clear()
        said = self.predict(noisy, t, words)
        weight = None
        if config.thing_weight:
            covered = F.adaptive_avg_pool2d(masks.amax(1), noisy.shape[-1])
            weight = weight_of_cells(covered, alpha_bar, config.thing_weight)
        loss = weighted_error(said, target, alpha_bar, weight, config)
        if config.mask_weight:
            asked = self.named[tokens]
            match = (asked[:, :, None] == names[:, None]) & (asked >= 0)[:, :, None]
            outside = [losses.attention_outside_slots(each, masks, match) for each in self.maps]
            loss = loss + config.mask_weight * torch.stack(outside).mean()
        if config.layout_weight:
            covered = covered_by_names(masks, names, len(self.layout.names))
            loss = loss + config.layout_weight * losses.layout_surprise(self.layout(), covered)
        return loss


def names_of_tokens(tokenizer: CLIPTokenizer, names: Mapping[str, str], places: tuple[str, ...]) -> Tensor:
    """For each token of the vocabulary the place among `places` of the kind or colour that it names by itself, or -1."""
    known = tokenizer.get_vocab()
    found = torch.full((len(tokenizer),), -1, dtype=torch.long)
    for word, name in names.items():
        if word + SUFFIX in known:
            found[known[word + SUFFIX]] = places.index(name)
    return found


def covered_by_names(masks: Tensor, names: Tensor, count: int) -> Tensor:
    """Masks (B, M, H, W) of names (B, M), -1 where there is none -> the share of each cell that each name covers
    (B, count, H, W)."""
    covered = torch.zeros(len(masks), count + 1, *masks.shape[2:], device=masks.device)
    place = torch.where(names < 0, count, names)[:, :, None, None].expand_as(masks)
    return covered.scatter(1, place, masks)[:, :-1]


def turbo_loss(lesson: TurboLesson, telling: Telling) -> Tensor:
    """turbo_lesson.py's, of rows on the device."""
    _, clean, tokens = telling.draw(lesson.config.batch)
    weights = drawn_weights(lesson.config, len(clean), device=str(clean.device))
    words = telling.words(torch.cat([telling.nothing[None], tokens]))
    return lesson.error(torch.randn_like(clean), weights, words[1:], words[:1].expand(len(clean), -1, -1))


def control_loss(lesson: ControlLesson, telling: Telling, config: ControlConfig) -> Tensor:
    """train_control.py's, of rows on the device."""
    chosen, clean, tokens = telling.draw(config.batch)
    t = losses.timesteps(len(clean), len(lesson.alpha_bars), config.time_sampling, device=str(clean.device))
    alpha_bar = lesson.alpha_bars[t]
    noisy, target = losses.diffusion_target(clean, torch.randn_like(clean), alpha_bar, lesson.prediction_type)
    shown = unpacked(telling.rows["silhouettes"][chosen])
    return lesson.error(shown, noisy, t, target, telling.words(tokens))


def unpacked(bits: Tensor) -> Tensor:
    """A bit a pixel, uint8 (B, H, W / 8) -> float32 (B, 1, H, W) of zeros and ones."""
    order = torch.arange(7, -1, -1, device=bits.device, dtype=torch.uint8)
    return ((bits[..., None] >> order) & 1).flatten(2)[:, None].float()
