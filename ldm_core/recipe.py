"""Everything that decides a picture, in one record that goes into JSON and into the picture's own file.

A PNG carries it twice: as `recipe` (JSON, read back by `read_png`) and as `parameters`, the text that other
Stable Diffusion programs show. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from .pipeline import LatentDiffusion

PACKAGES = ("torch", "diffusers", "transformers")


@dataclass(frozen=True)
class Recipe:
    """One image: the model, the settings of LatentDiffusion.sample, and the circumstances."""

    model: str  # what ldm_core.load takes
    prompt: str
    seed: int
    steps: int
    guidance_scale: float
    scheduler: str
    height: int
    width: int
    negative_prompt: str = ""
    guidance_schedule: str = "constant"
    guidance_interval: tuple[float, float] | None = None
    guidance_rescale: float = 0.0
    guidance_until_alike: float | None = None
    rows_per_call: int | None = None
    vae: str | None = None  # where the model's own autoencoder was swapped
    lora: str | None = None  # what was merged into the networks
    dtype: str = "float32"
    device: str = "cpu"
    weights: str = ""  # SHA-256
    versions: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """One JSON object, a key per field."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Recipe:
        """The inverse of to_json; ValueError for anything that is not a whole recipe."""
        return _from_fields(_object(text))

    def sample_settings(self) -> dict[str, object]:
        """The arguments for LatentDiffusion.sample that make this picture again, prompt and seed among them."""
        names = (
            "steps",
            "guidance_scale",
            "scheduler",
            "height",
            "width",
            "negative_prompt",
            "guidance_schedule",
            "guidance_interval",
            "guidance_rescale",
            "guidance_until_alike",
            "rows_per_call",
        )
        return {"prompts": self.prompt, "seeds": self.seed} | {name: getattr(self, name) for name in names}

    def to_png_text(self) -> dict[str, str]:
        """Text chunks for images.save_png."""
        return {"parameters": self._parameters(), "recipe": self.to_json()}

    def _parameters(self) -> str:
        negative = f"Negative prompt: {self.negative_prompt}\n" if self.negative_prompt else ""
        return (
            f"{self.prompt}\n{negative}"
            f"Steps: {self.steps}, Sampler: {self.scheduler}, CFG scale: {self.guidance_scale:g}, Seed: {self.seed}, "
            f"Size: {self.width}x{self.height}, Model hash: {self.weights[:10]}, Model: {self.model}"
        )


def recipe_for(
    model: LatentDiffusion, prompt: str, seed: int, guidance_scale: float | None = None, **settings: object
) -> Recipe:
    """The recipe of model.sample(prompt, seed, guidance_scale, **settings), its defaults written out."""
    spec = model.spec
    own = {"steps": spec.steps, "scheduler": model.scheduler_name, "height": model.height, "width": model.width}
    given = {name: value for name, value in settings.items() if value is not None}
    return Recipe(
        model=spec.reference,
        prompt=prompt,
        seed=seed,
        vae=model.vae,
        lora=model.lora,
        device=model.device.type,
        guidance_scale=spec.guidance_scale if guidance_scale is None else guidance_scale,
        dtype=str(model.dtype).removeprefix("torch."),
        weights=model.weights,
        versions=versions(),
        **own | given,
    )


def read_png(path: Path) -> Recipe:
    """The recipe that a picture carries; ValueError where it has none."""
    with Image.open(path) as picture:
        picture.load()
        text = getattr(picture, "text", {})
    if "recipe" not in text:
        raise ValueError(f"{path} carries no recipe")
    return Recipe.from_json(text["recipe"])


def versions() -> dict[str, str]:
    """Of Python and of the packages that a picture's numbers pass through."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def _object(text: str) -> dict:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"a recipe must be JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"a recipe must be a JSON object, got {type(values).__name__}")
    return values


def _from_fields(values: dict) -> Recipe:
    fields = {part.name: part for part in dataclasses.fields(Recipe)}
    unknown = sorted(set(values) - set(fields))
    needed = {name for name, part in fields.items() if part.default is part.default_factory is dataclasses.MISSING}
    absent = sorted(needed - set(values))
    if unknown or absent:
        raise ValueError(f"a recipe has all of {', '.join(sorted(needed))}; missing: {absent}, unknown: {unknown}")
    if values.get("guidance_interval") is not None:
        values = values | {"guidance_interval": tuple(values["guidance_interval"])}  # JSON knows lists only
    return Recipe(**values)
