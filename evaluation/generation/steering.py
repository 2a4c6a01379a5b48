"""The control images of a run: what says where things go in its pictures. Which goes with which prompt: prompt_pictures.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ldm_core.arguments import check_size
from ldm_core.recipe import Recipe, Task
from ldm_core.settings import SamplingSettings
from ldm_core.tasks.replay import check_same

from ..prompts import Prompt
from .prompt_pictures import by_prompt, files_sha256, fitted

if TYPE_CHECKING:
    from ldm_core.pipeline import LatentDiffusion

    from ..config import RunConfig

FLAG = "--control-images"


def control_images_of(config: RunConfig, prompts: Sequence[Prompt]) -> dict[int, Path]:
    """By a prompt's place in its file; empty for a run that nothing steers."""
    if config.control_images is None:
        return {}
    return by_prompt(FLAG, config.control_images, prompts, config.limit is not None)


def protocol_of_steering(config: RunConfig) -> dict[str, str]:
    """What a run's protocol says of them; nothing for a run that nothing steers. The control itself is among the weights."""
    return {} if config.control_images is None else {"control_images": files_sha256(FLAG, config.control_images)}


def check_steerable(model: LatentDiffusion, settings: SamplingSettings) -> None:
    """ValueError where a model's control cannot take images of the size of the settings, nothing of which is open."""
    if model.control is not None:
        check_size(settings["height"], settings["width"], model.control.multiple, float("inf"))


def images_for(files: Sequence[Path], settings: Sequence[SamplingSettings]) -> Tensor:
    """The control images (B, 3, H, W) of pictures that denoise together, which have one size."""
    return torch.stack([fitted(path, own["height"], own["width"]) for path, own in zip(files, settings)])


def steered(recipe: Recipe, model: LatentDiffusion, file: Path) -> Recipe:
    """A picture's recipe with what steered it."""
    own = recipe.settings
    told = model.steering(fitted(file, own["height"], own["width"]))
    return replace(recipe, control=told["control"], control_image=told["control_image"])


def check_recipe_image(recipe: Task, file: Path, settings: SamplingSettings) -> None:
    """ValueError where a recipe's picture was steered by another image than that of the file."""
    check_same(recipe, fitted(file, settings["height"], settings["width"]), None)
