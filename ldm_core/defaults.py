"""What a model that no registry knows is best drawn with, read off its own configs: size, steps, guidance weight, world."""

from __future__ import annotations

import dataclasses
import re

from . import registry
from .adapted import BASE
from .checkpoint import Checkpoint
from .schedulers import FLOW, kind_of


def with_own_defaults(spec: registry.ModelSpec, checkpoint: Checkpoint, factor: int) -> registry.ModelSpec:
    """A stranger's spec: its native size is in its own config; its world too, where it was trained here."""
    world = checkpoint.index.get("_world")
    world = world if world in registry.WORLDS else ""
    family, (steps, scale) = checkpoint.family, _pace(spec, checkpoint)
    height, width = family.native_size(checkpoint.parts[family.denoiser_part], factor)
    spec = dataclasses.replace(spec, steps=steps, guidance_scale=scale)
    return dataclasses.replace(spec, height=height, width=width, world=world, family=family.name)


def _pace(spec: registry.ModelSpec, checkpoint: Checkpoint) -> tuple[int, float]:
    """Steps and w of a stranger: of one that was distilled to few, known by its config or by its name and schedule, those of
    its authors' examples."""
    if checkpoint.family.pace is not None:
        return checkpoint.family.pace
    config, scheduler = checkpoint.parts[checkpoint.family.denoiser_part].config, checkpoint.scheduler_config
    if base := checkpoint.index.get(BASE):  # of train_turbo: its base's weight
        return 4, registry.find(base).guidance_scale
    if getattr(config, "time_cond_proj_dim", None):  # takes the weight (Meng et al. 2023): a latent consistency model
        return 4, 8.5
    if scheduler.get("_class_name") in ("LCMScheduler", "TCDScheduler"):
        return 4, 1.0
    to_the_end = kind_of(scheduler) == FLOW or scheduler.get("timestep_spacing") == "trailing"
    if to_the_end and re.search("turbo|lightning", spec.name, re.IGNORECASE):
        return 4, 1.0
    return spec.steps, spec.guidance_scale
