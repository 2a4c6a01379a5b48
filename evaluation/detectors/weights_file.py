"""The file of a detector's weights: fp16 safetensors with what was measured of it, known by its hash."""

from __future__ import annotations

import hashlib
import json
import os

from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn


def save_weights(detector: nn.Module, measured: dict | None = None) -> None:
    """Write the weights as fp16 where the detector's class says, beside their place first."""
    path = detector.weights
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    half = {name: value.half().contiguous() for name, value in detector.state_dict().items()}
    save_file(half, partial, metadata={"measured": json.dumps(measured)} if measured else None)
    os.replace(partial, path)


def load_weights(detector: nn.Module) -> dict:
    """Fill a detector in float32, ready to use, its `.sha256` set; returns what was measured of it."""
    path = detector.weights
    if not path.exists():
        raise ValueError(
            f"no detector weights at {path}; make them: python -m evaluation.detectors.train_{detector.name.removesuffix('_detector')}"
        )
    with safe_open(path, framework="pt") as stored:
        detector.load_state_dict({name: stored.get_tensor(name).float() for name in stored.keys()})  # noqa: SIM118
        measured = json.loads((stored.metadata() or {}).get("measured", "{}"))
    detector.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    detector.eval().requires_grad_(False)
    return measured
