"""An own model or an own sampler as an image set: any function from prompts, seeds and settings to images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ldm_core.images import save_png, to_uint8
from ldm_core.settings import FIELDS, SamplingSettings

from .generation.axes import Axis, Condition, Value, as_value, conditions
from .image_set import ImageSet
from .prompts import Prompt

Draw = Callable[[list[str], list[int], SamplingSettings], Tensor]  # -> (B, 3, H, W) in [0, 1]


def swept(settings: SamplingSettings, sweep: Mapping[str, Sequence[Any]]) -> list[Condition]:
    """The settings under every combination of some settings' values. ValueError for a name that is no setting."""
    for name in sweep:
        if name not in FIELDS:
            raise ValueError(f"sweep must be settings and their values, got {name!r}; known: {', '.join(FIELDS)}")
    axes = [Axis(name, tuple(Value(as_value(one), ((name, one),)) for one in sweep[name])) for name in sweep]
    return conditions(settings, axes)


def draw_set(
    draw: Callable,
    images: Sequence[tuple[Prompt, int]],
    folder: Path,
    listed: Sequence[Condition],
    batch_size: int = 16,
) -> ImageSet:
    """Call `draw` in batches under each condition and put what it draws into PNG files below a folder.

    ValueError where it gives anything but images (B, 3, H, W) in [0, 1], finite, one for each prompt.
    """
    rows: list[dict[str, Any]] = []
    for number, condition in enumerate(listed):
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            with torch.no_grad():
                drawn = draw([prompt.text for prompt, _ in batch], [seed for _, seed in batch], condition.settings)
            pixels = to_uint8(checked(drawn, len(batch)))
            for (prompt, seed), image in zip(batch, pixels):
                said = hashlib.sha256(prompt.text.encode()).hexdigest()[:8]
                file = f"{number:03d}/{prompt.id:05d}_{said}_{seed:010d}.png"
                save_png(folder / file, image)
                row = {"prompt_id": prompt.id, "prompt": prompt.text, "category": prompt.category, "seed": seed}
                rows.append(row | dict(condition.values) | {"file": file})
    return ImageSet.of_rows(folder, rows, [name for name, _ in listed[0].values])


def checked(drawn: object, count: int) -> Tensor:
    """Images (count, 3, H, W) in [0, 1], up to rounding; ValueError for anything else."""
    if not isinstance(drawn, Tensor) or drawn.ndim != 4 or drawn.shape[:2] != (count, 3):
        given = tuple(drawn.shape) if isinstance(drawn, Tensor) else type(drawn).__name__
        raise ValueError(f"the function must give images ({count}, 3, H, W) for {count} prompts, got {given}")
    if not torch.isfinite(drawn).all():
        raise ValueError("the function gave images that are not finite")
    low, high = float(drawn.min()), float(drawn.max())
    if low < -0.05 or high > 1.05:
        raise ValueError(f"the function must give images in [0, 1], got values from {low:.3g} to {high:.3g}")
    return drawn.float()
