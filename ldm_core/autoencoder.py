"""Between images and latents. scaling_factor and shift_factor live here and nowhere else.

A latent z outside this file is always scaled: z = (posterior - shift) * scaling, near unit variance.
Images are (B, 3, H, W) in [0, 1]. In float32: fp16 decoders overflow, and the time is small beside the denoiser's. Only
another engine decodes for a bfloat16 model in bfloat16, where that changes less than a level of 255 (engine.py).
Each image is encoded and decoded by itself, so its bytes do not depend on its neighbours.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import torch
from diffusers import ModelMixin
from torch import Tensor

from .checks import check_real, shown
from .images import from_model, to_model

TILE = 1024  # pixels: larger images are worked in overlapping tiles, to bound the memory
OVERLAP = 0.25  # of a tile


class Autoencoder:
    """A diffusers AutoencoderKL, AutoencoderTiny or AutoencoderDC with one convention for ranges and scales."""

    def __init__(self, vae: ModelMixin, tile: int = TILE):
        self.vae, self.tile = vae.float().eval(), tile
        if self.device.type == "cpu":  # the decoder's wide layers then take about two thirds of the time
            self.vae.to(memory_format=torch.channels_last)
        self._decode: Callable = self.vae.decode
        self._encode: Callable = self.vae.encode
        self.latent_channels: int = vae.config.latent_channels
        self.scaling, self.shift = scale_and_shift(vae.config, self.latent_channels)
        blocks = getattr(vae.config, "block_out_channels", None) or vae.config.encoder_block_out_channels
        self.factor: int = 2 ** (len(blocks) - 1)  # pixels per latent value along a side

    @property
    def device(self) -> torch.device:
        return next(self.vae.parameters()).device

    @torch.inference_mode()
    def encode(self, images: Tensor, sample: bool = False, generator: torch.Generator | None = None) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> latents (B, C, H/f, W/f): the posterior's mean, or a sample of it."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be (B, 3, H, W), got {tuple(images.shape)}")
        if images.shape[2] % self.factor or images.shape[3] % self.factor:
            sides = tuple(images.shape[2:])
            raise ValueError(f"images must have sides that are multiples of {self.factor}, got {sides}")

        def encode_one(image: Tensor) -> Tensor:
            encoded = self._encode(to_model(image))
            if sample and hasattr(encoded, "latent_dist"):
                return encoded.latent_dist.sample(generator)
            return posterior_mean(encoded)

        with torch.autocast(self.device.type, enabled=False):
            inputs = images.float().to(self.device)
            raw = [tiled(encode_one, image[None], self.tile, 1 / self.factor).float() for image in inputs]
        latents = torch.cat(raw)
        scaling, shift = self._scale(latents)
        return (latents - shift) * scaling

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B, C, h, w) -> images (B, 3, h f, w f) in [0, 1], on the CPU."""
        raw = self._unscaled(latents)
        tile = self.tile // self.factor
        with torch.autocast(self.device.type, enabled=False):
            parts = [tiled(lambda z: self._decode(z).sample.float(), z[None], tile, self.factor).cpu() for z in raw]
        decoded = torch.cat(parts)
        if not torch.isfinite(decoded).all():
            raise FloatingPointError("the decoded images are not finite: the latents or the weights are damaged")
        return from_model(decoded)

    @torch.inference_mode()
    def preview(self, latents: Tensor) -> Tensor:
        """As `decode`, but in bfloat16 and many at once: to be looked at while the real pictures form, in half the time
        where the device calculates in bfloat16."""
        raw = self._unscaled(latents)
        # Images that take no more memory than a tile; none where even one is worked in tiles.
        together = self.tile**2 // (latents[0, 0].numel() * self.factor**2)
        if not together or self._decode != self.vae.decode:
            return self.decode(latents)
        parts = raw.bfloat16().split(together)
        return from_model(torch.cat([self._rough.decode(part).sample.float().cpu() for part in parts]))

    def run_by(self, decode: Callable | None, encode: Callable | None = None) -> None:
        """Let another engine's counterparts run in the network's place; None is torch again."""
        self._decode, self._encode = decode or self.vae.decode, encode or self.vae.encode

    def in_bfloat16(self) -> Autoencoder:
        """The same weights run by torch in bfloat16, both ways: latents and images stay float32, as everywhere."""
        made = Autoencoder(self.vae, self.tile)
        made.run_by(
            lambda latents: self._rough.decode(latents.bfloat16()), lambda images: self._rough.encode(images.bfloat16())
        )
        return made

    def _unscaled(self, latents: Tensor) -> Tensor:
        """As the decoder takes them, on its device."""
        if latents.ndim != 4 or latents.shape[1] != self.latent_channels:
            raise ValueError(f"latents must be (B, {self.latent_channels}, h, w), got {tuple(latents.shape)}")
        latents = latents.float().to(self.device)
        scaling, shift = self._scale(latents)
        return latents / scaling + shift

    def _scale(self, latents: Tensor) -> list[float | Tensor]:
        """scaling and shift where the latents are."""
        return [value.to(latents) if isinstance(value, Tensor) else value for value in (self.scaling, self.shift)]

    @cached_property
    def _rough(self) -> ModelMixin:
        return copy.deepcopy(self.vae).bfloat16()

    def reconstruct(self, images: Tensor) -> Tensor:
        """decode(encode(images)): what the autoencoder keeps of them, (B, 3, H, W) in [0, 1]."""
        return self.decode(self.encode(images))


