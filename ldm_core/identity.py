"""Which model it was: hashes over everything in a checkpoint's files that decides a picture."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

OLDER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt")
LOADED = (
    "model",
    "diffusion_pytorch_model",
)  # how the names of weights begin that the libraries load, before any older
GRAPHS = ("*.onnx", "*.xml", "*.bin")  # of an export
DECIDING = (
    "export.json",
    "config.json",
    "model_index.json",
    *(f"{part}/*.json" for part in ("scheduler", "unet", "transformer", "vae", "text_encoder*")),
    *(f"tokenizer*/*.{kind}" for kind in ("json", "txt", "model")),
)


def weights_hash(files: Iterable[Path], merged_by: Iterable[float] = ()) -> str:
    """SHA-256 over the weight files of a checkpoint, of a swapped autoencoder and of what was merged in; files of older
    formats count where a folder has no .safetensors, for there they are what is loaded. merged_by: the weight of each file
    that was merged in; where all are 1 it is as if they were not given."""
    digest = hashlib.sha256()
    for path in files:
        found = sorted(path.rglob("*.safetensors")) if path.is_dir() else [path]
        safe = {each.parent for each in found if each.name.startswith(LOADED)}
        kinds = GRAPHS if (path / "export.json").is_file() else OLDER_WEIGHTS
        older = (each for kind in kinds for each in path.rglob(kind) if each.parent not in safe)
        for each in (*found, *sorted(older)):
            with each.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    merged = list(merged_by)
    if any(weight != 1 for weight in merged):
        digest.update(repr(merged).encode())
    return digest.hexdigest()


def configs_hash(files: Iterable[Path]) -> str:
    """SHA-256 over all else in the folders of a checkpoint that decides a picture: configs, schedules, tokenizers."""
    digest = hashlib.sha256()
    for folder in (path for path in files if path.is_dir()):
        for pattern in DECIDING:
            for path in sorted(folder.glob(pattern)):
                digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
