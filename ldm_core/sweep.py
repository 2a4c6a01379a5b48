"""A sweep: the same prompts and seeds under every combination of some settings' values."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .checks import shown
from .pictures import Pictures
from .settings import FIELDS

if TYPE_CHECKING:
    from .pipeline import LatentDiffusion

DEFAULT_SCALES = (1, 2, 4, 8)
SIDES = ("height", "width")  # a sweep's pictures stand side by side: they are of one size


def axes_of(guidance_scales: Sequence[float] | None, axes: Mapping[str, Sequence] | None) -> dict[str, list]:
    """The values of each axis by its setting's name, the guidance scale first where it is given by itself or where nothing is
    given. ValueError for what is no setting of one size's pictures, or no list of values."""
    given = dict(axes or {})
    if guidance_scales is not None or not given:
        scales = DEFAULT_SCALES if guidance_scales is None else guidance_scales
        given = {"guidance_scale": scales} | {name: given[name] for name in given if name != "guidance_scale"}
    return {name: _values(name, listed) for name, listed in given.items()}


def _values(name: str, values: Sequence) -> list:
    if name not in FIELDS or name in SIDES:
        known = ", ".join(field for field in FIELDS if field not in SIDES)
        raise ValueError(f"axes must be settings of one size's pictures ({known}), got {shown(name)}")
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise ValueError(f"the axis {name} must be a list of values, got {shown(values)}")
    listed = list(values)
    if not listed:
        raise ValueError(f"the axis {name} must hold at least one value, got none")
    return listed


def draw(model: LatentDiffusion, base: Pictures, values: Mapping[str, Sequence]) -> Tensor:
    """The pictures of `base` under every combination of values: (S1, S2, ..., B, 3, H, W) in [0, 1], an S for each axis."""
    cells = [dict(zip(values, cell)) for cell in itertools.product(*values.values())]
    each = [own.replaced(**cell) for cell in cells for own in base.settings]
    many = len(cells)
    steering = None if base.control_images is None else torch.stack(base.control_images * many)
    images = model.sample(base.prompts * many, base.seeds * many, settings=each, control_images=steering)
    return torch.stack(list(images)).unflatten(0, (*map(len, values.values()), len(base.prompts)))
