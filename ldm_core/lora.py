"""Low-rank adaptations (Hu et al. 2021), merged into a checkpoint's networks when it is loaded: W + weight B A."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from .checkpoint import Checkpoint
from .checks import check_real, first_line, shown
from .schedulers import make_scheduler


def parse_lora(text: str | None) -> list[tuple[Path, float]]:
    """FILE or FILE:WEIGHT, several with commas between, as (file, weight); ValueError where one is not there."""
    parsed = []
    for one in filter(None, (part.strip() for part in (text or "").split(","))):
        name, colon, tail = one.rpartition(":")
        # A colon may belong to the path: of a Windows drive, for one.
        path, weight = (Path(name), _number(tail)) if colon and not Path(one).exists() else (Path(one), 1.0)
        if weight is None:
            raise ValueError(f"--lora {one!r} must be FILE or FILE:WEIGHT, a finite number such as 0.8; got {tail!r}")
        if not path.is_file():
            raise ValueError(f"--lora {str(path)!r} is no file; give a .safetensors file of LoRA weights")
        parsed.append((path, weight))
    return parsed


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Pair:
    """One layer's low-rank weights in a file: the name that they share, A (rank, in, ...), and alpha / rank."""

    name: str
    down: Tensor
    scale: float


DOWN = re.compile(r"^(.+?)[._]lora(?:_linear_layer)?[._](?:A|down)(?:\.\w+)?\.weight$")
UP = re.compile(r"^(.+?)[._]lora(?:_linear_layer)?[._](?:B|up)(?:\.\w+)?\.weight$")
ALPHA = re.compile(r"^(.+?)(?:[._]lora(?:_linear_layer)?[._](?:A|down)(?:\.\w+)?\.weight)?\.alpha$")


