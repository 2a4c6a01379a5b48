"""One contract over the families' networks: rows of (latent, conditioning) at a timestep -> predictions.

Rows run in calls of a fixed number; the last call is filled up with copies. A network's arithmetic depends on the
shape of its input but not on what else is in it, so at a fixed call shape an image does not depend on its neighbours.
"""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor


class UnetDenoiser:
    """The U-Net with cross-attention of Rombach et al. 2022, section 3.3."""

    def __init__(self, unet: UNet2DConditionModel):
        self.unet = unet.eval()
        self.calls = 0  # network calls so far
        self.rows = 0  # rows that were asked for, filling not counted

    @property
    def device(self) -> torch.device:
        return self.unet.device

    @property
    def dtype(self) -> torch.dtype:
        return self.unet.dtype

    @torch.inference_mode()
    def __call__(self, latents: Tensor, timestep: Tensor, text: Tensor, rows_per_call: int) -> Tensor:
        """Latents (R, C, h, w) and text (R, tokens, width) -> predictions (R, C, h, w), float32."""
        self.rows += len(latents)
        parts = zip(latents.split(rows_per_call), text.split(rows_per_call))
        return torch.cat([self._call(latent, timestep, words, rows_per_call) for latent, words in parts])

    def _call(self, latents: Tensor, timestep: Tensor, text: Tensor, rows_per_call: int) -> Tensor:
        self.calls += 1
        filling = [0] * (rows_per_call - len(latents))
        rows = [*range(len(latents)), *filling]
        prediction = self.unet(latents[rows].to(self.dtype), timestep, encoder_hidden_states=text[rows].to(self.dtype))
        return prediction.sample[: len(latents)].float()
