"""Low-rank adaptations (Hu et al. 2021), merged into a checkpoint's networks when it is loaded: W + weight B A."""

from __future__ import annotations

import math
from pathlib import Path

import diffusers
from torch import nn

from .checkpoint import Checkpoint, first_line
from .schedulers import make_scheduler


def parse_lora(text: str | None) -> list[tuple[Path, float]]:
    """FILE or FILE:WEIGHT, several with commas between, as (file, weight); ValueError where one is not there."""
    parsed = []
    for one in filter(None, (part.strip() for part in (text or "").split(","))):
        name, colon, tail = one.rpartition(":")
        # A colon may belong to the path: of a Windows drive, for one.
        path, weight = (Path(name), _number(tail)) if colon and not Path(one).exists() else (Path(one), 1.0)
        if weight is None:
            raise ValueError(f"--lora {one!r} must be FILE or FILE:WEIGHT, a finite number such as 0.8; got {tail!r}")
        if not path.is_file():
            raise ValueError(f"--lora {str(path)!r} is no file; give a .safetensors file of LoRA weights")
        parsed.append((path, weight))
    return parsed


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def merge_lora(checkpoint: Checkpoint, vae: nn.Module, path: Path, weight: float) -> None:
    """Merge a file's low-rank weights into the checkpoint's networks, in place.

    diffusers and peft read the file, in any of the layouts that they know. Merged, they cost nothing at each step.
    """
    family = checkpoint.family
    names = [name for part in family.text for name in (part.encoder, part.tokenizer)]
    pipeline = getattr(diffusers, family.pipeline)(
        vae=vae,
        scheduler=make_scheduler(checkpoint.scheduler_config),
        **{name: checkpoint.parts.get(name) for name in names},
        **family.not_drawing,
        **{family.denoiser_part: checkpoint.parts[family.denoiser_part]},
    )
    try:
        pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name="merged", local_files_only=True)
        found = [name for names in pipeline.get_list_adapters().values() for name in names]
        if "merged" not in found:
            raise ValueError("none of its weights belongs to this model")
        pipeline.fuse_lora(lora_scale=weight, adapter_names=["merged"])
        pipeline.unload_lora_weights()
    except Exception as error:  # noqa: BLE001  # the libraries raise what they like: all of it means that file and model do not fit
        raise ValueError(f"--lora {path} does not fit this model ({family.name}): {first_line(error)}") from None
