"""The files of a model, an autoencoder or a control: a folder that is there, or one downloaded from the hub, of which only what
is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import errors, snapshot_download

from .registry import AutoencoderSpec, ControlSpec, ModelSpec

WEIGHTS = "diffusion_pytorch_model*.safetensors"
VAE_FILES = ["vae/*.json", f"vae/{WEIGHTS}", "config.json", WEIGHTS]  # the last two: an autoencoder alone
FILES = [
    "model_index.json",
    "scheduler/*.json",
    "low_res_scheduler/*.json",
    "tokenizer*/*",
    "text_encoder*/*.json",
    "text_encoder*/model*.safetensors",
    "unet/*.json",
    f"unet/{WEIGHTS}",
    "transformer/*.json",
    f"transformer/{WEIGHTS}",
    *VAE_FILES,
]
CONFIG_FILES = ["model_index.json", "*/*.json", "tokenizer*/*"]
NOT_FILES = ["*.fp16*", "*non_ema*"]  # the same weights once more


def local_folder(spec: ModelSpec | AutoencoderSpec | ControlSpec, files: Sequence[str] = FILES) -> Path:
    """The folder of a model, downloaded first where it lives on the hub: of its files, those that fit the patterns."""
    if Path(spec.source).is_dir():
        return Path(spec.source)
    if spec.embedded:
        raise ValueError(f"model {spec.name!r} should be at {spec.source}, which is missing: is the clone complete?")
    try:
        found = snapshot_download(
            spec.source, revision=spec.revision, allow_patterns=list(files), ignore_patterns=NOT_FILES
        )
        return Path(found)
    except errors.GatedRepoError:
        raise ValueError(
            f"{spec.source} is gated: accept its licence on huggingface.co, then run `hf auth login`"
        ) from None
    except errors.RepositoryNotFoundError:
        raise ValueError(f"no model {spec.source!r} on the hub (or it is private: run `hf auth login`)") from None
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError) as error:
        raise ValueError(
            f"{spec.source} is not in the local cache and the hub cannot be reached ({type(error).__name__}); "
            "go online, or give a folder, or use the embedded model 'scenes'"
        ) from None
