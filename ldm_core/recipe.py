"""Everything that decides a picture, in one record that goes into JSON and into the picture's own file.

A PNG carries it twice: as `recipe` (JSON, read back by `read_png`) and as `parameters`, the text that other
Stable Diffusion programs show. In JSON the settings stand flat, by the names of settings.FIELDS. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, UnidentifiedImageError

from .checks import check_text, check_whole, shown
from .settings import FIELDS, SamplingSettings

if TYPE_CHECKING:
    from torch import Tensor

    from .pipeline import LatentDiffusion
    from .tasks.start import Start

PACKAGES = ("torch", "diffusers", "transformers")
LARGEST = 1_000_000  # characters of a recipe's JSON
MAX_SEED = 2**32 - 1
DECIDED = ("steps", "guidance_scale", "scheduler", "height", "width")  # settings that a recipe writes out
SINCE_0_3 = ("control", "control_image")  # written only where they are set, so that older recipes keep their bytes
FORMER = {  # settings of the first house that are no more: read where they were not in use
    "guidance_until_alike": "guidance until two predictions are alike",
}


@dataclass(frozen=True)
class Task:
    """What a picture was made of beside its prompt: the task, and what it was given."""

    name: str  # image_to_image, inpainting, outpainting, upscaling or interpolation
    image: str = ""  # SHA-256 of the start image's pixels, see tasks/start.py
    mask: str = ""  # of the mask's
    options: tuple[tuple[str, Any], ...] = ()  # the task's own arguments, by name

    def __post_init__(self) -> None:
        for name in ("name", "image", "mask"):
            check_text(f"the task's {name}", getattr(self, name))
        plain = ((name, tuple(value) if isinstance(value, list) else value) for name, value in self.options)
        object.__setattr__(self, "options", tuple(plain))

    def to_json(self) -> dict[str, Any]:
        """What is known, by name."""
        values = {"name": self.name, "image": self.image, "mask": self.mask, **dict(self.options)}
        return {name: value for name, value in values.items() if value != ""}

    @classmethod
    def from_json(cls, values: object) -> Task:
        """The inverse of to_json; ValueError in one line for anything else."""
        if not isinstance(values, Mapping) or "name" not in values:
            raise ValueError(f"task must be a name and what it was given, got {shown(values)}")
        own = {name: values[name] for name in ("name", "image", "mask") if name in values}
        return cls(**own, options=tuple((name, value) for name, value in values.items() if name not in own))


@dataclass(frozen=True)
class Recipe:
    """One image: the model, the prompt, the seed, the settings with every default written out, and the circumstances."""

    model: str  # what ldm_core.load takes
    prompt: str
    seed: int
    settings: SamplingSettings
    vae: str | None = None  # where the model's own autoencoder was swapped
    lora: str | None = None  # what was merged into the networks
    control: str | None = None  # a control network, where one steered the picture
    control_image: str | None = None  # SHA-256 of what it was steered by: tasks.start.image_sha256
    dtype: str = "float32"
    device: str = "cpu"
    engine: str = "torch"  # by what the networks ran; in files only where it is another
    weights: str = ""  # SHA-256
    configs: str = ""  # SHA-256; "" in recipes of the first house, which did not know it
    versions: dict[str, str] = field(default_factory=dict)
    drawn_prompt: str = ""  # the prompt as it was drawn, where the nearest known words stand for some; else ""
    task: Task | None = None  # of a picture that did not begin at noise alone

    def __post_init__(self) -> None:
        """ValueError in one line for anything that no picture has."""
        for name in ("model", "prompt", "dtype", "device", "engine", "weights", "configs", "drawn_prompt"):
            check_text(name, getattr(self, name))
        for name in ("vae", "lora", *SINCE_0_3):
            if getattr(self, name) is not None:
                check_text(name, getattr(self, name))
        object.__setattr__(self, "seed", check_whole("seed", self.seed, 0, MAX_SEED))
        if not isinstance(self.settings, SamplingSettings):
            raise ValueError(f"settings must be SamplingSettings, got {shown(self.settings)}")
        for name in DECIDED:
            if self.settings[name] is None:
                raise ValueError(f"{name} must be decided in a recipe, got None")
        if self.task is not None and not isinstance(self.task, Task):
            object.__setattr__(self, "task", Task.from_json(self.task))
        if not isinstance(self.versions, Mapping):
            raise ValueError(f"versions must be names and versions, got {shown(self.versions)}")
        for name, value in self.versions.items():
            check_text(f"the version of {shown(name)}", value)

    def to_json(self) -> str:
        """One JSON object, a key per field and per setting."""
        values = dataclasses.asdict(self) | self.settings.stored()
        del values["settings"]
        for name in ("configs", "drawn_prompt", *SINCE_0_3):
            if not values[name]:
                del values[name]
        if self.engine == "torch":  # which came later: what was written before keeps its bytes
            del values["engine"]
        del values["task"]
        if self.task is not None:
            values["task"] = self.task.to_json()
        return json.dumps(values, ensure_ascii=False, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Recipe:
        """The inverse of to_json; ValueError in one line for anything that is not a whole recipe."""
        return _from_fields(_object(text))

    def sample_settings(self) -> dict[str, object]:
        """The arguments for LatentDiffusion.sample that make this picture again, prompt and seed among them.

        ValueError for a picture of a task, which begins at an image, and for one that an image steered: tasks.replay.redraw
        takes those too.
        """
        if self.control is not None:
            raise ValueError(
                f"the picture was steered by {self.control} and needs its image: model.redraw(recipe, control_image=image)"
            )
        if self.task is not None:
            raise ValueError(
                f"the picture is of {self.task.name} and needs its start: model.redraw(recipe, image, mask)"
            )
        return {"prompts": self.prompt, "seeds": self.seed, "settings": self.settings}

    def is_of_model(self, now: Recipe) -> bool:
        """Whether a recipe of today is of the same weights and configs, as far as this one says of which it is."""
        return self.weights in ("", now.weights) and self.configs in ("", now.configs)

    def changes_since(self, now: Recipe) -> list[str]:
        """What is otherwise today, of what decides the last bits of a picture beside its settings: "torch 2.13.0, here 2.14.0"."""
        pairs = {name: (getattr(self, name), getattr(now, name)) for name in ("dtype", "device", "engine")}
        pairs |= {name: (was, now.versions.get(name, "none")) for name, was in self.versions.items()}
        return [f"{name} {was}, here {found}" for name, (was, found) in pairs.items() if was != found]

    def to_png_text(self) -> dict[str, str]:
        """Text chunks for images.save_png."""
        return {"parameters": self._parameters(), "recipe": self.to_json()}

    def _parameters(self) -> str:
        own = self.settings
        drawn = f", Drawn prompt: {json.dumps(self.drawn_prompt, ensure_ascii=False)}" if self.drawn_prompt else ""
        negative = f"Negative prompt: {own.negative_prompt}\n" if own.negative_prompt else ""
        return (
            f"{self.prompt}\n{negative}"
            f"Steps: {own.steps}, Sampler: {own.scheduler}, CFG scale: {own.guidance.scale:g}, Seed: {self.seed}, "
            f"Size: {own.width}x{own.height}, Model hash: {self.weights[:10]}, Model: {self.model}{drawn}"
        )


def recipe_for(
    model: LatentDiffusion,
    prompt: str,
    seed: int,
    guidance_scale: float | None = None,
    *,
    settings: SamplingSettings | None = None,
    start: Start | None = None,
    control_image: Tensor | None = None,
    **overrides: object,
) -> Recipe:
    """The recipe of model.sample(prompt, seed, guidance_scale, settings=settings, start=start, **overrides), its defaults
    written out; start has one row; control_image (3, H, W) is what steered it."""
    scale = {} if guidance_scale is None else {"guidance_scale": guidance_scale}
    whole = model.resolve(settings, start, **scale, **overrides)
    drawn = model.in_own_words(prompt, whole)
    return Recipe(
        model=model.spec.reference,
        prompt=prompt,
        seed=seed,
        settings=whole,
        vae=model.vae,
        lora=model.lora,
        **({} if control_image is None else model.steering(control_image)),
        device=model.device.type,
        engine=model.engine,
        dtype=model.precision,
        weights=model.weights,
        configs=model.configs,
        versions=versions(model.engine),
        drawn_prompt=drawn.text if drawn.replaced else "",
        task=None if start is None else start.tasks[0],
    )


def read_png(path: Path) -> Recipe:
    """The recipe that a picture carries; ValueError where it has none or is no picture."""
    try:
        with Image.open(path) as picture:
            picture.load()
            text = getattr(picture, "text", {})
    except Exception as error:  # noqa: BLE001  # the library raises what it likes over damaged bytes
        words = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
        reason = "it is no picture" if isinstance(error, UnidentifiedImageError) else words[:200]
        raise ValueError(f"{path} cannot be read: {reason}") from None
    if "recipe" not in text:
        raise ValueError(f"{path} carries no recipe")
    return Recipe.from_json(str(text["recipe"]))


def versions(engine: str = "torch") -> dict[str, str]:
    """Of Python and of the packages that a picture's numbers pass through."""
    packages = dict.fromkeys((*PACKAGES, engine))
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def _object(text: str) -> dict:
    if len(text) > LARGEST:
        raise ValueError(f"a recipe must be JSON of {LARGEST} characters at the most, got {len(text)}")
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"a recipe must be JSON: {error}") from None
    except (ValueError, RecursionError):  # numbers of thousands of digits, brackets within thousands of brackets
        raise ValueError("a recipe must be JSON of plain values, got numbers or brackets beyond all bounds") from None
    if not isinstance(values, dict):
        raise ValueError(f"a recipe must be a JSON object, got {type(values).__name__}")
    return values


def _from_fields(values: dict) -> Recipe:
    for name, words in FORMER.items():
        if values.get(name) is not None:
            raise ValueError(f"the recipe has {name} = {shown(values[name])}: {words} is no setting any more")
    given = {name: value for name, value in values.items() if name not in FORMER}
    own = {part.name for part in dataclasses.fields(Recipe)} - {"settings"}
    needed = {"model", "prompt", "seed", *DECIDED}
    unknown = [shown(name) for name in sorted(set(given) - own - set(FIELDS))]
    absent = sorted(needed - set(given))
    if unknown or absent:
        raise ValueError(
            f"a recipe has all of {', '.join(sorted(needed))}; missing: {', '.join(absent) or 'none'}, "
            f"unknown: {', '.join(unknown[:5]) or 'none'}"
        )
    settings = SamplingSettings.from_stored({name: value for name, value in given.items() if name in FIELDS})
    return Recipe(settings=settings, **{name: value for name, value in given.items() if name in own})
