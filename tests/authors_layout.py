"""Networks of diffusers under the names that their authors gave them: what a single .safetensors file holds.

Written by hand from the published layouts, the other way round than diffusers reads them.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Where Stable Diffusion's authors keep what diffusers calls so: within a residual block, and within an autoencoder's.
BLOCK = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
# Of a U-Net with two resolutions, one block each: the upper without attention, the lower with.
UNET = {
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "down_blocks.0.resnets.0": "input_blocks.1.0",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    "down_blocks.1.resnets.0": "input_blocks.3.0",
    "down_blocks.1.attentions.0": "input_blocks.3.1",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "up_blocks.0.resnets.0": "output_blocks.0.0",
    "up_blocks.0.attentions.0": "output_blocks.0.1",
    "up_blocks.0.resnets.1": "output_blocks.1.0",
    "up_blocks.0.attentions.1": "output_blocks.1.1",
    "up_blocks.0.upsamplers.0.conv": "output_blocks.1.2.conv",
    "up_blocks.1.resnets.0": "output_blocks.2.0",
    "up_blocks.1.resnets.1": "output_blocks.3.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
VAE = (
    {
        "encoder.down_blocks.0.resnets.0": "encoder.down.0.block.0",
        "encoder.down_blocks.0.downsamplers.0": "encoder.down.0.downsample",
        "encoder.down_blocks.1.resnets.0": "encoder.down.1.block.0",
        "decoder.up_blocks.0.resnets.0": "decoder.up.1.block.0",
        "decoder.up_blocks.0.resnets.1": "decoder.up.1.block.1",
        "decoder.up_blocks.0.upsamplers.0": "decoder.up.1.upsample",
        "decoder.up_blocks.1.resnets.0": "decoder.up.0.block.0",
        "decoder.up_blocks.1.resnets.1": "decoder.up.0.block.1",
    }
    | {
        f"{half}.mid_block.{ours}": f"{half}.mid.{theirs}"
        for half in ("encoder", "decoder")
        for ours, theirs in (("resnets.0", "block_1"), ("attentions.0", "attn_1"), ("resnets.1", "block_2"))
    }
    | {f"{half}.conv_norm_out": f"{half}.norm_out" for half in ("encoder", "decoder")}
)
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OPEN_CLIP = {
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm": "ln_final",
    "text_model.encoder.layers": "transformer.resblocks",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn": "attn",
}
TRANSFORMER = {
    "pos_embed.proj": "x_embedder.proj",
    "pos_embed.pos_embed": "pos_embed",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
}
# Of a block of Stable Diffusion 3's transformer, of the image's side (x_block) and the text's.
JOINT = {
    "norm1.linear": "x_block.adaLN_modulation.1",
    "norm1_context.linear": "context_block.adaLN_modulation.1",
    "attn.to_out.0": "x_block.attn.proj",
    "attn.to_add_out": "context_block.attn.proj",
    "attn2.to_out.0": "x_block.attn2.proj",
    "attn.norm_q": "x_block.attn.ln_q",
    "attn.norm_k": "x_block.attn.ln_k",
    "attn.norm_added_q": "context_block.attn.ln_q",
    "attn.norm_added_k": "context_block.attn.ln_k",
    "attn2.norm_q": "x_block.attn2.ln_q",
    "attn2.norm_k": "x_block.attn2.ln_k",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
}
QKV = {
    "x_block.attn": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "x_block.attn2": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
    "context_block.attn": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}


def unet(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of Stable Diffusion 1, 2 and XL."""
    return _renamed(weights, UNET, BLOCK, "model.diffusion_model")


def autoencoder(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of all families."""
    return _renamed(weights, VAE, {"conv_shortcut": "nin_shortcut"}, "first_stage_model")


def _renamed(
    weights: dict[str, Tensor], places: dict[str, str], inside: dict[str, str], prefix: str
) -> dict[str, Tensor]:
    found = {}
    for name, value in weights.items():
        place = max((start for start in places if name.startswith(start + ".")), key=len, default=None)
        if place is not None:
            tail = name[len(place) + 1 :]
            part = next((known for known in inside if tail.startswith(known + ".")), None)
            tail = inside[part] + tail[len(part) :] if part and ".attentions." not in f".{place}." else tail
            if prefix == "first_stage_model" and "attn" in places[place]:
                part = next(known for known in ATTENTION if tail.startswith(known + "."))
                tail = ATTENTION[part] + tail[len(part) :]
                value = value[..., None, None] if tail.startswith(("q.w", "k.w", "v.w", "proj_out.w")) else value
            name = f"{places[place]}.{tail}"
        found[f"{prefix}.{name}"] = value.contiguous()
    return found


def open_clip(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The larger text encoder of Stable Diffusion XL: queries, keys and values in one, the projection turned."""
    weights = dict(weights)
    found = {f"{prefix}.text_projection": weights.pop("text_projection.weight").T.contiguous()}
    for name in [name for name in weights if ".q_proj." in name]:
        parts = [weights.pop(name.replace("q_proj", part)) for part in ("q_proj", "k_proj", "v_proj")]
        weights[name.replace(".q_proj.", ".in_proj_")] = torch.cat(parts)
    for name, value in weights.items():
        for ours, theirs in OPEN_CLIP.items():
            name = name.replace(ours, theirs)
        found[f"{prefix}.{name}"] = value
    return found


def transformer(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of Stable Diffusion 3."""
    weights, found = dict(weights), {}
    depth = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("transformer_blocks."))
    for last in ("norm_out.linear", f"transformer_blocks.{depth - 1}.norm1_context.linear"):
        for kind in ("weight", "bias"):  # the authors shift before they scale
            scale, shift = weights[f"{last}.{kind}"].chunk(2)
            weights[f"{last}.{kind}"] = torch.cat([shift, scale])
    for block in range(depth):
        ours, theirs = f"transformer_blocks.{block}", f"model.diffusion_model.joint_blocks.{block}"
        for attention, names in QKV.items():
            for kind in ("weight", "bias"):
                parts = [weights.pop(f"{ours}.{name}.{kind}", None) for name in names]
                if parts[0] is not None:
                    found[f"{theirs}.{attention}.qkv.{kind}"] = torch.cat(parts)
        for name in [name for name in weights if name.startswith(f"{ours}.")]:
            part, kind = name.removeprefix(f"{ours}.").rsplit(".", 1)
            found[f"{theirs}.{JOINT[part]}.{kind}"] = weights.pop(name)
    for name, value in weights.items():
        place = next((start for start in TRANSFORMER if name.startswith(start)), name)
        found["model.diffusion_model." + TRANSFORMER.get(place, place) + name.removeprefix(place)] = value.contiguous()
    return found
