"""What is asked for: a prompt, a seed and whole settings for each image, what it starts from and what steers it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from . import arguments
from .checks import shown
from .settings import SamplingSettings
from .tasks.control import NO_CONTROL, check_control_images
from .tasks.start import Start

if TYPE_CHECKING:
    from .pipeline import LatentDiffusion

# Images that differ in one of these are denoised apart.
LOOP = ("steps", "scheduler", "shift", "height", "width", "strength", "rows_per_call")
Settings = SamplingSettings | Sequence[SamplingSettings] | None


@dataclass(frozen=True)
class Pictures:
    """The images of one call, in lists of equal length."""

    prompts: list[str]  # or a Blend of two, within an interpolation
    seeds: list[int]
    settings: list[SamplingSettings]  # nothing left open
    start: Start | None = None  # a row for each
    control_images: list[Tensor] | None = None  # (3, H, W) for each

    def rows(self, chosen: Sequence[int]) -> Pictures:
        """Some of them."""
        return Pictures(
            [self.prompts[row] for row in chosen],
            [self.seeds[row] for row in chosen],
            [self.settings[row] for row in chosen],
            None if self.start is None else self.start.rows(chosen),
            self.control_images and [self.control_images[row] for row in chosen],
        )

    def groups(self) -> list[list[int]]:
        """The places of those that denoise together."""
        found: dict[tuple, list[int]] = {}
        for place, own in enumerate(self.settings):
            found.setdefault(tuple(own[name] for name in LOOP), []).append(place)
        return list(found.values())

    def check_together(self) -> None:
        """ValueError where they do not all denoise together."""
        for name in LOOP:
            different = dict.fromkeys(own[name] for own in self.settings)
            if len(different) > 1:
                raise ValueError(
                    f"images that denoise together have one {name}, got {', '.join(map(str, different))}: use sample"
                )


def pictures_of(
    model: LatentDiffusion,
    prompts: str | Sequence[str],
    seeds: int | Sequence[int] | None,
    settings: Settings,
    overrides: dict,
    start: Start | None = None,
    control_images: Tensor | None = None,
) -> Pictures:
    """From the arguments of `denoise`, paired and checked; ValueError before any network runs."""
    listed, given = arguments.check_prompts("prompts", prompts), _listed_settings(settings)
    if len(listed) == 1:
        listed = listed * len(given)
    listed, paired = arguments.pair(listed, seeds)
    given = given * len(listed) if len(given) == 1 else given
    if len(given) != len(listed):
        raise ValueError(f"settings must be one or one per prompt: got {len(given)} for {len(listed)} prompts")
    whole = _whole_settings(model, given, overrides, start)
    if model.denoiser.enlarges and (start is None or start.image is None):
        raise ValueError(f"{model.spec.name} enlarges images and draws none without one: model.upscale(image, prompt)")
    begun = None if start is None else start.for_images(len(listed))
    return Pictures(listed, paired, whole, begun, _control_images(model, control_images, whole))


def _listed_settings(settings: Settings) -> list[SamplingSettings]:
    given = settings if isinstance(settings, list | tuple) else [settings or SamplingSettings()]
    if not given or not all(isinstance(own, SamplingSettings) for own in given):
        raise ValueError(f"settings must be SamplingSettings, one or one per prompt, got {shown(settings)}")
    return list(given)


def _whole_settings(
    model: LatentDiffusion, given: list[SamplingSettings], overrides: dict, start: Start | None
) -> list[SamplingSettings]:
    """Each with what overrides it and nothing left open; ValueError for a strength where nothing is given a share of."""
    overrides = {name: value for name, value in overrides.items() if (name, value) != ("guidance_scale", None)}
    apart = {name: overrides[name] for name in ("guidance_scale", "negative_prompt") if name in overrides}
    columns = {name: arguments.one_each(name, value, len(given)) for name, value in apart.items()}
    rest = {name: value for name, value in overrides.items() if name not in apart}
    known: dict[SamplingSettings, SamplingSettings] = {}  # many images have the same
    whole = []
    for index, own in enumerate(given):
        asked = own.replaced(**rest, **{name: column[index] for name, column in columns.items()})
        whole.append(known[asked] if asked in known else known.setdefault(asked, model.resolve(asked, start)))
        if whole[-1].strength is not None and (start is None or start.clean is None):
            raise ValueError(
                f"strength={whole[-1].strength:g} is how far a start image is drawn anew, and there is none: "
                "use image_to_image or inpaint"
            )
    return whole


def _control_images(model: LatentDiffusion, images: Tensor | None, each: list[SamplingSettings]) -> list[Tensor] | None:
    """An image (3, H, W) for each picture that is to be steered by one."""
    if images is None:
        return None
    if model.control is None:
        raise ValueError(f"control_images {NO_CONTROL}")
    sizes = {(own["height"], own["width"]) for own in each}
    if len(sizes) > 1:
        raise ValueError(f"pictures with control_images have one size, got {sorted(sizes)}")
    height, width = sizes.pop()
    arguments.check_size(height, width, model.control.multiple, math.inf)
    return check_control_images(images, len(each), height, width)
