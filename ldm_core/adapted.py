"""Models that are another one with a little changed: a folder that names its base and holds what is new.

Its model_index.json says "_base", a registry name or a folder; lora.safetensors is a low-rank change of the base's networks,
unet/ the config and the layers that the base has not, scheduler/ its own schedule. Autoencoder, text encoder and tokenizer are
the base's files.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from diffusers import ModelMixin
from safetensors import SafetensorError
from safetensors.torch import load_file

from . import registry
from .checkpoint import Checkpoint, check_denoiser, check_numbers, read_checkpoint, read_json
from .checks import first_line, shown
from .lora import merge_lora

BASE, LORA, LAYERS = "_base", "lora.safetensors", "diffusion_pytorch_model.safetensors"


def base_folder(folder: Path) -> Path | None:
    """The folder of the model that this one is a change of; None where it is a model of its own."""
    name = read_json(folder / "model_index.json").get(BASE)
    if name is None:
        return None
    place = Path(registry.find(name).source) if isinstance(name, str) and name else None
    if place is None or not (place / "model_index.json").is_file():  # nothing is downloaded that only a file asks for
        raise ValueError(
            f"{folder / 'model_index.json'}: {BASE} must be an embedded model or a folder, got {shown(name)}"
        )
    if BASE in read_json(place / "model_index.json"):
        raise ValueError(f"{folder / 'model_index.json'}: {BASE} {shown(name)} is itself a change of another model")
    return place


def read_adapted(folder: Path, base: Path, dtype: torch.dtype) -> Checkpoint:
    """The base's checkpoint with the folder's changes made; the denoiser in `dtype`, into which it is rounded once."""
    found = read_checkpoint(base, torch.float32)
    part = found.family.denoiser_part
    parts = {**found.parts, part: _grown(folder / part, found.parts[part])}
    index = {**found.index, **read_json(folder / "model_index.json")}
    schedule = found.family.scheduler_config(read_json(folder / "scheduler" / "scheduler_config.json"))
    made = dataclasses.replace(found, index=index, parts=parts, scheduler_config=schedule, configs=folder)
    check_denoiser(made.family, parts[part], str(folder / part))
    merge_lora(made, None, folder / LORA, 1.0)
    parts[part].to(dtype)
    return made


def _grown(folder: Path, base: ModelMixin) -> ModelMixin:
    """The base's network with the config of the folder, whose layers that the base has not are the folder's own."""
    check_numbers(folder)
    try:
        network = type(base).from_config(read_json(folder / "config.json"))
        own = load_file(folder / LAYERS)
        network.load_state_dict({**base.state_dict(), **own})
    except (OSError, SafetensorError, RuntimeError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"cannot load {folder}: {first_line(error)}") from None
    return network
