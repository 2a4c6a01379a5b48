"""Published networks that detectors stand on: a folder, or the hub's local cache; downloaded only where that is agreed."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import httpx
from huggingface_hub import constants, errors, snapshot_download

from ldm_core.identity import weights_hash

from ..downloads import NO_DOWNLOADS, Downloads
from ..transfer import require_room

SMALL_FILES = ["*.json", "*.txt"]
PICKLED = "pytorch_model.bin"


@dataclass(frozen=True)
class Published:
    """A network on the hub: the variable that may name another, its id, and its file of weights with size and SHA-256."""

    variable: str
    id: str
    file: str
    size: int  # bytes
    sha256: str


def hub_folder(source: Published, downloads: Downloads = NO_DOWNLOADS) -> Path:
    """The folder of the network that an environment variable names (a folder or a hub id), else of the published one.

    ValueError says what is missing and what would bring it.
    """
    name = os.environ.get(source.variable) or source.id
    if Path(name).is_dir():
        return Path(name)
    patterns = [*SMALL_FILES, source.file if name == source.id else "model*.safetensors"]
    try:
        folder = Path(snapshot_download(name, allow_patterns=patterns, local_files_only=True))
        if any(folder.glob(patterns[-1])):
            return folder
    except (errors.LocalEntryNotFoundError, errors.HFValidationError, OSError):
        pass
    return _fetched(source, name, patterns, downloads)


def _fetched(source: Published, name: str, patterns: list[str], downloads: Downloads) -> Path:
    """The network's folder in the hub's cache, downloaded into it (the hub's client resumes and shows how far it is)."""
    size, cache = source.size if name == source.id else None, Path(constants.HF_HUB_CACHE)
    way = f"or set {source.variable} to a folder that holds it"
    try:
        downloads.permit(name, size, "the model hub", cache)
    except ValueError as error:
        raise ValueError(f"{error}, {way}") from None
    cache.mkdir(parents=True, exist_ok=True)
    require_room(cache, size or 0, name)
    try:
        folder = Path(snapshot_download(name, allow_patterns=patterns))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise ValueError(_unreachable(name, error, way)) from None
        raise OSError(error.errno, error.strerror, str(error.filename or cache)) from None
    except (errors.HFValidationError, httpx.HTTPError, RuntimeError) as error:  # hf_xet's are RuntimeErrors
        raise ValueError(_unreachable(name, error, way)) from None
    for file in sorted(folder.glob(patterns[-1])):
        verify(file, source.sha256 if name == source.id else "")
    return folder


def _unreachable(name: str, error: Exception, way: str) -> str:
    return f"{name} is not in the local cache and the hub cannot be reached ({type(error).__name__}); {way}"


def verify(file: Path, sha256: str = "") -> None:
    """ValueError, the file removed from the hub's cache, where its SHA-256 is not the published one.

    The hub's cache names a large file's content by its SHA-256, which is what is compared where none is given.
    """
    blob = file.resolve()
    expected = sha256 or (blob.name if len(blob.name) == 64 else "")
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if expected and found != expected:
        file.unlink()
        blob.unlink(missing_ok=True)
        raise ValueError(
            f"{file.name} as fetched is not the published file: its SHA-256 begins with {found[:8]}, not "
            f"{expected[:8]}; it was removed ({blob})"
        )


def network_hash(folder: Path) -> str:
    """What names a network's weights: the hash of its safetensors, of its pickled file where it has only that."""
    if any(folder.rglob("*.safetensors")) or not (folder / PICKLED).exists():
        return weights_hash([folder])
    return weights_hash([folder / PICKLED])