def posterior_mean(encoded: Any) -> Tensor:
    """Of what an autoencoder of diffusers' makes of images: the mean (B, C, h, w), unscaled. The tiny and the deep ones give a
    latent, no distribution."""
    if hasattr(encoded, "latent_dist"):
        return encoded.latent_dist.mode()
    return encoded.latents if hasattr(encoded, "latents") else encoded.latent


def scale_and_shift(config: Mapping, channels: int) -> tuple[float | Tensor, float | Tensor]:
    """An autoencoder's (scaling, shift) of z = (posterior - shift) * scaling: numbers, or (C, 1, 1) each where its config
    has latents_mean and latents_std, one for every channel (as diffusers' SDXL pipeline takes them).

    ValueError where there are other numbers of them, or values that are no finite numbers.
    """
    scaling, shift = config.get("scaling_factor", 1.0), config.get("shift_factor")
    scaling = check_real("the autoencoder's scaling_factor", scaling, 1e-9, math.inf)
    shift = 0.0 if shift is None else check_real("the autoencoder's shift_factor", shift, -math.inf, math.inf)
    means, spreads = (config.get(name) for name in ("latents_mean", "latents_std"))
    if means is None or spreads is None:
        return scaling, shift
    for name, values, low in (("latents_mean", means, -math.inf), ("latents_std", spreads, 1e-9)):
        if not isinstance(values, list | tuple) or len(values) != channels:
            raise ValueError(f"the autoencoder's {name} must be {channels} numbers, got {shown(values)}")
        for value in values:
            check_real(f"the autoencoder's {name}", value, low, math.inf)
    mean, spread = (torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in (means, spreads))
    return scaling / spread, mean


def tiled(work: Callable[[Tensor], Tensor], values: Tensor, tile: int, ratio: float) -> Tensor:
    """work(values) for (1, C, H, W), in overlapping square tiles where a side exceeds `tile`, blended linearly.

    The result's sides are `ratio` times the input's.
    """
    height, width = values.shape[2:]
    if max(height, width) <= tile:
        return work(values)
    step = int(tile * (1 - OVERLAP))
    total, weights = values.new_zeros(0), values.new_zeros(0)  # as large as the first part says
    for top in _starts(height, tile, step):
        for left in _starts(width, tile, step):
            part = work(values[:, :, top : top + tile, left : left + tile])
            if not total.numel():
                total = part.new_zeros(1, part.shape[1], round(height * ratio), round(width * ratio))
                weights = torch.zeros_like(total[:, :1])
            blend = (_ramp(part.shape[2])[:, None] * _ramp(part.shape[3])[None, :]).to(part.device)
            y, x = round(top * ratio), round(left * ratio)
            area = (..., slice(y, y + part.shape[2]), slice(x, x + part.shape[3]))
            total[area] += part * blend
            weights[area] += blend
    return total / weights


def _starts(length: int, tile: int, step: int) -> list[int]:
    """Where tiles begin so that they cover the length; the last ends with it."""
    if length <= tile:
        return [0]
    return [*range(0, length - tile, step), length - tile]


def _ramp(length: int) -> Tensor:
    """A tile's weight along a side: rising over the overlap, never zero, so that corners are divided by something."""
    edge = max(1, int(length * OVERLAP))
    distance = torch.arange(length, dtype=torch.float32)
    return ((torch.minimum(distance, distance.flip(0)) + 1) / edge).clamp(max=1)
