"""What `sample` and `sweep` accept, checked in one place before any network runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral  # numpy's integers too

from . import guidance
from .sampling import SCHEDULERS, image_seed

MAX_SEED = 2**32 - 1


def check_prompts(name: str, prompts: str | Sequence[str]) -> list[str]:
    """A prompt or several, as a list; `name` is the argument's."""
    listed = [prompts] if isinstance(prompts, str) else list(prompts)
    if not listed:
        raise ValueError(f"{name} must hold at least one prompt, got none")
    for prompt in listed:
        if not isinstance(prompt, str):
            raise ValueError(f"{name} must be text, got {prompt!r}")
    return listed


def check_seed(seed: object) -> int:
    """An image's seed: an integer from 0 to 2**32 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed must be an integer from 0 to {MAX_SEED}, got {seed!r}")
    return int(seed)


def pair(prompts: list[str], seeds: int | Sequence[int] | None) -> tuple[list[str], list[int]]:
    """One seed per prompt. A single prompt or a single seed serves all of the other; other lengths are refused.

    Without seeds, each prompt gets those of run seed 0, counting its repeats.
    """
    if seeds is None:
        return prompts, [image_seed(0, prompt, prompts[:index].count(prompt)) for index, prompt in enumerate(prompts)]
    listed = [check_seed(seed) for seed in ([seeds] if isinstance(seeds, Integral) else seeds)]
    if len(prompts) == 1 and listed:
        return prompts * len(listed), listed
    if len(listed) == 1:
        return prompts, listed * len(prompts)
    if len(listed) != len(prompts):
        raise ValueError(f"seeds must be one per prompt: got {len(listed)} seeds for {len(prompts)} prompts")
    return prompts, listed


def check_scale(scale: object) -> float:
    """A guidance scale: a finite number >= 0."""
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not math.isfinite(scale) or scale < 0:
        raise ValueError(f"guidance_scale must be a finite number >= 0, got {scale!r}; 1 is no guidance")
    return float(scale)


def check_steps(steps: object) -> int:
    """The number of denoising steps."""
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= 1000:
        raise ValueError(f"steps must be an integer from 1 to 1000, got {steps!r}")
    return steps


def check_size(height: object, width: object, factor: int) -> None:
    """Sides in pixels: positive multiples of what the networks can halve."""
    for name, side in (("height", height), ("width", width)):
        if isinstance(side, bool) or not isinstance(side, int) or side < factor or side % factor:
            raise ValueError(f"{name} must be a positive multiple of {factor} pixels, got {side!r}")


def check_guidance(
    schedule: str, interval: tuple[float, float] | None, rescale: float, until_alike: float | None = None
) -> None:
    """The shape of w over time."""
    if schedule not in guidance.SCHEDULES:
        raise ValueError(f"guidance_schedule must be one of {', '.join(guidance.SCHEDULES)}, got {schedule!r}")
    if interval is not None and not (len(interval) == 2 and 0 <= interval[0] < interval[1] <= 1):
        raise ValueError(f"guidance_interval must be (low, high) with 0 <= low < high <= 1, got {interval!r}")
    if isinstance(rescale, bool) or not isinstance(rescale, int | float) or not 0 <= rescale <= 1:
        raise ValueError(f"guidance_rescale must be from 0 to 1, got {rescale!r}")
    if until_alike is not None and not (type(until_alike) in (int, float) and -1 <= until_alike <= 1):
        raise ValueError(f"guidance_until_alike must be a cosine, from -1 to 1 such as 0.99, got {until_alike!r}")


def check_scheduler(name: str | None) -> None:
    """A readable scheduler name, or None for the checkpoint's own."""
    if name is not None and name not in SCHEDULERS:
        raise ValueError(f"scheduler must be one of {', '.join(SCHEDULERS)}, got {name!r}")


def check_rows(rows_per_call: object) -> None:
    """Rows per network call, or None for the default."""
    if rows_per_call is not None and (type(rows_per_call) is not int or rows_per_call < 1):
        raise ValueError(f"rows_per_call must be an integer >= 1, got {rows_per_call!r}")
