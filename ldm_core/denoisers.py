"""One contract over the families' networks: rows of (latent, conditioning) at a timestep -> predictions.

Rows run in calls of a fixed number; the last call is filled up with copies. A network's arithmetic depends on the
shape of its input but not on what else is in it, so at a fixed call shape an image does not depend on its neighbours.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .conditioning import Conditioning


class Denoiser(ABC):
    """What all families share: packing rows into calls, and counting them."""

    def __init__(self, network: nn.Module):
        self.network = network.eval()
        self.device, self.dtype = network.device, network.dtype  # asked once: the library walks all modules for each
        self.in_channels: int = network.config.in_channels
        self.sample_size: int = network.config.sample_size  # latent values along a side, where it was trained
        self.patch_size: int = getattr(network.config, "patch_size", None) or 1  # latent values that it takes as one
        self._run: Callable = self.network  # compiled, where that was asked for
        self.calls = 0  # network calls so far
        self.rows = 0  # rows that were asked for, filling not counted

    @property
    def compiled(self) -> bool:
        """Whether torch compiles the network, for each shape of call anew."""
        return self._run is not self.network

    def compile(self, backend: str = "inductor") -> None:
        """Let torch compile the whole network, with CUDA graphs on CUDA: minutes for the first call of each shape, faster
        from then on. Pictures differ by rounding."""
        options = {"mode": "max-autotune"} if self.device.type == "cuda" and backend == "inductor" else {}
        self._run = torch.compile(self.network, fullgraph=True, dynamic=False, backend=backend, **options)

    @torch.inference_mode()
    def __call__(self, latents: Tensor, timestep: Tensor, told: Conditioning, rows_per_call: int) -> Tensor:
        """Latents (R, C, h, w) and conditionings of as many rows -> predictions (R, C, h, w), float32."""
        self.rows += len(latents)
        parts = [slice(start, start + rows_per_call) for start in range(0, len(latents), rows_per_call)]
        return torch.cat([self._call(latents[part], timestep, told.rows(part), rows_per_call) for part in parts])

    def _call(self, latents: Tensor, timestep: Tensor, told: Conditioning, rows_per_call: int) -> Tensor:
        self.calls += 1
        count = len(latents)
        if count < rows_per_call:
            rows = [*range(count), *[0] * (rows_per_call - count)]
            latents, told = latents[rows], told.rows(rows)
        # On the device: a number in main memory would keep a compiled network from being one CUDA graph. And a copy: the
        # graph's next call writes where this one's result lies.
        timestep = timestep.to(latents.device)
        prediction = self._predict(latents.to(self.dtype), timestep, told.to(self.dtype))
        return prediction[:count].to(torch.float32, copy=True)

    @abstractmethod
    def _predict(self, latents: Tensor, timestep: Tensor, told: Conditioning) -> Tensor:
        """The family's own call of its network."""


class UnetDenoiser(Denoiser):
    """The U-Net with cross-attention of Rombach et al. 2022, section 3.3."""

    def __init__(self, network: nn.Module):
        super().__init__(network)
        if self.device.type == "cpu":  # a call then takes about three quarters of the time
            self.network.to(memory_format=torch.channels_last)

    def compile(self, backend: str = "inductor") -> None:
        # Published for Stable Diffusion 1.5 on an A100: compiled 1.35 s an image, compiled and channels-last 1.07 s.
        self.network.to(memory_format=torch.channels_last)
        super().compile(backend)

    def _predict(self, latents: Tensor, timestep: Tensor, told: Conditioning) -> Tensor:
        return self._run(latents, timestep, encoder_hidden_states=told.tokens).sample


class SizedUnetDenoiser(UnetDenoiser):
    """Stable Diffusion XL's, which is also told the prompt's summary and the sizes: original, crop and target (Podell et
    al. 2023, section 2.2), here an image that is whole and of the size asked for."""

    def __init__(self, network: nn.Module, factor: int):
        super().__init__(network)
        self.factor = factor  # pixels per latent value along a side

    def _predict(self, latents: Tensor, timestep: Tensor, told: Conditioning) -> Tensor:
        height, width = (self.factor * side for side in latents.shape[2:])
        sizes = torch.tensor([[height, width, 0, 0, height, width]], dtype=self.dtype, device=latents.device)
        added = {"text_embeds": told.pooled, "time_ids": sizes.expand(len(latents), -1)}
        return self._run(latents, timestep, encoder_hidden_states=told.tokens, added_cond_kwargs=added).sample


class TransformerDenoiser(Denoiser):
    """The multimodal diffusion transformer of Stable Diffusion 3 (Esser et al. 2024), trained on rectified flow."""

    def _predict(self, latents: Tensor, timestep: Tensor, told: Conditioning) -> Tensor:
        times = timestep.expand(len(latents))
        return self._run(
            latents, timestep=times, encoder_hidden_states=told.tokens, pooled_projections=told.pooled
        ).sample
