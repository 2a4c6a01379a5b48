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
        if unet.device.type == "cpu":  # a call then takes about three quarters of the time
            self.unet.to(memory_format=torch.channels_last)
        self.device, self.dtype = unet.device, unet.dtype  # asked once: the library walks all its modules for each
        self.calls = 0  # network calls so far
        self.rows = 0  # rows that were asked for, filling not counted

    @torch.inference_mode()
    def __call__(self, latents: Tensor, timestep: Tensor, text: Tensor, rows_per_call: int) -> Tensor:
        """Latents (R, C, h, w) and text (R, tokens, width) -> predictions (R, C, h, w), float32."""
        self.rows += len(latents)
        parts = zip(latents.split(rows_per_call), text.split(rows_per_call))
        return torch.cat([self._call(latent, timestep, words, rows_per_call) for latent, words in parts])

    def _call(self, latents: Tensor, timestep: Tensor, text: Tensor, rows_per_call: int) -> Tensor:
        self.calls += 1
        count = len(latents)
        if count < rows_per_call:
            rows = [*range(count), *[0] * (rows_per_call - count)]
            latents, text = latents[rows], text[rows]
        prediction = self.unet(latents.to(self.dtype), timestep, encoder_hidden_states=text.to(self.dtype))
        return prediction.sample[:count].float()
