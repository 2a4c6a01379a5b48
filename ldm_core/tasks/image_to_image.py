"""Image-to-image (SDEdit, Meng et al. 2022): an image is encoded, noised to t = strength, and denoised from there.

    model.image_to_image(image, "a red house at night", 7, strength=0.6)

strength 0 is the autoencoder's reconstruction, 1 the ordinary sample of the seed, both to the bit. Of `steps` those are
taken that lie below t = strength: int(steps strength), as in diffusers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ..recipe import Task
from ..settings import STRENGTHS
from .start import Start, check_images, image_sha256

if TYPE_CHECKING:
    from ..pipeline import LatentDiffusion

NAME = "image_to_image"


def start_of(model: LatentDiffusion, images: Tensor) -> Start:
    """The start of images (3, H, W) or (B, 3, H, W) in [0, 1], whose sides the model takes; ValueError for others."""
    listed = check_images(images)
    tasks = tuple(Task(NAME, image_sha256(image)) for image in listed)
    return Start(tasks, STRENGTHS[NAME], clean=model.encode(listed))
