"""What `sample` and `sweep` accept beside settings, which check themselves: prompts, seeds, how they pair, sides."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral  # numpy's integers too
from typing import Any

from .checks import check_text, check_whole, shown
from .conditioning import Blend
from .sampling import image_seed

MAX_SEED = 2**32 - 1


def check_prompts(name: str, prompts: str | Sequence[str]) -> list[str]:
    """A prompt or several, as a list; `name` is the argument's."""
    listed = [prompts] if isinstance(prompts, str | Blend) else _listed(name, prompts)
    if not listed:
        raise ValueError(f"{name} must hold at least one prompt, got none")
    return [prompt if isinstance(prompt, Blend) else check_text(name, prompt) for prompt in listed]  # type: ignore[misc]  # a Blend in a prompt's place


def check_seed(seed: object) -> int:
    """An image's seed: an integer from 0 to 2**32 - 1."""
    return check_whole("seed", seed, 0, MAX_SEED)


def pair(prompts: list[str], seeds: int | Sequence[int] | None) -> tuple[list[str], list[int]]:
    """One seed per prompt. A single prompt or a single seed serves all of the other; other lengths are refused.

    Without seeds, each prompt gets those of run seed 0, counting its repeats.
    """
    if seeds is None:
        return prompts, [image_seed(0, prompt, prompts[:index].count(prompt)) for index, prompt in enumerate(prompts)]
    alone = isinstance(seeds, Integral) or getattr(seeds, "ndim", None) == 0
    listed = [check_seed(seed) for seed in ([seeds] if alone else _listed("seeds", seeds))]
    if len(prompts) == 1 and listed:
        return prompts * len(listed), listed
    if len(listed) == 1:
        return prompts, listed * len(prompts)
    if len(listed) != len(prompts):
        raise ValueError(f"seeds must be one per prompt: got {len(listed)} seeds for {len(prompts)} prompts")
    return prompts, listed


def one_each(name: str, value: object, count: int) -> list:
    """A value for each of `count` images: one serves all, several must be as many."""
    if value is None or isinstance(value, str) or not _is_sequence(value):
        return [value] * count
    values = _listed(name, value)
    if len(values) != count:
        raise ValueError(f"{name} must be one value or one per prompt: got {len(values)} for {count} prompts")
    return values


def check_size(height: int, width: int, multiple: int, most: float) -> None:
    """Sides in pixels: multiples of what the networks can halve, within what the denoiser has positions for."""
    for name, side in (("height", height), ("width", width)):
        if side < multiple or side % multiple:
            raise ValueError(f"{name} must be a positive multiple of {multiple} pixels, got {shown(side)}")
        if side > most:
            raise ValueError(f"{name} must be {most:.0f} pixels at the most for this model, got {shown(side)}")


def _is_sequence(value: object) -> bool:
    return hasattr(value, "__iter__") and getattr(value, "ndim", None) != 0


def _listed(name: str, values: Any) -> list:
    if not _is_sequence(values) or isinstance(values, str | bytes | dict):
        raise ValueError(f"{name} must be one value or a list of them, got {shown(values)}")
    return list(values)
