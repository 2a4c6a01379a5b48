"""The networks of Stable Diffusion 1.5 to 3.5 in their published shapes, on the meta device: sizes without weights.

Of 1.5 and XL the U-Nets are random_weights.py's; the rest is as the folders' config.json files have it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, T5Config, T5EncoderModel

from .random_weights import build_unet, shape_of

CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
CLIP_H = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16}
CLIP_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}


def unet(name: str) -> UNet2DConditionModel:
    """Of sd1.5, sd2.1 or sdxl."""
    if name != "sd2.1":
        return build_unet(shape_of(name))
    return UNet2DConditionModel(
        sample_size=96, attention_head_dim=(5, 10, 20, 20), cross_attention_dim=1024, use_linear_projection=True
    )


def transformer(name: str) -> SD3Transformer2DModel:
    """Of sd3.5-large or sd3.5-medium (Esser et al. 2024)."""
    large = name == "sd3.5-large"
    layers = 38 if large else 24
    return SD3Transformer2DModel(
        sample_size=128,
        in_channels=16,
        num_layers=layers,
        num_attention_heads=layers,
        attention_head_dim=64,
        joint_attention_dim=4096,
        caption_projection_dim=64 * layers,
        pooled_projection_dim=2048,
        pos_embed_max_size=192 if large else 384,
        dual_attention_layers=() if large else tuple(range(13)),
        qk_norm="rms_norm",
    )


def text_encoder(shape: dict[str, int], projection: int = 0) -> nn.Module:
    """A CLIP text encoder, with the projection of its pooled output where that has a width."""
    config = CLIPTextConfig(vocab_size=49408, **({"projection_dim": projection} if projection else {}), **shape)
    return CLIPTextModelWithProjection(config) if projection else CLIPTextModel(config)


def t5_encoder() -> nn.Module:
    """T5 v1.1 XXL's encoder (Raffel et al. 2020)."""
    sizes: dict[str, Any] = {"d_model": 4096, "d_ff": 10240, "d_kv": 64, "num_layers": 24, "num_heads": 64}
    return T5EncoderModel(T5Config(vocab_size=32128, feed_forward_proj="gated-gelu", **sizes))


def autoencoder(channels: int = 4) -> AutoencoderKL:
    """Of all of them: f = 8; 16 latent channels in 3.5, and there without the two 1 x 1 convolutions around the latent."""
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        use_quant_conv=channels == 4,
        use_post_quant_conv=channels == 4,
    )


def built(build: Callable[[], nn.Module]) -> nn.Module:
    """On the meta device, in float16, for inference."""
    with torch.device("meta"):
        return build().half().eval().requires_grad_(False)
