"""The parts of a checkpoint, each read from a folder or a single file, whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderDC, AutoencoderKL, AutoencoderTiny, ModelMixin
from safetensors import SafetensorError, safe_open
from transformers import CLIPTokenizer, PreTrainedTokenizerBase

from .checks import first_line, shown
from .family import Family, family_of
from .files import write_whole

AUTOENCODERS = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny, "AutoencoderDC": AutoencoderDC}
MOST_PARTS, MOST = 2_000, 10**6  # layers, and any number of a config, where the weights do not say what they allow
MOST_LISTED = 1_000  # values of a list
LEAST_BOUND = 10_000  # for numbers that are of no tensor: sizes of images, distances, frequencies
LENGTHS = ("model_max_length", "max_length")  # of a tokenizer, which write 10**30 for none
FEW_PARTS = 64  # layers that cost next to nothing to build
LARGEST_CONFIG = 64_000_000  # bytes of a JSON file; a tokenizer's vocabulary may be one


@dataclass(frozen=True)
class Checkpoint:
    """What was read: the family, its networks and tokenizers by folder name, and the configs."""

    family: Family
    index: dict  # model_index.json
    parts: dict[str, Any]
    scheduler_config: dict  # as diffusers' pipeline of the family takes it
    configs: Path | None = None  # the folder that the configs are from
    beside: tuple[Path, ...] = ()  # folders of networks that a single file does not hold


def read_checkpoint(folder: Path, dtype: torch.dtype, read: Callable | None = None) -> Checkpoint:
    """A diffusers folder; the denoiser in `dtype`, all else in float32. ValueError in one line where that cannot be.

    read(class, folder, dtype) gives a network; `network` unless it is given.
    """
    read = read or network
    index = read_json(folder / "model_index.json")
    family = family_of(index, str(folder))
    place = folder / family.denoiser_part
    denoiser = read(family.denoiser_class, place, dtype)
    check_denoiser(family, denoiser, str(place))
    parts: dict[str, Any] = {family.denoiser_part: denoiser}
    for part in family.text:
        if part.encoder in family.optional and not is_there(index, part.encoder, folder):
            continue
        parts[part.encoder] = read(part.encoder_class, folder / part.encoder, torch.float32)
        parts[part.tokenizer] = load_tokenizer(folder / part.tokenizer, part.tokenizer_class)
    if family.noising:
        parts[family.noising] = read_json(folder / family.noising / "scheduler_config.json")
    scheduler = read_json(folder / "scheduler" / "scheduler_config.json")
    return Checkpoint(family, index, parts, family.scheduler_config(scheduler), folder)


def check_denoiser(family: Family, denoiser: torch.nn.Module, place: str) -> None:
    """ValueError where a denoiser's config asks for what the family does not give."""
    if reason := family.refusal(denoiser):
        raise ValueError(f"cannot run {place}: {reason}")


def is_there(index: Mapping, part: str, folder: Path) -> bool:
    """Whether a checkpoint has an optional part: by its index, which says [null, null] where it has not, else by its folder."""
    if part not in index:
        return (folder / part).is_dir()
    said = index[part]
    if not (isinstance(said, list) and len(said) == 2 and all(isinstance(name, str | None) for name in said)):
        raise ValueError(
            f"{folder / 'model_index.json'}: {part} must be a library and a class, or null twice, got {shown(said)}"
        )
    return any(said)


def network(kind: type[ModelMixin], folder: Path, dtype: torch.dtype) -> ModelMixin:
    """One network of a checkpoint in the precision asked for, with every one of its weights."""
    if not folder.is_dir():
        raise ValueError(f"the checkpoint is not whole: {folder} is missing")
    check_numbers(folder)
    options = {"torch_dtype": dtype, "local_files_only": True, "output_loading_info": True} | variant_of(folder)
    try:
        module, found = kind.from_pretrained(folder, **options)
    except Exception as error:  # noqa: BLE001  # the libraries raise what they like: all of it means damage here
        raise ValueError(f"cannot load {folder}: {first_line(error)}") from None
    if found["missing_keys"]:  # the libraries would fill them at random
        missing = sorted(map(str, found["missing_keys"]))
        raise ValueError(f"cannot load {folder}: {len(missing)} weights are missing, {missing[0]} among them")
    return module


