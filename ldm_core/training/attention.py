"""Cross-attention that keeps its maps for a loss on them: where in the picture each word was looked up."""

from __future__ import annotations

from typing import Any

from diffusers import UNet2DConditionModel
from torch import Tensor

from ..attention import CROSS, looked_up


class KeptCrossAttention:
    """A processor for diffusers' Attention: the same arithmetic written out, the maps kept.

    A map is (B, positions, tokens), the mean over heads, each position's row summing to 1.
    """

    def __init__(self, kept: list[Tensor]):
        self.kept = kept

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        words = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        shares = looked_up(attn, hidden_states, words)
        self.kept.append(shares.mean(1))
        value = attn.to_v(words).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        out = (shares.to(value.dtype) @ value).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](out))


def keep_maps(unet: UNet2DConditionModel) -> list[Tensor]:
    """Have every cross-attention append its map to the list returned; whoever reads it clears it after each call."""
    kept: list[Tensor] = []
    processors = {
        name: KeptCrossAttention(kept) if name.endswith(f"{CROSS}.processor") else processor
        for name, processor in unet.attn_processors.items()
    }
    unet.set_attn_processor(processors)
    return kept
