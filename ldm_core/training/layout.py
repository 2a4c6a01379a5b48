"""A reading of the layout from inside the denoiser: which kinds and colours are in each cell, before the last level draws them.

Representation alignment (Yu et al. 2025, arXiv 2410.06940) has a denoiser's inner features agree with those of a pretrained
encoder, and it learns several times sooner. Here the drawing program knows what such an encoder can only guess. Kind and
colour are told apart, so that a combination that was never shown is made of two readings that were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn


class LayoutHead(nn.Module):
    """One linear layer on the features that enter the U-Net's last level, (B, C, h, w) -> logits (B, names, h, w).

    Only training needs it; the U-Net is left as it is.
    """

    def __init__(self, unet: UNet2DConditionModel, names: Sequence[str]):
        super().__init__()
        if not names:
            raise ValueError("layout_weight needs a corpus that says where things are, such as everyday")
        widths = unet.config.block_out_channels
        if len(widths) < 2:
            raise ValueError("layout_weight needs a U-Net of two levels or more, of whose last it is the entrance")
        self.names = tuple(names)
        self.read = nn.Conv2d(widths[1], len(names), 1)
        nn.init.constant_(cast(Tensor, self.read.bias), -4.0)  # a name covers about a fiftieth of a picture
        self.features: Tensor | None = None
        unet.up_blocks[-2].register_forward_hook(self._keep)

    def _keep(self, block: nn.Module, inputs: object, features: Tensor) -> None:
        self.features = features

    def forward(self) -> Tensor:
        """What the U-Net's latest call held of the layout."""
        if self.features is None:
            raise RuntimeError("the U-Net has not been called yet")
        features, self.features = self.features, None
        return self.read(features.float())


def layouts(masks: Sequence[dict[str, np.ndarray]], names: Sequence[str]) -> Tensor:
    """The share of each cell that each name covers, float32 (B, names, h, w)."""
    side = next((len(mask) for each in masks for mask in each.values()), 1)
    covered, place = torch.zeros(len(masks), len(names), side, side), {name: i for i, name in enumerate(names)}
    for row, each in enumerate(masks):
        for name, mask in each.items():
            covered[row, place[name]] = torch.from_numpy(mask)
    return covered
