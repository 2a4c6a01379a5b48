"""One contract over the families' networks: rows of (latent, conditioning) at a timestep -> predictions.

Rows run in calls of a fixed number; the last call is filled up with copies. A network's arithmetic depends on the
shape of its input but not on what else is in it, so at a fixed call shape an image does not depend on its neighbours.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import ModelMixin
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .conditioning import Conditioning

ROW_COUNTS = (1, 2, 4, 6, 8, 12, 16)  # of calls to an engine that has a graph for each: in between they are filled up


def predicted_channels(network: ModelMixin) -> int:
    """Channels of what a network predicts; a transformer whose config has null there predicts as many as it takes."""
    said = network.config.out_channels
    return network.config.in_channels if said is None else said


class Denoiser(ABC):
    """What all families share: packing rows into calls, and counting them."""

    def __init__(self, network: ModelMixin):
        self.network = network.eval()
        self.device, self.dtype = network.device, network.dtype  # asked once: the library walks all modules for each
        self.in_channels: int = network.config.in_channels
        self.latent_channels: int = predicted_channels(network)
        self.sample_size = network.config.sample_size  # latent values along the sides where it was trained, or None
        self.patch_size: int = getattr(network.config, "patch_size", None) or 1  # latent values that it takes as one
        self.guidance_width: int | None = getattr(network.config, "time_cond_proj_dim", None)
        self._run: Callable = self.network  # compiled, where that was asked for, or another engine's
        self.takes = self.dtype  # precision of its inputs
        self.is_empty = False  # whether the network has no weights, as in an export: only another engine runs it
        self.row_counts: tuple[int, ...] = ()  # of calls, where each count costs a graph; () for any
        self.calls = 0  # network calls so far
        self.rows = 0  # rows that were asked for, filling not counted

    @property
    def embeds_guidance(self) -> bool:
        """Whether the network takes the guidance weight itself, in place of being asked twice (Meng et al. 2023)."""
        return bool(self.guidance_width)

    @property
    def channels_beside(self) -> int:
        """Input channels beside the latent's: 1 + C, a mask and what is known, of a network made for inpainting; else 0."""
        return self.in_channels - self.latent_channels

    @property
    def largest(self) -> float:
        """Latent values along a side at the most."""
        positions = getattr(self.network.config, "pos_embed_max_size", None)
        return positions * self.patch_size if positions else math.inf

    @property
    def enlarges(self) -> bool:
        """Whether the network draws from a small image that it is given, and from nothing else."""
        return False

    def image_tokens(self, latent: Tensor) -> int:
        """How many tokens a latent (B, C, h, w) is to the network."""
        height, width = latent.shape[2:]
        return (height // self.patch_size) * (width // self.patch_size)

    @property
    def compiled(self) -> bool:
        """Whether torch compiles the network, for each shape of call anew."""
        return self._run is not self.network and not self.row_counts

    @contextmanager
    def by_torch(self) -> Iterator[None]:
        """Within the block torch runs the network, which its hooks need."""
        before = self._run, self.takes, self.row_counts
        self.run_by(None)
        try:
            yield
        finally:
            self._run, self.takes, self.row_counts = before

    def run_by(self, run: Callable | None) -> None:
        """Let another engine's counterpart run in the network's place; None is torch again."""
        self._run, self.takes = run or self.network, torch.float32 if run else self.dtype
        self.row_counts = ROW_COUNTS if run else ()

    def compile(self, backend: str = "inductor") -> None:
        """Let torch compile the whole network, with CUDA graphs on CUDA: minutes for the first call of each shape, faster
        from then on. Pictures differ by rounding."""
        mode = "max-autotune" if self.device.type == "cuda" and backend == "inductor" else None
        self._run = torch.compile(self.network, fullgraph=True, dynamic=False, backend=backend, mode=mode)

    @torch.inference_mode()
    def __call__(
        self,
        latents: Tensor,
        timestep: Tensor,
        conditioning: Conditioning,
        rows_per_call: int,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Latents (R, C, h, w) and conditionings of as many rows -> predictions (R, C, h, w), float32.

        weights (R,) are guidance weights for a network that takes them itself; 1 is none.
        """
        self.rows += len(latents)
        weights = torch.ones(len(latents)) if weights is None else weights
        starts = range(0, len(latents), rows_per_call)
        parts = [slice(start, start + rows_per_call) for start in starts]
        return torch.cat(
            [
                self._call(latents[part], timestep, conditioning.rows(part), rows_per_call, weights[part])
                for part in parts
            ]
        )

    def _call(
        self, latents: Tensor, timestep: Tensor, conditioning: Conditioning, rows_per_call: int, weights: Tensor
    ) -> Tensor:
        self.calls += 1
        count = len(latents)
        if count < rows_per_call:
            rows = [*range(count), *[0] * (rows_per_call - count)]
            latents, conditioning, weights = latents[rows], conditioning.rows(rows), weights[rows]
        # On the device: a number in main memory would keep a compiled network from being one CUDA graph. And a copy: the
        # graph's next call writes where this one's result lies.
        timestep = timestep.to(latents.device)
        embedding = None
        if self.guidance_width:
            embedding = guidance_embedding(weights - 1, self.guidance_width).to(latents.device, self.takes)
        prediction = self._predict(latents.to(self.takes), timestep, conditioning.to(self.takes), embedding)
        return prediction[:count].to(torch.float32, copy=True)

    @abstractmethod
    def _predict(
        self, latents: Tensor, timestep: Tensor, conditioning: Conditioning, guidance: Tensor | None
    ) -> Tensor:
        """The family's own call of its network: latents (R, C, h, w), and where it takes one the embedding (R, width) of the
        guidance weight."""


class UnetDenoiser(Denoiser):
    """The U-Net with cross-attention of Rombach et al. 2022, section 3.3."""

    def __init__(self, network: ModelMixin):
        super().__init__(network)
        # In float32 a call was then found quicker on CPUs; in bfloat16 it takes a quarter longer.
        if self.device.type == "cpu" and self.dtype == torch.float32:
            self.network.to(memory_format=torch.channels_last)

    def compile(self, backend: str = "inductor") -> None:
        # Published for Stable Diffusion 1.5 on an A100: compiled 1.35 s an image, compiled and channels-last 1.07 s.
        self.network.to(memory_format=torch.channels_last)
        super().compile(backend)

    def _predict(
        self, latents: Tensor, timestep: Tensor, conditioning: Conditioning, guidance: Tensor | None
    ) -> Tensor:
        return self._controlled(latents, timestep, conditioning, timestep_cond=guidance)

    def _controlled(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning, **told: object) -> Tensor:
        """The U-Net's prediction, with the residuals of a control where there is one (tasks/control.py)."""
        told = {"encoder_hidden_states": conditioning.tokens, **told}
        if conditioning.control is None:
            return self._run(sample=latents, timestep=timestep, **told).sample
        latents, told = self._own(latents), self._own(told)  # a control is in the denoiser's precision
        told |= conditioning.control.to(self.dtype).residuals(latents, timestep, told)
        run = self.network if self.row_counts else self._run  # another engine has no graphs with residuals
        return run(sample=latents, timestep=timestep, **self._own(told)).sample

    def _own(self, values: Any) -> Any:
        """Numbers, however nested, in the network's own precision."""
        return pytree.tree_map_only(
            Tensor, lambda value: value.to(self.dtype) if value.is_floating_point() else value, values
        )


class SizedUnetDenoiser(UnetDenoiser):
    """Stable Diffusion XL's, conditioned on the prompt's pooled embedding and on sizes too: original, crop and target
    (Podell et al. 2023, section 2.2), here an image that is whole and of the size asked for."""

    def __init__(self, network: ModelMixin, factor: int):
        super().__init__(network)
        self.factor = factor  # pixels per latent value along a side

    def _predict(
        self, latents: Tensor, timestep: Tensor, conditioning: Conditioning, guidance: Tensor | None
    ) -> Tensor:
        height, width = (self.factor * side for side in latents.shape[2:])
        sizes = torch.tensor([[height, width, 0, 0, height, width]], dtype=self.takes, device=latents.device)
        added = {"text_embeds": conditioning.pooled, "time_ids": sizes.expand(len(latents), -1)}
        return self._controlled(latents, timestep, conditioning, timestep_cond=guidance, added_cond_kwargs=added)


class UpscalingUnetDenoiser(UnetDenoiser):
    """Stable Diffusion's x4 upscaler: the small image is three further channels, and how noisy it was made a class label, as
    in cascaded diffusion (Ho et al. 2022, section 4.2)."""

    def __init__(self, network: ModelMixin, alpha_bars: Tensor, noisiest: int):
        super().__init__(network)
        self.alpha_bars = alpha_bars  # (levels,): of the image's noise
        self.noisiest = noisiest  # the last level that it was trained on

    @property
    def enlarges(self) -> bool:
        return True

    def noised(self, images: Tensor, noise: Tensor, levels: Tensor) -> Tensor:
        """Images (B, 3, h, w) in [-1, 1] at their noise levels (B,)."""
        alpha_bar = self.alpha_bars.to(images.device)[levels.to(images.device)].view(-1, 1, 1, 1)
        return alpha_bar.sqrt() * images + (1 - alpha_bar).sqrt() * noise

    def _predict(
        self, latents: Tensor, timestep: Tensor, conditioning: Conditioning, guidance: Tensor | None
    ) -> Tensor:
        levels = conditioning.noise_levels
        labels = torch.zeros(len(latents), dtype=torch.long) if levels is None else levels
        labels = labels.to(latents.device)
        return self._controlled(latents, timestep, conditioning, timestep_cond=guidance, class_labels=labels)


class TransformerDenoiser(Denoiser):
    """The multimodal diffusion transformer of Stable Diffusion 3 (Esser et al. 2024), trained on rectified flow."""

    def _predict(
        self, latents: Tensor, timestep: Tensor, conditioning: Conditioning, guidance: Tensor | None
    ) -> Tensor:
        times = timestep.expand(len(latents))
        return self._run(
            hidden_states=latents,
            timestep=times,
            encoder_hidden_states=conditioning.tokens,
            pooled_projections=conditioning.pooled,
        ).sample


def guidance_embedding(values: Tensor, width: int) -> Tensor:
    """Sines and cosines of 1000 values (R,) at frequencies from 1 down to 1/10000 -> (R, width), as guidance-distilled
    networks are given w - 1 (Meng et al. 2023; Luo et al. 2023, section 4.2)."""
    half = width // 2
    frequencies = torch.exp(
        torch.arange(half, dtype=torch.float32, device=values.device) * -(math.log(10000.0) / max(1, half - 1))
    )
    angles = 1000 * values.to(torch.float32)[:, None] * frequencies
    return nn.functional.pad(torch.cat([angles.sin(), angles.cos()], dim=1), (0, width % 2))
