"""Inpainting with any model, and outpainting, which is inpainting on a larger canvas.

    model.inpaint(image, mask, "a red house at night", 7)             mask: 1 is drawn anew, 0 is kept
    model.outpaint(image, "a red house at night", 7, left=64)

A model made for inpainting takes the mask and what is known as further channels of its input (Rombach et al. 2022, section
4.5). Of any other the known latent is put back after each step, at that step's noise. In the end the known pixels
themselves are pasted back, so that outside the mask not a bit changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_whole, shown
from ..recipe import Task
from ..settings import MAX_SIDE, STRENGTHS, SamplingSettings
from .start import Start, check_images, image_sha256

if TYPE_CHECKING:
    from ..pipeline import LatentDiffusion

NAME = "inpainting"
GREY = 0.5  # what an inpainting network was shown in place of what it had to draw


def start_of(model: LatentDiffusion, images: Tensor, masks: Tensor) -> Start:
    """The start of images (B, 3, H, W) in [0, 1] and masks (B, 1, H, W), one of either serving all of the other.

    Where a mask covers any pixel of a latent value, that value is drawn anew: what is known of it is pasted back later.
    """
    listed, covered = paired(check_images(images), check_masks(masks))
    tasks = tuple(Task(NAME, image_sha256(image), image_sha256(mask)) for image, mask in zip(listed, covered))
    clean = model.encode(listed)
    small = F.max_pool2d(covered, model.factor)
    if not model.denoiser.channels_beside:
        return Start(tasks, STRENGTHS[NAME], clean=clean, mask=small)
    known = model.encode(torch.where(covered > 0, GREY, listed))
    return Start(tasks, STRENGTHS[NAME], clean=clean, beside=torch.cat([small.to(known), known], dim=1))


def check_masks(masks: object) -> Tensor:
    """Masks (H, W), (1, H, W) or (B, 1, H, W) in [0, 1] as (B, 1, H, W) of 0 and 1, float32: 0.5 and above is drawn anew."""
    if not isinstance(masks, Tensor):
        raise ValueError(f"masks must be a tensor (B, 1, H, W) in [0, 1], got {shown(type(masks).__name__)}")
    listed = masks[(None,) * (4 - masks.ndim)] if masks.ndim in (2, 3) else masks
    if listed.ndim != 4 or listed.shape[1] != 1 or not listed.numel():
        raise ValueError(f"masks must be (B, 1, H, W), got {tuple(masks.shape)}")
    values = listed.detach().float().cpu()
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise ValueError("masks must be in [0, 1]: 1 is drawn anew, 0 is kept")
    return (values >= GREY).float()


def paired(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Images and masks of one number and size, one of either serving all of the other; ValueError where they do not fit."""
    if images.shape[2:] != masks.shape[2:]:
        raise ValueError(
            f"masks must have the images' sides, {tuple(images.shape[2:])} pixels, got {tuple(masks.shape[2:])}"
        )
    count = max(len(images), len(masks))
    for values in (images, masks):
        if len(values) not in (1, count):
            raise ValueError(f"images and masks must be as many, or one of either: got {len(images)} and {len(masks)}")
    return images.expand(count, -1, -1, -1), masks.expand(count, -1, -1, -1)


def paste(images: Tensor, drawn: Tensor | list[Tensor], masks: Tensor) -> Tensor:
    """drawn (B, 3, H, W) where masks are 1, the images themselves where they are 0."""
    listed, covered = paired(check_images(images), check_masks(masks))
    return torch.where(covered > 0, torch.stack(list(drawn)), listed)


def canvas(images: Tensor, left: int = 0, right: int = 0, top: int = 0, bottom: int = 0) -> tuple[Tensor, Tensor]:
    """Images (B, 3, H, W) in larger ones, so many pixels around them, and the masks (B, 1, H', W') of what is to be drawn.

    The margins repeat the images' edges, so that the latents beside them know of no frame.
    """
    margins = {"left": left, "right": right, "top": top, "bottom": bottom}
    sides = [check_whole(name, margin, 0, MAX_SIDE) for name, margin in margins.items()]
    if not any(sides):
        raise ValueError("outpaint draws around an image: give left, right, top or bottom, in pixels")
    listed = check_images(images)
    return F.pad(listed, sides, mode="replicate"), F.pad(torch.zeros_like(listed[:, :1]), sides, value=1.0)


def beside_of(model: LatentDiffusion, start: Start | None, settings: SamplingSettings, count: int) -> Tensor | None:
    """What an inpainting network takes beside the latents (count, 1 + C, h, w); where nothing is known, a mask of ones
    over grey. None for any other network."""
    if not model.denoiser.channels_beside or model.denoiser.enlarges:
        return None
    if start is not None and start.beside is not None:
        return start.beside
    known = model.encode(torch.full((1, 3, settings["height"], settings["width"]), GREY)).to(model.device)
    return torch.cat([torch.ones_like(known[:, :1]), known], dim=1).expand(count, -1, -1, -1)
