"""A whole model in one .safetensors file in the layout of its authors, as diffusers converts it; and the marks in it.

Files of this kind hold no configs. What decides a picture beside weights stands there as keys, mostly empty tensors, which
the programs that people draw with agree on: `v_pred`, `ztsnr`, `edm_vpred.*` and `edm_mean`.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path

import diffusers
import torch
from diffusers.loaders.single_file_utils import fetch_diffusers_config, load_single_file_checkpoint
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from .checkpoint import Checkpoint, check_denoiser, check_numbers, load_tokenizer, network, read_json
from .checks import first_line
from .family import Family, family_of

EDM_PREDICTS_V = ("edm_vpred.sigma_min", "edm_vpred.sigma_max")  # CosXL
EDM_LATENTS = ("edm_mean", "edm_std")  # Playground v2.5: of the autoencoder's channels
EDM_SCALING = 0.5  # of latents that are normalised so
EDM_PLAYGROUND = {"sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5, "prediction_type": "epsilon"}


def hub_id_of(path: Path) -> str:
    """Whose configs a file goes by, as diffusers recognises it."""
    try:
        return fetch_diffusers_config(load_single_file_checkpoint(str(path)))["pretrained_model_name_or_path"]
    except Exception as error:  # noqa: BLE001  # the library raises what it likes: all of it means that the file is none of a model
        raise ValueError(f"model {str(path)!r} cannot be read: {first_line(error)}") from None


def read_single_file(path: Path, config: Path, dtype: torch.dtype) -> tuple[Checkpoint, nn.Module]:
    """The checkpoint in a file, and its autoencoder.

    config is a diffusers folder of the same family, for all that the file does not hold: tokenizers, schedulers, sizes.
    ValueError in one line where file and config do not fit, or a weight is missing.
    """
    index = read_json(config / "model_index.json")
    family = family_of(index, str(config))
    scheduler = read_json(config / "scheduler" / "scheduler_config.json")
    for part in (family.denoiser_part, "vae", *(part.encoder for part in family.text)):
        if (config / part / "config.json").is_file():
            check_numbers(config / part, path)
    try:
        with safe_open(path, "pt") as file:
            names = set(file.keys())
            marks = {name: file.get_tensor(name) for name in (*EDM_PREDICTS_V, *EDM_LATENTS) if name in names}
        beside = _beside(family, names, config)
        pipeline = getattr(diffusers, family.pipeline).from_single_file(
            str(path),
            config=str(config),
            local_files_only=True,
            torch_dtype=torch.float32,
            **beside,
        )
    except (OSError, SafetensorError) as error:
        raise ValueError(f"cannot load {path}: {first_line(error)}") from None
    except Exception as error:  # noqa: BLE001  # the library raises what it likes: all of it means that file and config do not fit
        for frame, _ in traceback.walk_tb(error.__traceback__):  # it fails without saying which weight it has not got
            _check_whole({type(part).__name__: part for part in frame.f_locals.values()}, path)
        raise ValueError(f"cannot load {path} with --config {config}: {first_line(error)}") from None
    parts = {name: part for name, part in pipeline.components.items() if part is not None}
    _check_whole(parts, path)
    check_denoiser(family, parts[family.denoiser_part], str(path))
    parts[family.denoiser_part] = parts[family.denoiser_part].to(dtype)
    scheduler = marked(family.scheduler_config(scheduler), names, marks)
    if set(EDM_LATENTS) <= names:
        mean, spread = (marks[name].flatten().tolist() for name in EDM_LATENTS)
        parts["vae"].register_to_config(latents_mean=mean, latents_std=spread, scaling_factor=EDM_SCALING)
    folders = tuple(config / part.encoder for part in family.text if beside.get(part.encoder) is not None)
    return Checkpoint(family, index, parts, scheduler, config, folders), parts["vae"]


def _beside(family: Family, names: set[str], config: Path) -> dict[str, object]:
    """Optional text encoders, with their tokenizers, that the file does not hold: the config folder's, or none."""
    found: dict[str, object] = {}
    for part in family.text:
        mark = family.single_file_marks.get(part.encoder)
        if mark is None or any(name.startswith(mark) for name in names):
            continue
        found |= {part.encoder: None, part.tokenizer: None}
        if list((config / part.encoder).glob("*.safetensors")):
            found[part.encoder] = network(part.encoder_class, config / part.encoder, torch.float32)
            found[part.tokenizer] = load_tokenizer(config / part.tokenizer, part.tokenizer_class)
    return found


def _check_whole(parts: Mapping[str, object], path: Path) -> None:
    """Every weight came from the file: the library leaves a missing one without values."""
    for name, part in parts.items():
        if isinstance(part, nn.Module):
            tensors = (*part.named_parameters(), *part.named_buffers())
            missing = sorted(key for key, value in tensors if value.is_meta)
            if missing:
                raise ValueError(
                    f"cannot load {path}: {len(missing)} weights of {name} are missing, {missing[0]} among them"
                )


def marked(config: dict, names: set[str], values: Mapping[str, Tensor]) -> dict:
    """A scheduler's config with what a file's marks say of how its model was trained."""
    if set(EDM_PREDICTS_V) <= names:
        low, high = (float(values[name]) for name in EDM_PREDICTS_V)
        trained = {"sigma_min": low, "sigma_max": high, "sigma_data": 1.0, "prediction_type": "v_prediction"}
        return {"_class_name": "EDMEulerScheduler", "sigma_schedule": "exponential"} | trained
    if set(EDM_LATENTS) <= names:
        return {"_class_name": "EDMDPMSolverMultistepScheduler"} | EDM_PLAYGROUND
    found = dict(config)
    if "v_pred" in names:
        found["prediction_type"] = "v_prediction"
    if "ztsnr" in names:  # noise without any signal at the end, which only trailing steps begin at (Lin et al. 2024)
        found |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
        own = getattr(diffusers, str(config.get("_class_name")), None)
        if own is None or "rescale_betas_zero_snr" not in own._get_init_keys(own):
            found = {key: found[key] for key in found if key not in ("_class_name", "skip_prk_steps")}
            found["_class_name"] = "EulerDiscreteScheduler"  # one that can begin there
    return found
