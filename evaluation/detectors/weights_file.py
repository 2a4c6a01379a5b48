"""The file of a detector's weights: fp16 safetensors with what was measured of it, known by its hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from ldm_core.files import whole_file


class OwnDetector(nn.Module):
    """What a detector trained by this repository says of itself; its weights lie where its class says."""

    name: str
    dimension: int  # numbers in a feature
    resize: str
    scores: tuple[str, ...]  # the scores an image that `extract` gives
    weights: Path
    sha256: str  # of the weights, once they are read


def save_weights(detector: OwnDetector, measured: dict | None = None) -> None:
    """Write the weights as fp16 where the detector's class says, whole or not at all."""
    half = {name: value.half().contiguous() for name, value in detector.state_dict().items()}
    with whole_file(detector.weights) as partial:
        save_file(half, partial, metadata={"measured": json.dumps(measured)} if measured else None)


def load_weights(detector: OwnDetector) -> dict:
    """Fill a detector in float32, ready to use, its `.sha256` set; returns what was measured of it."""
    path = detector.weights
    if not path.exists():
        raise ValueError(
            f"no detector weights at {path}; make them: python -m evaluation.detectors.train_{detector.name.removesuffix('_detector')}"
        )
    with safe_open(path, framework="pt") as stored:
        names = stored.keys()  # no dictionary: it cannot be gone through itself
        detector.load_state_dict({name: stored.get_tensor(name).float() for name in names})
        measured = json.loads((stored.metadata() or {}).get("measured", "{}"))
    detector.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    detector.eval().requires_grad_(False)
    return measured
