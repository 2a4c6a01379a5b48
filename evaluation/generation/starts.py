"""The start images of a run, and its masks.

Which goes with which prompt: prompt_pictures.py. Of a mask white is drawn anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from ldm_core.recipe import Task
from ldm_core.tasks import image_to_image, inpainting
from ldm_core.tasks.replay import check_same
from ldm_core.tasks.start import image_sha256

from ..prompts import Prompt
from .prompt_pictures import by_prompt, files_sha256, fitted

if TYPE_CHECKING:
    from ldm_core.pipeline import LatentDiffusion

    from ..config import RunConfig


@dataclass(frozen=True)
class StartFiles:
    """What one image begins from."""

    image: Path
    mask: Path | None = None

    def task(self, height: int, width: int) -> Task:
        """For its recipe."""
        image, mask = self.tensors(height, width)
        if mask is None:
            return Task(image_to_image.NAME, image_sha256(image))
        return Task(inpainting.NAME, image_sha256(image), image_sha256(mask))

    def tensors(self, height: int, width: int) -> tuple[Tensor, Tensor | None]:
        """The image (3, H, W) in [0, 1], and the mask (1, H, W), 1 where it is drawn anew."""
        mask = None if self.mask is None else (fitted(self.mask, height, width)[:1] >= inpainting.GREY).float()
        return fitted(self.image, height, width), mask


def starts_of(config: RunConfig, prompts: Sequence[Prompt]) -> dict[int, StartFiles]:
    """By a prompt's place in its file; empty for a run from noise. ValueError in one line where pictures are lacking."""
    if config.init_images is None:
        return {}
    images = by_prompt("--init-images", config.init_images, prompts, config.limit is not None)
    if config.masks is None:
        return {place: StartFiles(image) for place, image in images.items()}
    masks = by_prompt("--masks", config.masks, prompts, config.limit is not None)
    return {place: StartFiles(image, masks[place]) for place, image in images.items()}


def protocol_of_starts(config: RunConfig) -> dict[str, str]:
    """What a run's protocol says of them; nothing for a run from noise."""
    if config.init_images is None:
        return {}
    found = {"task": config.task_name, "init_images": files_sha256("--init-images", config.init_images)}
    return found if config.masks is None else found | {"masks": files_sha256("--masks", config.masks)}


def draw(
    model: LatentDiffusion,
    starts: Sequence[StartFiles],
    prompts: list[str],
    seeds: list[int],
    settings: list,
    control_images: Tensor | None = None,
) -> Tensor:
    """Images (B, 3, H, W) of one size, each from its start, steered by its control image where there are any."""
    pairs = [start.tensors(own["height"], own["width"]) for start, own in zip(starts, settings)]
    images = torch.stack([image for image, _ in pairs])
    masks = [mask for _, mask in pairs if mask is not None]
    given: dict[str, Any] = {"settings": settings, "control_images": control_images}
    if masks:
        return cast(Tensor, model.inpaint(images, torch.stack(masks), prompts, seeds, **given))
    return cast(Tensor, model.image_to_image(images, prompts, seeds, **given))


def check_recipe(task: Task, start: StartFiles, settings: Mapping | object) -> None:
    """ValueError where a recipe's picture was made of other files than these."""
    image, mask = start.tensors(settings["height"], settings["width"])  # type: ignore[index]  # by flat name
    if (mask is None) != (not task.mask):
        given = "no mask was" if mask is None else "a mask is"
        raise ValueError(f"--recipe is of {task.name}, and {given} given by --masks")
    check_same(task, image, mask)
