"""A picture of a task again, from its recipe and the files that it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from ..checks import shown
from ..recipe import Recipe, Task
from . import image_to_image, inpainting, upscaling
from .start import check_images, image_sha256

if TYPE_CHECKING:
    from ..pipeline import LatentDiffusion


def redraw(
    model: LatentDiffusion,
    recipe: Recipe,
    image: Tensor | None = None,
    mask: Tensor | None = None,
    control_image: Tensor | None = None,
) -> Tensor:
    """The picture (1, 3, H, W) of a recipe again; ValueError in one line where an image is lacking, or another than that
    which it was made of."""
    task, drawing = recipe.task, cast(Any, model)  # what is lacking is refused in words
    given: dict[str, object] = {"prompts": recipe.prompt, "seeds": recipe.seed, "settings": recipe.settings}
    if recipe.control_image is not None:
        check_same(Task(f"steering by {recipe.control}", recipe.control_image), control_image, None)
        given["control_images"] = control_image
    if task is None:
        return drawing.sample(**given)
    check_same(task, image, mask)
    options, given["images"] = dict(task.options), image
    if task.name == image_to_image.NAME and not options:
        return _together(drawing.image_to_image(**given))
    if task.name == upscaling.NAME and set(options) in ({"factor", "by"}, {"factor", "noise_level"}):
        return _together(drawing.upscale(**given, **options))
    if task.name == inpainting.NAME and not options:
        return _together(drawing.inpaint(**given | {"masks": mask}))
    raise ValueError(f"the recipe is of {shown(task.name)}, which this version does not draw again")


def _together(images: Tensor | list[Tensor]) -> Tensor:
    """Of one size."""
    return torch.stack(list(images))


def check_same(task: Task, image: Tensor | None, mask: Tensor | None) -> None:
    """ValueError where what is given is not what a task's picture was made of."""
    listed = None if image is None else check_images(image, "image")
    covered = None if mask is None else inpainting.check_masks(mask)
    for name, values, known in (("image", listed, task.image), ("mask", covered, task.mask)):
        if known and values is None:
            raise ValueError(f"the recipe is of {task.name} and needs the {name} that it was made of, {known[:12]}")
        if known and values is not None and (found := image_sha256(values[0])) != known:
            raise ValueError(f"the recipe is of another {name}, {known[:12]}; the one given is {found[:12]}")
