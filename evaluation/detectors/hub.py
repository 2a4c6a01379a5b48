"""Published networks that detectors stand on: a folder, or the hub's local cache; downloaded only where asked for."""

from __future__ import annotations

import os
from pathlib import Path

from huggingface_hub import errors, snapshot_download

FILES = ["*.json", "*.txt", "model*.safetensors"]


def hub_folder(variable: str, default: str, download: bool) -> Path:
    """The folder of the network that an environment variable names (a folder or a hub id), else of the default id.

    ValueError says what is missing and what would bring it.
    """
    name = os.environ.get(variable, default)
    if Path(name).is_dir():
        return Path(name)
    try:
        return Path(snapshot_download(name, allow_patterns=FILES, local_files_only=not download))
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, errors.HFValidationError, OSError) as error:
        tried = (
            f"and the hub cannot be reached ({type(error).__name__})" if download else "(--metrics asks for a download)"
        )
        raise ValueError(
            f"{name} is not in the local cache {tried}; set {variable} to a folder that holds it"
        ) from None
