"""The models by name: where each comes from and how it is used best. Imports no torch, so that --help is instant."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class ModelSpec:
    """One model: its source and its defaults."""

    name: str
    source: str  # a diffusers folder, or a hub id
    family: str = "sd"  # which conditioning and denoiser it has; see conditioning.py, denoisers.py
    revision: str | None = None  # hub commit or branch
    height: int = 512  # pixels, the size it was trained at
    width: int = 512
    steps: int = 50
    guidance_scale: float = 7.5
    licence: str = "unknown"
    gated: bool = False  # the hub asks for an accepted licence and a token
    download_gb: float = 0.0
    description: str = ""
    world: str = ""  # scenes | fashion: what it was made to draw, where that is one of the repository's own worlds

    @property
    def embedded(self) -> bool:
        """Whether it ships with this repository."""
        return Path(self.source).is_relative_to(WEIGHTS)

    @property
    def reference(self) -> str:
        """What to give ldm_core.load for this model: its registry name, else its folder or hub id."""
        known = MODELS.get(self.name)
        return self.name if known is not None and known.source == self.source else self.source


MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            "scenes", str(WEIGHTS / "scenes"), height=128, width=128, steps=20, guidance_scale=2.0, licence="MIT",
            description="little landscapes: sky, ground, houses, trees, boats, balloons in eight colours", world="scenes",
        ),
        ModelSpec(
            "sd1.5", "stable-diffusion-v1-5/stable-diffusion-v1-5", steps=50, guidance_scale=7.5,
            licence="CreativeML Open RAIL-M", download_gb=4.3, description="Stable Diffusion 1.5",
        ),
    )
}  # fmt: skip


def find(name: str) -> ModelSpec:
    """The spec of a registry name, a folder or a hub id; ValueError with a suggestion for anything else."""
    if name in MODELS:
        return MODELS[name]
    if name and Path(name).is_dir():  # Path("") would be the working folder
        return ModelSpec(Path(name).resolve().name, str(Path(name)), steps=20, guidance_scale=4.0)
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
        return ModelSpec(name.split("/")[1], name)
    close = difflib.get_close_matches(name.lower(), MODELS, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise ValueError(
        f"unknown model {name!r}; {hint}known: {', '.join(MODELS)}; "
        "or give a diffusers folder or a hub id like owner/name"
    )
