"""Two-pass upscaling: a picture is enlarged, then image-to-image draws the detail that enlarging cannot know.

    small = model.sample("a red house at night", 7)
    large = model.upscale(small, "a red house at night", 7, factor=2)

What is where is decided in the first pass, at the size that the model was trained at; asked for a large picture outright,
a small model composes as if it were several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from ..checks import check_real, shown
from ..recipe import Task
from ..settings import STRENGTHS
from .start import Start, check_images, image_sha256

if TYPE_CHECKING:
    from ..pipeline import LatentDiffusion

NAME = "upscaling"
BY = ("image", "latent")
MOST = 16.0  # times a side


def start_of(model: LatentDiffusion, images: Tensor, factor: float = 2.0, by: str = "image") -> Start:
    """The start of images (B, 3, H, W) in [0, 1] enlarged `factor` times along a side, to the nearest sides that the model
    takes: the image by bicubic interpolation before it is encoded, or its latent, bilinear, afterwards."""
    if by not in BY:
        raise ValueError(f"by must be {' or '.join(BY)}, got {shown(by)}")
    factor, listed = check_real("factor", factor, 1, MOST), check_images(images)
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
