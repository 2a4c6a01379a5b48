"""From a name, a folder or a hub id to a loaded model, with every failure in one line that says what would do."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from huggingface_hub import errors, snapshot_download
from safetensors import SafetensorError
from transformers import CLIPTextModel, CLIPTokenizer

from . import registry
from .autoencoder import Autoencoder
from .conditioning import ClipConditioner, load_words
from .denoisers import UnetDenoiser
from .pipeline import LatentDiffusion
from .sampling import make_scheduler

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SHORT = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
FILES = ["model_index.json", "scheduler/*.json", "tokenizer/*", "text_encoder/*.json", "unet/*.json", "vae/*.json",
         "text_encoder/model*.safetensors", "unet/diffusion_pytorch_model*.safetensors",
         "vae/diffusion_pytorch_model*.safetensors",
         "config.json", "diffusion_pytorch_model*.safetensors"]  # fmt: skip  # the last two: an autoencoder alone
NOT_FILES = ["*.fp16*", "*non_ema*"]  # the same weights once more
AUTOENCODERS = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}


def load(name: str, device: str | None = None, dtype: str | torch.dtype | None = None,
         vae: str | None = None) -> LatentDiffusion:  # fmt: skip
    """A model by registry name, diffusers folder or hub id; `vae` swaps its autoencoder for another's.

    device None is CUDA, else Apple's, else the CPU. dtype (of the denoiser; all else stays float32) None is bfloat16
    on CUDA and on CPUs with AMX, else float32. ValueError says in one line what was wrong and what would do.
    """
    quiet()
    device = choose_device(device)
    dtype = choose_dtype(dtype, device)
    spec = registry.find(name)
    folder = local_folder(spec)
    if not (folder / "model_index.json").exists():
        raise ValueError(f"model {name!r} is no diffusers checkpoint: {folder} has no model_index.json")
    index = read_json(folder / "model_index.json")
    pipeline_class = index.get("_class_name")
    if pipeline_class != "StableDiffusionPipeline":
        raise ValueError(f"model {name!r} is a {pipeline_class}; this version runs StableDiffusionPipeline folders")
    vae_folder = autoencoder_folder(vae) if vae else folder / "vae"
    autoencoder = load_autoencoder(vae_folder, device)
    unet = network(UNet2DConditionModel, folder / "unet", dtype).to(device)
    text_encoder = network(CLIPTextModel, folder / "text_encoder", torch.float32).to(device)
    tokenizer = load_tokenizer(folder / "tokenizer")
    check_latents(unet, autoencoder, vae)
    if name not in registry.MODELS:  # a stranger's native size is in its own config; a world, where it was trained here
        side = unet.config.sample_size * autoencoder.factor
        world = index.get("_world") if index.get("_world") in registry.WORLDS else ""
        spec = dataclasses.replace(spec, height=side, width=side, world=world)
    conditioner = ClipConditioner(tokenizer, text_encoder, load_words(folder / "tokenizer"))
    scheduler_config = read_json(folder / "scheduler" / "scheduler_config.json")
    make_scheduler(scheduler_config)
    folders = (folder, vae_folder) if vae else (folder,)
    return LatentDiffusion(spec, conditioner, UnetDenoiser(unet), autoencoder, scheduler_config, folders, vae)


def quiet() -> None:
    """Keep the libraries' progress bars and advice off the user's screen; errors still come through."""
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="diffusers|transformers|huggingface_hub")


def choose_device(device: str | None) -> str:
    """The device asked for, if it is there; else the best one."""
    if device is None:
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} cannot be used here: {str(error).splitlines()[0]}") from None
    return device


def choose_dtype(dtype: str | torch.dtype | None, device: str) -> torch.dtype:
    """The denoiser's precision: as asked for, else bfloat16 where it is known to be faster."""
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype is None:
        fast = device.startswith("cuda") or (device == "cpu" and torch.cpu._is_amx_tile_supported())
        return torch.bfloat16 if fast else torch.float32
    known = SHORT.get(dtype, dtype)
    if known not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join([*SHORT, *DTYPES])}, got {dtype!r}")
    return DTYPES[known]


def local_folder(spec: registry.ModelSpec | registry.AutoencoderSpec) -> Path:
    """The folder of a model, downloaded first where it lives on the hub."""
    if Path(spec.source).is_dir():
        return Path(spec.source)
    if spec.embedded:
        raise ValueError(f"model {spec.name!r} should be at {spec.source}, which is missing: is the clone complete?")
    try:
        wanted = {"allow_patterns": FILES, "ignore_patterns": NOT_FILES}
        return Path(snapshot_download(spec.source, revision=spec.revision, **wanted))
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


def network(kind: type, folder: Path, dtype: torch.dtype) -> torch.nn.Module:
    """One network of a checkpoint in the precision asked for, with every one of its weights."""
    if not folder.is_dir():
        raise ValueError(f"the checkpoint is not whole: {folder} is missing")
    try:
        module, found = kind.from_pretrained(folder, torch_dtype=dtype, local_files_only=True, output_loading_info=True)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:  # each means damage here
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"cannot load {folder}: {reason}") from None
    if found["missing_keys"]:  # the libraries would fill them at random
        missing = sorted(found["missing_keys"])
        raise ValueError(f"cannot load {folder}: {len(missing)} weights are missing, {missing[0]} among them")
    return module


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """A checkpoint's tokenizer; without its files the library would make an empty one."""
    for names in (("tokenizer_config.json",), ("vocab.json", "tokenizer.json")):
        if not any((folder / name).exists() for name in names):
            raise ValueError(f"the checkpoint is not whole: {folder / names[0]} is missing")
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def read_json(path: Path) -> dict:
    """A checkpoint's own config file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ValueError(f"the checkpoint is not whole: {path} is missing") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def autoencoder_folder(name: str) -> Path:
    """The folder of an autoencoder by its or a model's registry name, a folder or a hub id: its own, or the `vae` part."""
    folder = local_folder(registry.find_autoencoder(name))
    return folder / "vae" if (folder / "vae").is_dir() else folder


def load_autoencoder(folder: Path, device: str = "cpu") -> Autoencoder:
    """The autoencoder of a folder, in float32."""
    if not (folder / "config.json").exists():
        raise ValueError(f"vae {str(folder)!r} is no autoencoder folder: it has no config.json")
    class_name = read_json(folder / "config.json").get("_class_name")
    if class_name not in AUTOENCODERS:
        raise ValueError(f"vae {str(folder)!r} is a {class_name}; this version takes {', '.join(AUTOENCODERS)}")
    return Autoencoder(network(AUTOENCODERS[class_name], folder, torch.float32).to(device))


def check_latents(unet: UNet2DConditionModel, autoencoder: Autoencoder, vae: str | None) -> None:
    """A swapped autoencoder must speak the denoiser's latents."""
    if unet.config.in_channels != autoencoder.latent_channels:
        raise ValueError(
            f"vae {vae!r} has {autoencoder.latent_channels} latent channels, "
            f"the denoiser takes {unet.config.in_channels}"
        )
