"""What a run was made by: everything that changes a pixel, and every other fact that is needed to repeat it."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from ldm_core.pipeline import LatentDiffusion
from ldm_core.recipe import FORMER
from ldm_core.settings import FIELDS, SamplingSettings

from ..config import RunConfig

PACKAGES = ("torch", "diffusers", "transformers", "numpy", "pandas", "scipy", "pillow")


def protocol_of(config: RunConfig, model: LatentDiffusion) -> dict:
    """Everything but prompt, seed and scale that changes a pixel; checked on the way."""
    settings = model.resolve(settings_of(config))
    return {
        "weights": model.weights,
        "steps": settings.steps,
        "scheduler": settings.scheduler,
        "height": settings.height,
        "width": settings.width,
        "dtype": str(model.dtype).removeprefix("torch."),
        "guidance_schedule": config.guidance_schedule,
        "guidance_interval": list(config.guidance_interval) if config.guidance_interval else None,
        "guidance_rescale": config.guidance_rescale,
        "negative_prompt": config.negative_prompt,
        "rows_per_call": 2 * config.batch_size if model.device.type == "cuda" else 16,
        "run_seed": config.seed,
        **_named_where_set(config),
    }


def settings_of(config: RunConfig) -> SamplingSettings:
    """What the command line says of a picture, the scale apart."""
    return SamplingSettings.of(**{name: getattr(config, name) for name in FIELDS if hasattr(config, name)})


def _named_where_set(config: RunConfig) -> dict:
    """Options that came later: left out where they are not used, so that earlier runs keep their fingerprints."""
    found = {"compiled": config.compile or None}
    return {name: value for name, value in found.items() if value is not None}


def fingerprint(protocol: Mapping) -> str:
    """The name of a protocol's image folder."""
    return hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()[:12]


def check_folder(out: Path, protocol: Mapping) -> None:
    """The folder is new, or holds a run of this protocol; and it can be written. ValueError where not."""
    known = out / "run.json"
    if known.exists():
        before = _stored(known)
        former = {name: before[name] for name in FORMER if before.get(name) is not None}
        if former:
            raise ValueError(
                f"--out {out} holds a run with {former}, which is no setting any more; choose another folder"
            )
        changed = [
            f"{key}: {before.get(key)} there, {value} now"
            for key, value in protocol.items()
            if before.get(key) != value
        ]
        if changed:
            raise ValueError(
                f"--out {out} holds a run with another protocol ({'; '.join(changed)}); choose another folder"
            )
    parent = next(folder for folder in [out, *out.absolute().parents] if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ValueError(f"--out {out} cannot be written: {parent} is no folder that is open to writing")


def _stored(path: Path) -> dict:
    """The protocol of a run.json; ValueError where the file is none of ours."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["protocol"])
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise ValueError(f"--out {path.parent}: its {path.name} was not written by this command") from None


def machine() -> dict:
    """Where and by what a run was made."""
    return {
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
