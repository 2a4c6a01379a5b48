"""Cross-attention seen from outside: how much each position of a U-Net's features draws from each token of the prompt."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import ModelMixin
from torch import Tensor, nn

CROSS = ".attn2"  # how diffusers' U-Nets name their cross-attentions


def looked_up(attn: Any, hidden_states: Tensor, words: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) of a diffusers Attention: (B, heads, positions, tokens), each row summing to 1."""
    query, key = (
        projected.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        for projected in (attn.to_q(hidden_states), attn.to_k(words))
    )
    return (query @ key.transpose(-1, -2) * attn.scale).softmax(dim=-1)


class AttentionMaps:
    """The maps of the first row of the first network call since `clear`: of a guided picture, the prompt's own.

    A map is (positions, tokens), the mean over heads, one for each cross-attention.
    """

    def __init__(self) -> None:
        self.kept: dict[str, Tensor] = {}

    def clear(self) -> None:
        """Forget them: before the next step."""
        self.kept.clear()

    def at_size(self, height: int, width: int) -> Tensor:
        """One map a token (tokens, height, width): the mean over cross-attentions, each brought to a latent's size by
        bicubic interpolation, as in DAAM (Tang et al. 2022, section 2.2)."""
        maps = [_resized(each, height, width) for each in self.kept.values()]
        return torch.stack(maps).mean(0)

    def finest(self, height: int, width: int) -> tuple[int, int]:
        """The sides of the largest map, of a latent's size."""
        return halved_to(height, width, max(len(each) for each in self.kept.values()))


@contextmanager
def watched(network: ModelMixin) -> Iterator[AttentionMaps]:
    """Within the block, the cross-attentions of a U-Net leave their maps.

    They are computed beside the network, from the inputs of each cross-attention: what it computes itself, and so the
    picture, stays as it is to the bit.
    """
    maps = AttentionMaps()

    def note(name: str) -> Any:
        def hook(attn: nn.Module, given: tuple, named: dict) -> None:
            words = named.get("encoder_hidden_states")
            if name not in maps.kept and words is not None:
                maps.kept[name] = looked_up(attn, given[0][:1], words[:1]).float().mean(1)[0]

        return hook

    hooks = [
        module.register_forward_pre_hook(note(name), with_kwargs=True)
        for name, module in network.named_modules()
        if name.endswith(CROSS)
    ]
    try:
        yield maps
    finally:
        for hook in hooks:
            hook.remove()


def _resized(looked: Tensor, height: int, width: int) -> Tensor:
    """(positions, tokens) of a resolution halved a few times -> (tokens, height, width), none below 0."""
    rows, columns = halved_to(height, width, len(looked))
    grid = looked.T.unflatten(1, (rows, columns))[None]
    if (rows, columns) != (height, width):
        grid = F.interpolate(grid, (height, width), mode="bicubic", align_corners=False).clamp(min=0)
    return grid[0]


def halved_to(height: int, width: int, positions: int) -> tuple[int, int]:
    """The sides of a latent after as many halvings, rounded up, as leave so many positions."""
    rows, columns = height, width
    while rows * columns > positions:
        rows, columns = math.ceil(rows / 2), math.ceil(columns / 2)
    if rows * columns != positions:
        raise ValueError(f"{positions} positions are no halving of {height} x {width}")
    return rows, columns
