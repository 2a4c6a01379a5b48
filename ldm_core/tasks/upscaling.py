"""Two-pass upscaling: a picture is enlarged, then image-to-image draws the detail that enlarging cannot know.

    small = model.sample("a red house at night", 7)
    large = model.upscale(small, "a red house at night", 7, factor=2)

What is where is decided in the first pass, at the size that the model was trained at; asked for a large picture outright,
a small model composes as if it were several.

A model made for enlarging (Stable Diffusion's x4 upscaler) is given the small image itself, made a little noisy by the seed,
and draws the large one from noise: `model.upscale(small, prompt, 7)`, its own factor, noise_level from 0 to 350.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_real, check_whole, shown
from ..denoisers import UpscalingUnetDenoiser
from ..images import to_model
from ..recipe import Task
from ..settings import STRENGTHS
from .start import Start, check_images, image_sha256

if TYPE_CHECKING:
    from ..pipeline import LatentDiffusion

NAME = "upscaling"
BY = ("image", "latent")
MOST = 16.0  # times a side
FACTOR, NOISE_LEVEL = 2.0, 20  # where none is asked for


def start_of(
    model: LatentDiffusion,
    images: Tensor,
    factor: float | None = None,
    by: str = "image",
    noise_level: int | None = None,
) -> Start:
    """The start of images (B, 3, H, W) in [0, 1] enlarged `factor` times along a side (2 where it is not given), to the nearest
    sides that the model takes: the image by bicubic interpolation before it is encoded, or its latent, bilinear, afterwards.

    A model made for enlarging has its own factor, and noise_level (20 where it is not given) is how noisy its images are made:
    of its 1,000 levels one that it was trained on. ValueError for what the model has no use for.
    """
    if by not in BY:
        raise ValueError(f"by must be {' or '.join(BY)}, got {shown(by)}")
    if isinstance(model.denoiser, UpscalingUnetDenoiser):
        return _start_of_upscaler(model, model.denoiser, images, factor, by, noise_level)
    if noise_level is not None:
        raise ValueError(
            f"noise_level={shown(noise_level)} is for models made for enlarging; {model.spec.name} is none"
        )
    listed = check_images(images)
    factor = FACTOR if factor is None else check_real("factor", factor, 1, MOST)
    height, width = (max(1, round(side * factor / model.multiple)) * model.multiple for side in listed.shape[2:])
    if by == "image":
        clean = model.encode(F.interpolate(listed, (height, width), mode="bicubic").clamp(0, 1))
    else:
        small = model.encode(listed)
        clean = F.interpolate(small, (height // model.factor, width // model.factor), mode="bilinear")
    options = (("factor", factor), ("by", by))
    return Start(
        tuple(Task(NAME, image_sha256(image), options=options) for image in listed), STRENGTHS[NAME], clean=clean
    )


def _start_of_upscaler(
    model: LatentDiffusion,
    denoiser: UpscalingUnetDenoiser,
    images: Tensor,
    factor: float | None,
    by: str,
    noise_level: int | None,
) -> Start:
    listed, own = check_images(images), float(model.factor)
    if factor not in (None, own):
        raise ValueError(f"factor must be {own:g}, which {model.spec.name} enlarges by, got {shown(factor)}")
    if by != "image":
        raise ValueError(f"by must be image for {model.spec.name}, which takes the image itself, got {shown(by)}")
    given = min(NOISE_LEVEL, denoiser.noisiest) if noise_level is None else noise_level
    level = check_whole("noise_level", given, 0, denoiser.noisiest)
    options = (("factor", own), ("noise_level", level))
    tasks = tuple(Task(NAME, image_sha256(image), options=options) for image in listed)
    return Start(tasks, image=to_model(listed), noise_level=level)


def beside_of(
    denoiser: UpscalingUnetDenoiser, start: Start | None, generators: list[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """What an upscaler takes beside the latents: the images (B, 3, h, w), made noisy by the first numbers of their seeds, and
    their noise levels (B,)."""
    assert start is not None and start.image is not None, "pictures.py asks for one"
    small = start.image
    noise = torch.cat([torch.randn((1, *small.shape[1:]), generator=generator) for generator in generators])
    levels = torch.full((len(small),), start.noise_level)
    return denoiser.noised(small, noise.to(small), levels), levels
