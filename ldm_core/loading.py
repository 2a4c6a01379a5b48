"""From a name, a folder, a file or a hub id to a loaded model, with every failure in one line that says what would do."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import diffusers
import torch
import transformers

from . import registry
from .adapted import base_folder, read_adapted
from .autoencoder import Autoencoder
from .checkpoint import AUTOENCODERS, Checkpoint, network, read_checkpoint, read_json
from .checks import first_line, shown
from .conditioning import Conditioner, Conditioning, load_words
from .defaults import with_own_defaults
from .denoisers import Denoiser
from .engine import check_engine, use_engine
from .exported import Export, empty_network
from .family import Family
from .hub import CONFIG_FILES, VAE_FILES, local_folder
from .lora import merge_lora, parse_lora
from .pipeline import LatentDiffusion
from .placement import Placement, choose_device
from .precision import choose_dtype
from .sampling import check_scheduler
from .single_file import hub_id_of, read_single_file

Named = str | os.PathLike[str]  # a registry name, a hub id, or where something lies


def load(
    name: Named,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    vae: Named | None = None,
    *,
    lora: Named | None = None,
    config: Named | None = None,
    control: Named | None = None,
    offload: bool = False,
    compiled: bool = False,
    engine: str | None = None,
) -> LatentDiffusion:
    """A model by registry name, diffusers folder, single .safetensors file or hub id.

    device None is CUDA, else Apple's, else the CPU. dtype None is bfloat16 on CUDA and on CPUs that calculate in it
    (AVX-512 BF16 or AMX), else float32; it is the denoiser's; autoencoders stay in float32, and so do text encoders but
    the large ones of SDXL and SD 3.5 in bfloat16. vae swaps the autoencoder for another's. lora is FILE or FILE:WEIGHT,
    several with commas between, merged into the networks. config is a diffusers folder of a single file's family.
    control is a ControlNet or T2I-Adapter, by registry name, folder or hub id (tasks/control.py).
    offload keeps each network on the device only while it works. compiled lets torch compile the denoiser, which pays
    in long runs. engine is torch or, on CPUs, openvino, whose pictures differ by rounding; None is what LDM_ENGINE says,
    else openvino where a trial finds it quicker and agreeing, which is made once for these weights on this machine.

    ValueError says in one line what was wrong and what would do.
    """
    quiet()
    name = path_text("name", name) or ""
    vae, lora = path_text("vae", vae), path_text("lora", lora)
    config, control = path_text("config", config), path_text("control", control)
    placement = Placement(choose_device(device), offload)
    spec = registry.find(name)
    export = Export.find(Path(spec.source))
    if export is not None:
        export.check(engine, placement.device.type, dtype, lora)
        dtype, engine = export.dtype, "openvino"
    dtype = choose_dtype(dtype, placement.device.type)
    engine = check_engine(engine, placement.device.type, dtype, compiled)
    loras = parse_lora(lora)
    if vae:
        _check_latents(spec, vae)
    placement.check_room(spec.name, spec.memory_gb * (2 if dtype == torch.float32 else 1))
    checkpoint, own_vae, files = _read(spec, name, config, dtype)
    if vae:
        own_vae = autoencoder_folder(vae)
        files = (*files, own_vae)
    autoencoder = _autoencoder(own_vae, checkpoint.family, str(placement.home), export)
    for path, weight in loras:
        merge_lora(checkpoint, autoencoder.vae, path, weight)
    model = _assembled(spec, checkpoint, autoencoder, files, vae, lora, dtype, placement)
    _set_going(model, export, engine, compiled)
    return model.with_control(control) if control else model


def path_text(option: str, value: object) -> str | None:
    """A name, or a path of any kind, as text; None where there is none. ValueError for what is neither."""
    if value is None:
        return None
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or "\0" in text:
        raise ValueError(f"{option} must be a name or a path, got {shown(value)}")
    return text


def _autoencoder(source: Path | torch.nn.Module, family: Family, home: str, export: Export | None) -> Autoencoder:
    """Of a folder, or as a single file held it, with the scale that the family sets; of an export without weights."""
    if isinstance(source, Path):
        read = empty_network if export is not None and source == export.folder / "vae" else network
        autoencoder = load_autoencoder(source, home, read)
    else:
        autoencoder = Autoencoder(source.to(home))
    autoencoder.scaling = family.scaling_factor or autoencoder.scaling
    return autoencoder


def _assembled(
    spec: registry.ModelSpec,
    checkpoint: Checkpoint,
    autoencoder: Autoencoder,
    files: tuple[Path, ...],
    vae: str | None,
    lora: str | None,
    dtype: torch.dtype,
    placement: Placement,
) -> LatentDiffusion:
    """The model of parts that have been read; ValueError where they do not fit together."""
    check_scheduler(checkpoint.scheduler_config)
    conditioner, denoiser = assemble(checkpoint, autoencoder.factor, dtype, placement)
    if denoiser.latent_channels != autoencoder.latent_channels:
        raise ValueError(
            f"vae {vae!r} has {autoencoder.latent_channels} latent channels, the denoiser takes {denoiser.latent_channels}"
        )
    if spec not in registry.MODELS.values():
        spec = with_own_defaults(spec, checkpoint, autoencoder.factor)
    conditioner.words = load_words(files)
    return LatentDiffusion(
        spec,
        conditioner,
        denoiser,
        autoencoder,
        checkpoint.scheduler_config,
        (*files, *(path for path, _ in parse_lora(lora))),
        vae,
        lora,
        placement,
        checkpoint.configs,
        checkpoint.family,
    )


def _set_going(model: LatentDiffusion, export: Export | None, engine: str | None, compiled: bool) -> None:
    """Its networks run once, by what they are to run by."""
    if export is not None:
        model.spec = dataclasses.replace(model.spec, **export.defaults)
        export.run(model)
    _rehearse(model, native=export is not None)
    if compiled:
        model.denoiser.compile()
    if export is None:
        use_engine(model, engine)


def _rehearse(model: LatentDiffusion, native: bool) -> None:
    """Each network works once on next to nothing: configs hold values that only then turn out to be none. Or at the size
    that it is for, where graphs may have no other."""
    denoiser, side = model.denoiser, 8 * model.denoiser.patch_size
    sides = (model.height // model.factor, model.width // model.factor) if native else (side, side)
    try:
        with model.placement.using(*model.conditioner.networks):
            conditioning = Conditioning.stack([model.conditioner.encode(model.conditioner.nothing)])
        latent = torch.zeros(1, denoiser.in_channels, *sides, device=model.device)
        with model.placement.using(denoiser.network):
            denoiser(latent, torch.tensor(1), conditioning, 1)
        model.decode(torch.zeros_like(latent[:, : denoiser.latent_channels]))
    except Exception as error:  # noqa: BLE001  # the libraries raise what they like: all of it means that this checkpoint cannot draw
        raise ValueError(f"model {model.spec.name!r} cannot draw: {first_line(error)}") from None
    denoiser.calls = denoiser.rows = 0


def _read(
    spec: registry.ModelSpec,
    name: str,
    config: str | None,
    dtype: torch.dtype,
) -> tuple[Checkpoint, Path | torch.nn.Module, tuple[Path, ...]]:
    """The checkpoint, its autoencoder or the folder of it, and the files of its weights."""
    if Path(spec.source).is_file():
        checkpoint, vae = read_single_file(Path(spec.source), _configs(Path(spec.source), config), dtype)
        return checkpoint, vae, (Path(spec.source), *checkpoint.beside)
    if config is not None:
        raise ValueError(f"--config {config} goes with a single .safetensors file; {name!r} brings its own")
    folder = local_folder(spec)
    if not (folder / "model_index.json").exists():
        raise ValueError(f"model {name!r} is no diffusers checkpoint: {folder} has no model_index.json")
    base = base_folder(folder)
    if base is not None:
        return read_adapted(folder, base, dtype), base / "vae", (folder, base)
    read = empty_network if Export.find(folder) is not None else network
    return read_checkpoint(folder, dtype, read), folder / "vae", (folder,)


def _configs(path: Path, config: str | None) -> Path:
    """The folder that says what a single file does not: the one given, or its family's on the hub."""
    if config is not None:
        return Path(config)
    source = hub_id_of(path)
    try:
        return local_folder(registry.ModelSpec(path.stem, source), CONFIG_FILES)
    except ValueError as error:
        raise ValueError(f"model {str(path)!r} needs the configs of {source}; give --config FOLDER ({error})") from None


