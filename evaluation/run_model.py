"""The model of a run: the one asked for or the best that this machine can run, loaded alike in all its processes."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from huggingface_hub import try_to_load_from_cache

import ldm_core
from ldm_core.pipeline import LatentDiffusion
from ldm_core.registry import MODELS, find

from .config import RunConfig
from .processes import Processes
from .run_facts import RunFacts


def choose_model(name: str | None, device: str | None) -> tuple[str, str]:
    """The model to run, and why: the one asked for, else the best this machine can really run."""
    if name is not None:
        find(name)
        return name, "asked for"
    if device == "cpu" or not torch.cuda.is_available():
        return "scenes", "embedded: no CUDA device"
    spec = MODELS["sd1.5"]
    if isinstance(try_to_load_from_cache(spec.source, "model_index.json"), str):
        return spec.name, "a CUDA device and its weights are here"
    return "scenes", "embedded: the weights of sd1.5 are not in the local cache (--model sd1.5 downloads 4.3 GB)"


def load_model(name: str | None, config: RunConfig, processes: Processes) -> LatentDiffusion:
    """The model of a name, or the best one, with what else the run asks of its networks."""
    device = processes.device(config.device)
    name, why = choose_model(name, device)
    if processes.first:
        print(f"model: {name} ({why})", flush=True)
    load = functools.partial(
        ldm_core.load,
        name,
        device,
        config.dtype,
        config.vae,
        lora=config.lora,
        config=config.config,
        control=config.control,
        offload=config.offload,
        compiled=config.compile,
    )
    model = load(engine=config.engine or _engine_of_folder(name, config))
    chosen = processes.broadcast(model.engine)  # machines may differ in which is quicker; a run has one
    return model if model.engine == chosen else load(engine=chosen)


def _engine_of_folder(name: str, config: RunConfig) -> str | None:
    """A run goes on by the engine that it began with, whichever would be chosen today."""
    out = config.out or default_folder(find(name).name, config)
    facts = RunFacts.read(out) if (out / "run.json").exists() else None
    return facts.protocol.get("engine", "torch") if facts is not None else None


def default_folder(model: str, config: RunConfig) -> Path:
    """Where a run goes that was given no --out."""
    return Path("runs") / f"{model}-{config.prompts.stem}"
