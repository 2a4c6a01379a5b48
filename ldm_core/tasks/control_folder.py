"""A control network's folder: which are run, and whether one fits a model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import ModelMixin
from torch import Tensor

from ..checkpoint import network, read_json
from ..checks import first_line, shown
from ..conditioning import Conditioning
from ..denoisers import UnetDenoiser
from ..hub import WEIGHTS, local_folder
from ..pipeline import LatentDiffusion
from ..registry import find_control
from ..settings import SamplingSettings
from .control import CONTROLS, Adapter, Control

FILES = ["config.json", WEIGHTS]
REHEARSAL_SIDE = 16  # latent values along a side, which all known networks can halve often enough


def with_control(model: LatentDiffusion, name: str) -> LatentDiffusion:
    """The same model, its networks shared, with a control by registry name, folder or hub id in place of any other."""
    folder = local_folder(find_control(name), FILES)
    control = load_control(folder, name, model)
    made = copy.copy(model)
    for known in ("weights", "configs"):  # hashes of other files
        made.__dict__.pop(known, None)
    made.control, made.files = control, (*(model.files[:-1] if model.control else model.files), folder)
    return made


def load_control(folder: Path, name: str, model: LatentDiffusion) -> Control:
    """The control network of a folder, tried on the model; ValueError in one line where the two do not fit."""
    denoiser = model.denoiser
    if not isinstance(denoiser, UnetDenoiser):
        raise ValueError(f"control {name!r} needs a model with a U-Net; {model.spec.name!r} has none")
    if denoiser.is_empty:
        raise ValueError(f"control {name!r} needs a network of torch, and {model.spec.name!r} is an export")
    if not (folder / "config.json").exists():
        raise ValueError(f"control {name!r} is no ControlNet or T2I-Adapter folder: it has no config.json")
    config = read_json(folder / "config.json")
    kind = config.get("_class_name")
    if not isinstance(kind, str) or kind not in CONTROLS:
        raise ValueError(f"control {name!r} is a {shown(kind)}; this version takes {', '.join(CONTROLS)}")
    if config.get("global_pool_conditions"):
        raise ValueError(f"control {name!r} pools its image (global_pool_conditions), which says nothing of places")
    control = CONTROLS[kind](network(CONTROLS[kind].kind, folder, denoiser.dtype).to(model.placement.home), name)
    if control.channels not in (1, 3):
        raise ValueError(f"control {name!r} takes images of {control.channels} channels; pictures have 3, or 1 in grey")
    try:
        _rehearse(control, model)
    except Exception as error:  # noqa: BLE001  # the libraries raise what they like: all of it means that the two do not fit
        raise ValueError(f"control {name!r} does not fit {model.spec.name!r}: {first_line(error)}") from None
    return control


@torch.inference_mode()
def _rehearse(control: Control, model: LatentDiffusion) -> None:
    """One call on next to nothing."""
    denoiser, side = model.denoiser, REHEARSAL_SIDE * model.factor
    with model.placement.using(*model.conditioner.networks):
        told = Conditioning.stack([model.conditioner.encode(model.conditioner.nothing)])
    latent = torch.zeros(1, denoiser.in_channels, REHEARSAL_SIDE, REHEARSAL_SIDE, device=model.device)
    calls = denoiser.calls, denoiser.rows
    with model.placement.using(denoiser.network, control.network):
        prepared = control.prepare([torch.zeros(3, side, side)], [SamplingSettings()], model.device)
        if isinstance(control, Adapter):
            check_features(prepared.inputs, feature_places(denoiser.network, REHEARSAL_SIDE))
        denoiser(latent, torch.tensor(1), told.controlled(prepared.rows([0], 1.0)), 1)
    denoiser.calls, denoiser.rows = calls


def feature_places(unet: ModelMixin, side: int) -> list[tuple[int, int]]:
    """Where an adapter's features enter a U-Net that works on latents of a side: channels and side of each place.

    One for each block of the encoder: with cross-attention before it halves the resolution, else after; and the middle.
    """
    blocks, widths = unet.config.down_block_types, unet.config.block_out_channels
    last = len(blocks) - 1
    levels = [index if kind.startswith("CrossAttn") else min(index + 1, last) for index, kind in enumerate(blocks)]
    return [(width, side >> level) for width, level in zip((*widths, widths[-1]), (*levels, last))]


def check_features(features: Sequence[Tensor], places: list[tuple[int, int]]) -> None:
    """The library would leave out of use what it has no place for."""
    found = [(each.shape[1], each.shape[2]) for each in features]
    if found not in (places, places[:-1]):
        said, taken = (", ".join(f"{width} x {side}" for width, side in each) for each in (found, places))
        raise ValueError(f"its features (channels x side) are {said}, the U-Net takes {taken}")