def read_pairs(path: Path) -> list[Pair]:
    """All low-rank weights of a file; ValueError with names where it holds anything else (DoRA, LoHa, LoKr, biases)."""
    try:
        with safe_open(path, "pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping, and no iterator
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ValueError(f"--lora {path} cannot be read: {first_line(error)}") from None
    found: dict[re.Pattern[str], dict[str, Tensor]] = {kind: {} for kind in (DOWN, UP, ALPHA)}
    others = []
    for name, value in weights.items():
        kind, match = next(((kind, match) for kind in found if (match := kind.match(name))), (DOWN, None))
        if match is None:
            others.append(name)
        else:
            found[kind][match[1]] = value
    alone = sorted(set(found[DOWN]) ^ set(found[UP])) + sorted(set(found[ALPHA]) - set(found[DOWN]))
    if others or alone:
        wrong = others or alone
        what = "are no low-rank pairs, B A with an alpha, that can be merged" if others else "lack their other half"
        raise ValueError(f"--lora {path}: {len(wrong)} of its weights {what}: {', '.join(map(shown, wrong[:3]))}")
    odd = [name for name, value in weights.items() if not torch.isfinite(value.float()).all()]
    if odd:
        raise ValueError(f"--lora {path}: {len(odd)} of its weights are not finite: {', '.join(map(shown, odd[:3]))}")
    scale = _scale_of(metadata)
    try:
        return [
            Pair(name, down, float(found[ALPHA][name]) / down.shape[0] if name in found[ALPHA] else scale(name, down))
            for name, down in found[DOWN].items()
        ]
    except (
        RuntimeError,
        ValueError,
        IndexError,
        ZeroDivisionError,
    ) as error:  # an alpha of several numbers, a rank of 0
        raise ValueError(f"--lora {path} cannot be merged: {first_line(error)}") from None


def _scale_of(metadata: dict[str, str]) -> Callable[[str, Tensor], float]:
    """alpha / rank where a file says it in its header, as diffusers and peft write it, for all layers or by patterns of their
    names; else 1."""
    try:
        said = json.loads(metadata.get("lora_adapter_metadata", "{}"))
    except ValueError:
        said = {}

    def scale(name: str, down: Tensor) -> float:
        for part in ("unet", "transformer", "text_encoder_3", "text_encoder_2", "text_encoder"):
            if isinstance(said, dict) and name.startswith(f"{part}."):
                own = {key.removeprefix(f"{part}."): value for key, value in said.items() if key.startswith(f"{part}.")}
                return _peft_scale(own, name.removeprefix(f"{part}."), down.shape[0])
        return 1.0

    return scale


def _peft_scale(config: dict[str, Any], layer: str, rank: int) -> float:
    """alpha / rank of a layer by peft's config of its network, alpha / sqrt(rank) where that says so (Kalajdzievski 2023):
    alpha is that of the first pattern which the end of the layer's name fits, else the one of all."""
    alpha, patterns = config.get("lora_alpha"), config.get("alpha_pattern") or {}
    if alpha is None and not patterns:
        return 1.0
    try:
        for pattern, own in patterns.items():
            if re.match(rf"(.*\.)?({pattern})$", layer):
                alpha = own
                break
        alpha = check_real("alpha", rank if alpha is None else alpha, -math.inf, math.inf)
    except (AttributeError, TypeError, ValueError, re.error) as error:
        raise ValueError(f"its header says no alpha for {layer}: {first_line(error)}") from None
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _scale_exactly(pipeline: diffusers.DiffusionPipeline, pairs: list[Pair]) -> None:
    """Every layer that was given weights at alpha / rank; ValueError naming pairs that were given to none."""
    layers: defaultdict[int, list[tuple[Any, Tensor]]] = defaultdict(
        list
    )  # by how many numbers A has: names differ between layouts, weights do not
    for part in pipeline.components.values():
        modules: Iterable[Any] = part.modules() if isinstance(part, nn.Module) else ()
        for layer in modules:
            if "merged" in getattr(layer, "lora_A", {}):
                down = layer.lora_A["merged"].weight.detach().float().flatten()
                layers[down.numel()].append((layer, down / down.norm().clamp(min=1e-30)))
    lost = []
    for pair in pairs:
        down = pair.down.float().flatten()
        down = down / down.norm().clamp(min=1e-30)
        same = [layer for layer, other in layers[down.numel()] if torch.dot(down, other.to(down)) > 0.9999]
        if not same and bool(down.any()):
            lost.append(pair.name)
        for layer in same:
            layer.scaling["merged"] = pair.scale
    if lost:
        raise ValueError(f"{len(lost)} of its layers belong to none of this model: {', '.join(lost[:3])}")


def merge_lora(checkpoint: Checkpoint, vae: nn.Module | None, path: Path, weight: float) -> None:
    """Merge a file's low-rank weights into the checkpoint's networks, in place: W + weight (alpha / rank) B A.

    diffusers and peft read the file, in any of the layouts that they know; what they pass over without a word is refused
    here with its names. Merged, the weights cost nothing at each step.
    """
    family = checkpoint.family
    names = [name for part in family.text for name in (part.encoder, part.tokenizer)]
    pipeline = getattr(diffusers, family.pipeline)(
        vae=vae,
        scheduler=make_scheduler(checkpoint.scheduler_config),
        **{name: checkpoint.parts.get(name) for name in names},
        **family.not_drawing,
        **{family.denoiser_part: checkpoint.parts[family.denoiser_part]},
    )
    pairs = read_pairs(path)
    try:
        pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name="merged", local_files_only=True)
        found = [name for names in pipeline.get_list_adapters().values() for name in names]
        if "merged" not in found:
            raise ValueError("none of its weights belongs to this model")
        _scale_exactly(pipeline, pairs)
        pipeline.fuse_lora(lora_scale=weight, adapter_names=["merged"])
        pipeline.unload_lora_weights()
    except Exception as error:  # noqa: BLE001  # the libraries raise what they like: all of it means that file and model do not fit
        raise ValueError(f"--lora {path} does not fit this model ({family.name}): {first_line(error)}") from None