def check_numbers(folder: Path, weights: Path | None = None) -> None:
    """ValueError where a network's config asks for more than its weights can hold, which lie beside it or in one file.

    The libraries build what a config says before they look at weights: too many layers would fill the memory first.
    """
    path = folder / "config.json"
    sides = tensor_sides(folder.glob("*.safetensors") if weights is None else [weights]) or {}
    most = max([LEAST_BOUND, *(side for shape in sides.values() for side in shape)]) if sides else MOST
    parts = max(len(sides), FEW_PARTS) if sides else MOST_PARTS  # weights of something else are told of as such
    square = sides.get("pos_embed.pos_embed", [most])  # of positions, made before the weights are read
    repeated: dict[str, int] = {}  # layers within layers
    for name, value in plain_values(path):
        if type(value) is not int:
            continue
        within = parts if "layers" in name or name.endswith("_blocks") else most
        within = math.isqrt(max(square)) if name == "pos_embed_max_size" else within
        if value > within:
            raise ValueError(f"{path}: {name} is {shown(value)}, and its weights allow {within} at the most")
        if name.endswith("layers_per_block"):
            repeated[name] = max(repeated.get(name, 1), value)
    if math.prod(repeated.values()) > parts:
        raise ValueError(f"{path}: {' times '.join(repeated)} are more layers than its {parts} weights can be of")


def plain_values(path: Path) -> Iterator[tuple[str, Any]]:
    """Every value within objects and lists of a config, by the name of the nearest object's key."""
    left = list(read_json(path).items())
    while left:
        name, value = left.pop()
        if isinstance(value, dict):
            left += value.items()
        elif isinstance(value, list):
            if len(value) > MOST_LISTED:
                raise ValueError(f"{path}: {name} lists {len(value)} values, {MOST_LISTED} are taken at the most")
            left += [(name, each) for each in value]
        else:
            yield name, value


def tensor_sides(files: Iterable[Path]) -> dict[str, list[int]] | None:
    """The shape of each tensor in .safetensors files, by name; None where there are none or they cannot be read."""
    sides: dict[str, list[int]] = {}
    try:
        for path in files:
            with safe_open(path, "pt") as file:
                sides |= {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118  # no mapping
    except (OSError, SafetensorError):
        return None  # which the library will say when it reads the weights
    return sides or None


def variant_of(folder: Path) -> dict[str, str]:
    """The option that reads a folder which holds its weights in half precision only."""
    names = [path.name for path in folder.glob("*.safetensors")]
    half = [name for name in names if ".fp16." in name or ".fp16-" in name]
    return {"variant": "fp16"} if half and len(half) == len(names) else {}


def load_tokenizer(folder: Path, kind: type[PreTrainedTokenizerBase] = CLIPTokenizer) -> PreTrainedTokenizerBase:
    """A checkpoint's tokenizer; without its files the library would make an empty one."""
    for names in (("tokenizer_config.json",), ("vocab.json", "tokenizer.json", "spiece.model")):
        if not any((folder / name).exists() for name in names):
            raise ValueError(f"the checkpoint is not whole: {folder / names[0]} is missing")
    path = folder / "tokenizer_config.json"
    for name, value in plain_values(path):  # of as many as extra_ids says the library makes a list first
        if type(value) is int and value > MOST and name not in LENGTHS:
            raise ValueError(f"{path}: {name} is {shown(value)}, {MOST} is the most that is taken")
    try:
        tokenizer = kind.from_pretrained(folder, local_files_only=True)
        tokenizer("a word").input_ids[0]
    except Exception as error:  # noqa: BLE001  # the library raises what it likes: all of it means damage here
        raise ValueError(f"cannot load {folder}: {first_line(error)}") from None
    return tokenizer


def read_json(path: Path) -> dict:
    """A checkpoint's own config file: one JSON object."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_CONFIG + 1)
    except OSError:
        raise ValueError(f"the checkpoint is not whole: {path} is missing") from None
    if len(data) > LARGEST_CONFIG:
        raise ValueError(f"{path} is damaged: no config is larger than {LARGEST_CONFIG} bytes")
    try:
        values = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, numbers of thousands of digits
        raise ValueError(f"{path} is damaged: {first_line(error)}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path} is damaged: it must be a JSON object, got {shown(values)}")
    return values


def portable(config: Mapping[str, Any]) -> dict[str, Any]:
    """A network's config as it is on any machine: without the folder that it was read from."""
    return {name: value for name, value in config.items() if name != "_name_or_path"}


def save_config(network: Any, folder: Path) -> None:
    """A diffusers network's config.json, portable."""
    network.save_config(folder)
    path = folder / "config.json"
    write_whole(path, json.dumps(portable(read_json(path)), indent=2) + "\n")
