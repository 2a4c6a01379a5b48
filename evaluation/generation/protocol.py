"""What a run's images are made by: everything but prompt, seed and scale that changes a pixel; and its folder's agreement."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ldm_core.pipeline import LatentDiffusion
from ldm_core.recipe import FORMER
from ldm_core.settings import SamplingSettings

from ..config import RunConfig
from ..run_facts import RunFacts
from .axes import MODEL, Condition
from .starts import protocol_of_starts
from .steering import protocol_of_steering

CPU_ROWS = 16  # rows of a network call
OF_MODEL = ("weights", "configs", "steps", "scheduler", "height", "width")  # what another model brings along
LATER = ("configs",)  # keys that earlier runs do not have: those go on without, under the fingerprints that they had


def protocol_of(config: RunConfig, settings: SamplingSettings, model: LatentDiffusion) -> dict[str, Any]:
    """Everything but prompt, seed and guidance scale that changes a pixel; ValueError where the model cannot take it."""
    rows = 2 * config.batch_size if model.device.type == "cuda" else CPU_ROWS
    made = model.resolve(settings).resolved(rows_per_call=rows)
    values = {name: value for name, value in made.stored().items() if name != "guidance_scale"}
    return values | {
        "weights": model.weights,
        "configs": model.configs,
        "dtype": model.precision,
        "run_seed": config.seed,
        **protocol_of_starts(config),
        **protocol_of_steering(config),
        **({"compiled": True} if config.compile else {}),  # came later: earlier runs keep their fingerprints
        **({} if model.engine == "torch" else {"engine": model.engine}),  # and so did this
    }


def fingerprint(protocol: Mapping[str, Any]) -> str:
    """The name of a protocol's image folder."""
    return hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()[:12]


def as_known_to(before: RunFacts, protocol: Mapping[str, Any]) -> dict[str, Any]:
    """A protocol without the keys that an earlier run does not have because they came later."""
    return {name: value for name, value in protocol.items() if name not in LATER or name in before.protocol}


def check_folder(out: Path, protocol: Mapping[str, Any], conditions: Sequence[Condition]) -> RunFacts | None:
    """The folder is new, or holds a run of this protocol, apart from what is swept there or here; and it can be written.

    What is known of the run that is there; None where there is none. ValueError where it is another.
    """
    before = RunFacts.read(out) if (out / "run.json").exists() else None
    if before is not None:
        former = {name: before.protocol[name] for name in FORMER if before.protocol.get(name) is not None}
        if former:
            raise ValueError(
                f"--out {out} holds a run with {former}, which is no setting any more; choose another folder"
            )
        protocol = as_known_to(before, protocol)
        free = swept(conditions) | swept(before.conditions)
        changed = [
            f"{key}: {_said(before.protocol.get(key))} there, {_said(protocol.get(key))} now"
            for key in dict.fromkeys([*protocol, *before.protocol])
            if before.protocol.get(key) != protocol.get(key) and key not in free
        ]
        if changed:
            raise ValueError(
                f"--out {out} holds a run with another protocol ({'; '.join(changed)}); choose another folder"
            )
    parent = next(folder for folder in [out, *out.absolute().parents] if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ValueError(f"--out {out} cannot be written: {parent} is no folder that is open to writing")
    return before


def _said(value: object) -> str:
    return "nothing" if value in ("", None) else str(value)


def swept(conditions: Sequence[Condition]) -> set[str]:
    """The keys of the protocol in which conditions differ among themselves, or might: what their axes decide."""
    named = {name for condition in conditions for name, _ in condition.values}
    differing = {name for one in conditions for name in conditions[0].settings.changes(one.settings)}
    return named | differing | (set(OF_MODEL) if MODEL in named else set())
