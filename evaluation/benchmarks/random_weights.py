"""Stable Diffusion 1.5 and XL with random weights, in their published shapes: all that speed asks of them, no download.

`small` keeps the shape and shrinks the widths, for machines without a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, DDIMScheduler, EulerDiscreteScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig

from ldm_core.autoencoder import Autoencoder
from ldm_core.checkpoint import Checkpoint
from ldm_core.data import everyday
from ldm_core.family import FAMILIES
from ldm_core.loading import assemble
from ldm_core.pipeline import LatentDiffusion
from ldm_core.placement import Placement
from ldm_core.registry import ModelSpec
from ldm_core.training.tokenizer import build_tokenizer

NOISE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}


@dataclass(frozen=True)
class Shape:
    """Of a family at one size; text encoders as (width, layers, heads)."""

    pipeline: str
    unet: dict
    text: tuple[tuple[int, int, int], ...]
    vae: tuple[int, ...]
    pixels: int
    steps: int
    guidance_scale: float


def shape_of(name: str, small: bool = False) -> Shape:
    """`sd1.5` or `sdxl` (Rombach et al. 2022; Podell et al. 2023), as their published configs have them."""
    part = 10 if small else 1
    vae, side = ((16, 16, 32, 32), 16) if small else ((128, 256, 512, 512), 64)
    if name == "sd1.5":
        text = (64, 2, 2) if small else (768, 12, 12)
        unet: dict[str, object] = {
            "block_out_channels": tuple(w // part for w in (320, 640, 1280, 1280)),
            "attention_head_dim": 1 if small else 8,
            "cross_attention_dim": text[0],
            "sample_size": side,
        }
        return Shape("StableDiffusionPipeline", unet, (text,), vae, 8 * side, 2 if small else 50, 7.5)
    texts = ((64, 2, 2), (96, 2, 3)) if small else ((768, 12, 12), (1280, 32, 20))
    unet = {
        "block_out_channels": tuple(w // part for w in (320, 640, 1280)),
        "attention_head_dim": (1, 2, 4) if small else (5, 10, 20),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 1, 2) if small else (1, 2, 10),
        "use_linear_projection": True,
        "cross_attention_dim": texts[0][0] + texts[1][0],
        "sample_size": 2 * side,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256 // (8 if small else 1),
        "projection_class_embeddings_input_dim": texts[1][0] + 6 * 256 // (8 if small else 1),
    }
    return Shape("StableDiffusionXLPipeline", unet, texts, vae, 16 * side, 2 if small else 30, 5.0)


def build_unet(shape: Shape) -> UNet2DConditionModel:
    """On whatever device is the default."""
    groups = {"norm_num_groups": 32}
    if any(width % 32 for width in shape.unet["block_out_channels"]):
        groups = {"norm_num_groups": 16}
    return UNet2DConditionModel(in_channels=4, out_channels=4, layers_per_block=2, **groups, **shape.unet)


def build_model(name: str, device: str, dtype: torch.dtype, small: bool = False) -> tuple[LatentDiffusion, Checkpoint]:
    """The model as ldm_core.load would give it, and the parts that diffusers' pipeline takes."""
    shape, family = shape_of(name, small), FAMILIES[shape_of(name, small).pipeline]
    torch.manual_seed(0)
    tokenizer = build_tokenizer(everyday.known_words(), 77)
    with torch.device(device):
        parts: dict[str, object] = {"unet": build_unet(shape).to(dtype)}
        for (encoder, kind, reader, _), (width, layers, heads) in zip(family.text, shape.text):
            config = CLIPTextConfig(
                vocab_size=49408,
                hidden_size=width,
                intermediate_size=4 * width,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                projection_dim=width,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
            parts |= {encoder: kind(config).to(dtype), reader: tokenizer}
        vae = AutoencoderKL(
            block_out_channels=shape.vae,
            layers_per_block=2,
            latent_channels=4,
            norm_num_groups=16,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            scaling_factor=0.18215,
        )
    scheduler = (
        DDIMScheduler(**NOISE, set_alpha_to_one=False, clip_sample=False)
        if name == "sd1.5"
        else EulerDiscreteScheduler(**NOISE)
    )
    config = dict(scheduler.config) | {"_class_name": type(scheduler).__name__}
    checkpoint = Checkpoint(family, {"force_zeros_for_empty_prompt": True}, parts, config)
    autoencoder, placement = Autoencoder(vae), Placement(device)
    conditioner, denoiser = assemble(checkpoint, autoencoder.factor, dtype, placement)
    spec = ModelSpec(
        name,
        "random weights",
        family.name,
        height=shape.pixels,
        width=shape.pixels,
        steps=shape.steps,
        guidance_scale=shape.guidance_scale,
    )
    return LatentDiffusion(spec, conditioner, denoiser, autoencoder, config, (), placement=placement), checkpoint
