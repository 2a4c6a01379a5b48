"""Arrays that take long to make, kept in a file for a run that goes on: of these pictures by this network, and whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from torch import nn

from ..files import whole_file, write_whole
from .everyday import Drawings


def kept_array(path: Path, identity: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """What `make` gives, kept at `path` and mapped from there; made again unless the file is that very one.

    `identity` says what it is made of. A file beside it holds that and the hash of its bytes: neither an array of other
    pictures or of another network is taken, nor one that is cut or holds other bytes.
    """
    seal = path.with_name(f"{path.name}.sha256")
    if not _is_sealed(path, seal, identity):
        seal.unlink(missing_ok=True)
        with whole_file(path) as partial, partial.open("wb") as file:
            np.save(file, make())
        write_whole(seal, f"{_sha256(path)} {identity}\n")
    return np.load(path, mmap_mode="r")


def _is_sealed(path: Path, seal: Path, identity: str) -> bool:
    try:
        return seal.read_text(encoding="utf-8") == f"{_sha256(path)} {identity}\n"
    except (OSError, UnicodeDecodeError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identity_of_pictures(images: np.ndarray | Drawings) -> str:
    """SHA-256 of pictures, uint8 (N, H, W, 3). Of drawings that are made as they are asked for it is that of their scenes
    and size, and of three of them as they are drawn today."""
    if isinstance(images, np.ndarray):
        digest = hashlib.sha256(f"{images.shape} {images.dtype}".encode())
        digest.update(np.ascontiguousarray(images).data)
        return digest.hexdigest()
    digest = hashlib.sha256(f"{len(images)} {images.size}".encode())
    for scene in images.scenes:
        digest.update(repr(scene).encode())
    for index in sorted({0, len(images) // 2, len(images) - 1}):
        digest.update(images[index].tobytes())
    return digest.hexdigest()


def identity_of_network(network: nn.Module, *more: object) -> str:
    """SHA-256 of a network's weights, and of numbers that go with them."""
    digest = hashlib.sha256(repr(more).encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