def assemble(
    checkpoint: Checkpoint,
    factor: int,
    dtype: torch.dtype,
    placement: Placement,
) -> tuple[Conditioner, Denoiser]:
    """A family's conditioner and denoiser from the parts of a checkpoint, each where the placement wants it."""
    family, parts = checkpoint.family, checkpoint.parts
    net = parts[family.denoiser_part].to(placement.home)
    encoders = family.text_encoders(parts, placement.home, dtype)
    try:
        conditioner = family.conditioner(encoders, checkpoint.index, net)
        return conditioner, family.denoiser(net, factor, parts, checkpoint.index)
    except (TypeError, AttributeError) as error:  # a config's value of another kind than the libraries ask for
        raise ValueError(f"the checkpoint's configs do not fit together: {first_line(error)}") from None


def quiet() -> None:
    """Keep the libraries' progress bars and advice off the user's screen; errors still come through."""
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="diffusers|transformers|huggingface_hub")


def autoencoder_folder(name: str) -> Path:
    """The folder of an autoencoder by its or a model's registry name, a folder or a hub id: its own, or the `vae` part."""
    folder = local_folder(registry.find_autoencoder(name), VAE_FILES)
    return folder / "vae" if (folder / "vae").is_dir() else folder


def load_autoencoder(folder: Path, device: str = "cpu", read: Callable = network) -> Autoencoder:
    """The autoencoder of a folder, in float32."""
    if not (folder / "config.json").exists():
        raise ValueError(f"vae {str(folder)!r} is no autoencoder folder: it has no config.json")
    class_name = read_json(folder / "config.json").get("_class_name")
    if not isinstance(class_name, str) or class_name not in AUTOENCODERS:
        raise ValueError(f"vae {str(folder)!r} is a {shown(class_name)}; this version takes {', '.join(AUTOENCODERS)}")
    return Autoencoder(read(AUTOENCODERS[class_name], folder, torch.float32).to(device))


def _check_latents(spec: registry.ModelSpec, vae: str) -> None:
    """A swapped autoencoder must speak the denoiser's latents, as far as the registry knows both."""
    other = registry.find_autoencoder(vae)
    theirs = other.latents if isinstance(other, registry.AutoencoderSpec) else ""
    if spec.latents and theirs and spec.latents != theirs:
        raise ValueError(f"vae {vae!r} keeps latents of {theirs}, model {spec.name!r} draws those of {spec.latents}")
