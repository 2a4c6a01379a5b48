"""Between two pictures: their noises on a great circle, their latents on a line, their prompts' conditionings on a line.

    frames = model.interpolate(["a red house", "a boat on a lake"], [7, 8], frames=8)
    to_pil(strip(frames)).save("strip.png")
    save_animation(Path("between.webp"), frames)

The first frame and the last are the two pictures themselves: to the bit at an equal call shape (`rows_per_call`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from .. import arguments
from ..checks import check_real, check_whole, shown
from ..conditioning import Blend
from ..files import whole_file
from ..images import to_pil
from ..recipe import Task
from ..sampling import image_generators, initial_noise
from ..settings import SamplingSettings
from .start import Start

if TYPE_CHECKING:
    from ..pipeline import LatentDiffusion

NAME = "interpolation"
THROUGH = ("noise", "latent")
MOST = 1024  # frames
ANIMATIONS = {".gif": "GIF", ".webp": "WEBP"}


def lerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """(1 - share) first + share second; at 0 and 1 they themselves."""
    return (1 - share) * first + share * second


def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """On the great circle between two (Shoemake 1985), as of Gaussian noises, whose length an average would halve; at 0 and
    1 they themselves, to the bit."""
    if share in (0, 1):
        return second if share else first
    cosine = float((first * second).sum(dtype=torch.float64) / (first.double().norm() * second.double().norm()))
    angle = math.acos(max(-1.0, min(1.0, cosine)))
    if math.sin(angle) < 1e-6:
        return lerp(first, second, share)
    return (math.sin((1 - share) * angle) * first + math.sin(share * angle) * second) / math.sin(angle)


def interpolate(
    model: LatentDiffusion,
    prompts: str | Sequence[str],
    seeds: int | Sequence[int],
    guidance_scale: float | None = None,
    frames: int = 8,
    through: str = "noise",
    settings: SamplingSettings | None = None,
    overrides: dict[str, Any] | None = None,
) -> Tensor:
    """Pictures (frames, 3, H, W) from the first prompt and seed to the second; one prompt or one seed serves both ends.

    through "noise": each frame is drawn, from a noise and a conditioning between the two. Schedulers that add noise on the
    way add that of the first seed, in the last frame the second's. "latent": the two are drawn, and clean latents between
    theirs decoded: z = (1 - a) z_A + a z_B.
    """
    frames = check_whole("frames", frames, 2, MOST)
    if through not in THROUGH:
        raise ValueError(f"through must be {' or '.join(THROUGH)}, got {shown(through)}")
    listed, ends = arguments.pair(arguments.check_prompts("prompts", prompts), seeds)
    if len(listed) != 2:
        raise ValueError(f"two pictures are needed, by two prompts or two seeds: got {len(listed)}")
    own = (settings or SamplingSettings()).replaced(**(overrides or {}))
    shares = [place / (frames - 1) for place in range(frames)]
    if through == "latent":
        latents = _latents(model, listed, ends, guidance_scale, own)
        return torch.cat([model.decode(lerp(latents[:1], latents[1:], share)) for share in shares])
    blends = [Blend(listed[0], listed[1], share) for share in shares]
    start = _noises(model, ends, shares, model.resolve(own))
    drawn = model.sample(
        [listed[int(share)] if share in (0, 1) else blend for share, blend in zip(shares, blends)],  # type: ignore[misc]  # a Blend stands in a prompt's place
        [ends[1] if share == 1 else ends[0] for share in shares],
        guidance_scale,
        settings=own,
        start=start,
    )
    return torch.stack(list(drawn))


def _latents(
    model: LatentDiffusion,
    prompts: list[str],
    seeds: list[int],
    guidance_scale: float | None,
    settings: SamplingSettings,
) -> Tensor:
    """The clean latents (2, C, h, w) of two pictures."""
    *_, last = model.denoise(prompts, seeds, guidance_scale, settings=settings)
    return last.latent


def _noises(model: LatentDiffusion, seeds: list[int], shares: list[float], settings: SamplingSettings) -> Start:
    """A start of a noise for each share between those of two seeds."""
    shape = (model.latent_channels, settings["height"] // model.factor, settings["width"] // model.factor)
    first, second = initial_noise(image_generators(seeds), shape)
    tasks = tuple(Task(NAME, options=(("seeds", tuple(seeds)), ("share", share))) for share in shares)
    return Start(tasks, noise=torch.stack([slerp(first, second, share) for share in shares]))


def strip(frames: Tensor) -> Tensor:
    """Frames (F, 3, H, W) side by side: (3, H, F W)."""
    return torch.cat(list(frames), dim=2)


def save_animation(path: Path, frames: Tensor, seconds: float = 0.1, back: bool = True) -> None:
    """Frames (F, 3, H, W) in [0, 1] as an endless GIF or WebP, so many seconds each; with `back` to the first one again."""
    if path.suffix.lower() not in ANIMATIONS:
        raise ValueError(f"an animation's name must end in {' or '.join(ANIMATIONS)}, got {path.name}")
    seconds = check_real("seconds", seconds, 0.02, 60)
    pictures: list[Image.Image] = [to_pil(frame) for frame in frames]
    if back:
        pictures += pictures[-2:0:-1]
    with whole_file(path) as partial:
        pictures[0].save(
            partial,
            format=ANIMATIONS[path.suffix.lower()],
            save_all=True,
            append_images=pictures[1:],
            duration=round(1000 * seconds),
            loop=0,
        )
