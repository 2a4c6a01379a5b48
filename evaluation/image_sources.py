"""Where evaluate's images come from: folders, and functions that draw, by the names that tables give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ldm_core.checks import check_text, check_whole, shown
from ldm_core.settings import SamplingSettings

from .bounds import MOST_IMAGES
from .drawing import draw_set, swept
from .folders import Folder
from .generation.jobs import with_seeds
from .prompts import Prompt, load_prompts

Source = str | Path | Callable


def named_sources(given: Source | Sequence[Source] | Mapping[str, Source]) -> dict[str, Source]:
    """By the name that tables have: a folder's own, a function's own; of two alike by a number. ValueError for none."""
    if isinstance(given, Mapping):
        return {str(name): source for name, source in given.items()}
    listed = [given] if isinstance(given, str | Path) or callable(given) else list(given)
    if not listed:
        raise ValueError("image_set must hold at least one folder or function, got none")
    names = [_name(source) for source in listed]
    return {
        f"{name} ({index + 1})" if names.count(name) > 1 else name: source
        for index, (name, source) in enumerate(zip(names, listed))
    }


def _name(source: Source) -> str:
    if isinstance(source, str | Path):
        return Path(source).resolve().name
    return getattr(source, "__name__", type(source).__name__).strip("<>")


def listed_prompts(given: str | Path | Sequence[str] | None) -> list[Prompt] | None:
    """Of a file, or texts as prompts."""
    if given is None or isinstance(given, str | Path):
        return None if given is None else load_prompts(Path(given))
    return [Prompt(index, check_text("prompts", text)) for index, text in enumerate(given)]


@dataclass(frozen=True)
class Drawing:
    """What a function is asked for; ValueError for what cannot be."""

    prompts: list[Prompt] | None
    settings: SamplingSettings
    sweep: Mapping[str, Sequence[Any]]
    images_per_prompt: int
    seed: int
    batch_size: int

    def __post_init__(self) -> None:
        for name in ("images_per_prompt", "batch_size"):
            object.__setattr__(self, name, check_whole(name, getattr(self, name), 1, MOST_IMAGES))
        object.__setattr__(self, "seed", check_whole("seed", self.seed, 0, 2**32 - 1))
        if not isinstance(self.settings, SamplingSettings):
            raise ValueError(
                f"settings must be SamplingSettings, as SamplingSettings.of(steps=8) makes them, got {shown(self.settings)}"
            )

    def folder(self, draw: object, into: Path) -> Folder:
        """What a function draws, put into a folder."""
        if not callable(draw):
            raise ValueError(f"image_set must be folders or functions, got {type(draw).__name__}")
        if not self.prompts:
            raise ValueError("a function that draws needs prompts: a file or a list of them")
        pairs = with_seeds(self.prompts, self.images_per_prompt, self.seed)
        made = draw_set(draw, pairs, into, swept(self.settings, self.sweep), self.batch_size)
        return Folder(made, "the prompts that it was given")
