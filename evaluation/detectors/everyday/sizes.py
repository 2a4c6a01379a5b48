"""How large things are called, from how all of a picture stand."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ldm_core.data.everyday import KINDS
from ldm_core.data.everyday.truth import ATTRIBUTES, GRID

from .mirror import mirrored_boxes
from .network import SCENE


class Sizes(nn.Module):
    """A big cat is one that is large for a cat that stands where it stands, alone or beside that house: self-attention over the
    things of a picture, and its scene among them. It sees no pixel, so it learns from scenes that are not drawn (arrangements.py).
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.kind, self.scene = nn.Linear(len(KINDS), width, bias=False), nn.Linear(sum(SCENE.values()), width)
        self.box = nn.Sequential(nn.Linear(6, width), nn.SiLU(), nn.Linear(width, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.things = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        last = nn.Linear(width, len(ATTRIBUTES["size"]))
        for weights in last.parameters():  # it begins without a say
            nn.init.zeros_(weights)
        self.say = nn.Sequential(nn.LayerNorm(width), last)

    def forward(self, kinds: Tensor, boxes: Tensor, there: Tensor, scene: Tensor) -> Tensor:
        """The chances of kinds (B, M, kinds) and boxes (B, M, 4: left, top, right, bottom, fractions of the picture) of the things
        that are `there` (B, M), and the chances of the scene's answers (B, sum of SCENE) -> scores (B, M, sizes)."""
        things = self.kind(kinds) + self.box(_numbers_of(boxes))
        tokens = torch.cat([self.scene(scene)[:, None], things], dim=1)
        absent = F.pad(~there, (1, 0))  # the scene is always there
        return self.say(self.things(tokens, src_key_padding_mask=absent)[:, 1:])

    def of_both(self, kinds: Tensor, boxes: Tensor, there: Tensor, scene: Tensor) -> Tensor:
        """The chances (B, M, sizes) of the sizes of things of a picture and of its mirror image, their mean."""
        ways = (boxes, mirrored_boxes(boxes))
        return torch.stack([self(kinds, way, there, scene).softmax(2) for way in ways]).mean(0)


def _numbers_of(boxes: Tensor) -> Tensor:
    """Numbers (..., 6) about nought, of boxes (..., 4): their sides, and the logarithms of width and height."""
    extent = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1 / GRID)
    return torch.cat([4 * (boxes - 0.5), extent.log() + 1.5], dim=-1)
