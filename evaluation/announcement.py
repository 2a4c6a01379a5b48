"""What a run says on the terminal before it begins: how much there is to do and how, and what is to be known beforehand."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from ldm_core.pipeline import LatentDiffusion
from ldm_core.recipe import Recipe

from .amounts import amount
from .generation.axes import setting_in_words
from .generation.cost import estimate
from .generation.jobs import Job

if TYPE_CHECKING:
    from .runner import Run

MOST_CONDITIONS = 12  # that are named


def announcement(run: Run, absent: Sequence[Job]) -> list[str]:
    """Lines that say what there is to do; the images `absent` are to be made."""
    recipe = run.config.remade
    remade = [] if recipe is None else [remade_as(recipe, run.model)]
    return [*_amount(run, absent), *remade, *_given(run), *run.words.lines()]


def _amount(run: Run, absent: Sequence[Job]) -> Iterator[str]:
    asked, own = run.plan.asked, run.own
    of_all = {name: setting_in_words(name, asked) for name in ("steps", "scheduler", "width", "height")}
    by = "" if run.model.engine == "torch" else f" by {run.model.engine}"
    yield (
        f"{amount(len(run.prompts), 'prompt')} x {amount(run.config.images_per_prompt, 'seed')} x "
        f"{amount(len(asked), 'condition' if _sweeps(run) else 'scale')} = {amount(len(run.jobs), 'image')}, "
        + ("" if run.shard is None else f"of which {len(own)} are --shard {run.shard}: ")
        + f"{len(own) - len(absent)} present, {len(absent)} to make"
    )
    yield (
        f"{amount(of_all['steps'], 'step')} of {of_all['scheduler']}, {of_all['width']} x {of_all['height']} pixels, "
        f"{run.protocol['dtype']} on {run.model.device}{by}, {torch.get_num_threads()} threads; into {run.out}"
    )


def _given(run: Run) -> Iterator[str]:
    """What pictures begin from, what steers them, and what varies beside the guidance scale."""
    config, asked = run.config, run.plan.asked
    if config.init_images is not None:
        yield f"{config.task_name} from {config.init_images}, strength {setting_in_words('strength', asked)}"
    if config.control_images is not None:
        scales = setting_in_words("control_scale", asked)
        yield f"steered by {config.control}, images of {config.control_images}, scale {scales}"
    if _sweeps(run):
        labels = [condition.label for condition in run.plan.conditions]
        more = "; ..." if len(labels) > MOST_CONDITIONS else ""
        yield f"conditions: {'; '.join(labels[:MOST_CONDITIONS])}{more}"


def _sweeps(run: Run) -> bool:
    """Whether anything else varies than the guidance scale."""
    return run.plan.axes != ("guidance_scale",)


def remade_as(recipe: Recipe, model: LatentDiffusion) -> str:
    """In words, whether a recipe's picture comes out as it was: by its weights and configs, and by what else has changed."""
    now = model.recipe(recipe.prompt, recipe.seed)
    if not recipe.is_of_model(now):
        was, here = (f"{one.weights[:12]}, {one.configs[:12] or 'unknown'}" for one in (recipe, now))
        return (
            f"warning: the recipe is of other weights or configs of {recipe.model} ({was}) than those here ({here}): this will "
            "be another picture"
        )
    if changes := recipe.changes_since(now):
        return f"the recipe's picture was made otherwise ({'; '.join(changes)}): this will be very close, not the same bytes"
    return "the recipe's weights, configs and versions are those here: this will be the same picture, to rounding"


def forecast(run: Run, absent: Sequence[Job]) -> list[str]:
    """A line that says how long the images `absent` will take and what they will fill, by a trial with the model at hand; none
    where nothing is to be made by it."""
    own = [job for job in absent if job.condition.model in (None, run.plan.asked[0].model)]
    if not own:
        return []
    seconds, size = estimate(run.model, own, run.config.batch_size)
    each, count = seconds / len(own), len(absent)
    total = datetime.timedelta(seconds=round(each * count / run.processes.count))
    disk = size / len(own) * count / 2**20
    return [f"about {total} to make them, at {each:.2f} s an image, and {disk:.0f} MiB of disk"]
