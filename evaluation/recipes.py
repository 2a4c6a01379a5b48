"""Recipes as evaluation.run takes them: one picture again, from the JSON of its recipe or the PNG that carries it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ldm_core.recipe import LARGEST, Recipe, Task, read_png

PNG_MARK = b"\x89PNG\r\n\x1a\n"


def read_recipe(path: Path) -> Recipe:
    """A recipe from its JSON, or from the PNG that carries it."""
    try:
        with path.open("rb") as file:
            start = file.read(len(PNG_MARK))
            if start == PNG_MARK or path.suffix.lower() == ".png":
                return read_png(path)
            return Recipe.from_json((start + file.read(4 * LARGEST)).decode("utf-8-sig"))
    except OSError as error:
        raise ValueError(f"--recipe {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ValueError(f"--recipe {path} is neither a PNG nor JSON in UTF-8") from None
    except ValueError as error:
        words = str(error)
        raise ValueError(words if str(path) in words else f"--recipe {path}: {words}") from None


def recipe_values(arguments: argparse.Namespace, decided: Sequence[str]) -> dict[str, Any]:
    """What the recipe of --recipe decides of a RunConfig. The options `decided` beside those of the model say the same thing
    again where they are given, and are refused, not passed over."""
    recipe = read_recipe(arguments.recipe)
    own = {name: getattr(recipe, name) for name in ("model", "vae", "lora", "control", "dtype", "engine")}
    for name in [*decided, *own]:
        if getattr(arguments, name) not in (None, []):
            raise ValueError(f"--{name.replace('_', '-')} cannot be given with --recipe, which decides it")
    settings = recipe.settings.replaced(guidance_scale=None, rows_per_call=None)
    _check_task(recipe, arguments)
    _check_steering(recipe, arguments)
    steering = Task(f"steering by {recipe.control}", recipe.control_image or "") if recipe.control else None
    return own | {
        "task": recipe.task,
        "remade": recipe,
        "steering": steering,
        "prompts": arguments.recipe,
        "settings": settings,
        "guidance_scales": (recipe.settings["guidance_scale"],),
    }


def _check_task(recipe: Recipe, arguments: argparse.Namespace) -> None:
    """ValueError where a recipe's picture began at an image and none is given, or the other way round."""
    task, given = recipe.task, arguments.init_images is not None
    if task is not None and task.name not in ("image_to_image", "inpainting"):
        raise ValueError(f"--recipe {arguments.recipe} is of {task.name}: model.redraw(recipe, image) makes it again")
    if (task is not None) != given:
        why = (
            "begins at noise: it takes no --init-images"
            if task is None
            else "needs its start image: --init-images FILE"
        )
        raise ValueError(f"--recipe {arguments.recipe} is of {task.name if task else 'a picture'} and {why}")


def _check_steering(recipe: Recipe, arguments: argparse.Namespace) -> None:
    """ValueError where an image steered a recipe's picture and none is given, or the other way round."""
    if (recipe.control is not None) != (arguments.control_images is not None):
        steered = f"steered by {recipe.control} and needs its image: --control-images FILE"
        why = steered if recipe.control else "steered by no image: it takes no --control-images"
        raise ValueError(f"--recipe {arguments.recipe} is of a picture {why}")
