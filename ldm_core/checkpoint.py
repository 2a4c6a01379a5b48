"""The parts of a checkpoint: which ones a family has, and how each is read from a folder, whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import diffusers
import torch
from diffusers import AutoencoderDC, AutoencoderKL, AutoencoderTiny, SD3Transformer2DModel, UNet2DConditionModel
from diffusers.loaders.single_file_utils import fetch_diffusers_config, load_single_file_checkpoint
from safetensors import SafetensorError
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer, T5EncoderModel, T5TokenizerFast

AUTOENCODERS = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny, "AutoencoderDC": AutoencoderDC}


@dataclass(frozen=True)
class Family:
    """The networks of a family by the names of their folders; diffusers' pipeline of it."""

    name: str
    pipeline: str
    denoiser: tuple[str, type]
    text: tuple[tuple[str, type, str, type], ...]  # encoder's folder and class, tokenizer's folder and class
    optional: frozenset[str] = frozenset()  # text encoders that a checkpoint may leave out


_CLIP = ("text_encoder", CLIPTextModel, "tokenizer", CLIPTokenizer)
_PROJECTED = [
    (f"text_encoder{end}", CLIPTextModelWithProjection, f"tokenizer{end}", CLIPTokenizer) for end in ("", "_2")
]
_T5 = ("text_encoder_3", T5EncoderModel, "tokenizer_3", T5TokenizerFast)
_UNET = ("unet", UNet2DConditionModel)
FAMILIES: dict[str, Family] = {
    family.pipeline: family
    for family in (
        Family("sd", "StableDiffusionPipeline", _UNET, (_CLIP,)),
        Family("sdxl", "StableDiffusionXLPipeline", _UNET, (_CLIP, _PROJECTED[1])),
        Family(
            "sd3",
            "StableDiffusion3Pipeline",
            ("transformer", SD3Transformer2DModel),
            (*_PROJECTED, _T5),
            optional=frozenset({"text_encoder_3"}),
        ),
    )
}


@dataclass(frozen=True)
class Checkpoint:
    """What was read: the family, its networks and tokenizers by folder name, and the configs."""

    family: Family
    index: dict  # model_index.json
    parts: dict[str, object]
    scheduler_config: dict


def read_checkpoint(folder: Path, dtype: torch.dtype) -> Checkpoint:
    """A diffusers folder; the denoiser in `dtype`, all else in float32. ValueError in one line where that cannot be."""
    index = read_json(folder / "model_index.json")
    family = family_of(index, str(folder))
    name, kind = family.denoiser
    parts: dict[str, object] = {name: network(kind, folder / name, dtype)}
    for encoder, encoder_kind, tokenizer, tokenizer_kind in family.text:
        if encoder in family.optional and not any(index.get(encoder) or ()):
            continue
        parts[encoder] = network(encoder_kind, folder / encoder, torch.float32)
        parts[tokenizer] = load_tokenizer(folder / tokenizer, tokenizer_kind)
    return Checkpoint(family, index, parts, read_json(folder / "scheduler" / "scheduler_config.json"))


def hub_id_of(path: Path) -> str:
    """Whose configs a .safetensors file in the layout of the models' authors goes by, as diffusers recognises it."""
    try:
        return fetch_diffusers_config(load_single_file_checkpoint(str(path)))["pretrained_model_name_or_path"]
    except (OSError, KeyError, SafetensorError) as error:
        raise ValueError(f"model {str(path)!r} cannot be read: {str(error).splitlines()[0]}") from None


def read_single_file(path: Path, config: Path, dtype: torch.dtype) -> tuple[Checkpoint, torch.nn.Module]:
    """A .safetensors file in the layout of the models' authors, and its autoencoder; diffusers converts it.

    config is a diffusers folder of the same family, for all that the file does not hold: tokenizers, schedulers, sizes.
    """
    index = read_json(config / "model_index.json")
    family = family_of(index, str(config))
    try:
        pipeline = getattr(diffusers, family.pipeline).from_single_file(
            str(path), config=str(config), local_files_only=True, torch_dtype=torch.float32
        )
    except Exception as error:  # the library raises what it likes: all of it means that file and config do not fit
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"cannot load {path} with --config {config}: {reason}") from None
    parts = {name: part for name, part in pipeline.components.items() if part is not None}
    name, _ = family.denoiser
    parts[name] = parts[name].to(dtype)
    scheduler = read_json(config / "scheduler" / "scheduler_config.json")
    return Checkpoint(family, index, parts, scheduler), parts["vae"]


def family_of(index: dict, name: str) -> Family:
    """The family that a model_index.json names."""
    pipeline_class = index.get("_class_name")
    if pipeline_class not in FAMILIES:
        raise ValueError(f"model {name!r} is a {pipeline_class}; this version runs {', '.join(FAMILIES)} folders")
    return FAMILIES[pipeline_class]


def network(kind: type, folder: Path, dtype: torch.dtype) -> torch.nn.Module:
    """One network of a checkpoint in the precision asked for, with every one of its weights."""
    if not folder.is_dir():
        raise ValueError(f"the checkpoint is not whole: {folder} is missing")
    try:
        module, found = kind.from_pretrained(folder, torch_dtype=dtype, local_files_only=True, output_loading_info=True)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:  # each means damage here
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"cannot load {folder}: {reason}") from None
    if found["missing_keys"]:  # the libraries would fill them at random
        missing = sorted(found["missing_keys"])
        raise ValueError(f"cannot load {folder}: {len(missing)} weights are missing, {missing[0]} among them")
    return module


def load_tokenizer(folder: Path, kind: type = CLIPTokenizer) -> object:
    """A checkpoint's tokenizer; without its files the library would make an empty one."""
    for names in (("tokenizer_config.json",), ("vocab.json", "tokenizer.json", "spiece.model")):
        if not any((folder / name).exists() for name in names):
            raise ValueError(f"the checkpoint is not whole: {folder / names[0]} is missing")
    return kind.from_pretrained(folder, local_files_only=True)


def read_json(path: Path) -> dict:
    """A checkpoint's own config file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ValueError(f"the checkpoint is not whole: {path} is missing") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
