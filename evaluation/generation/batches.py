"""Jobs in batches that one call of the model makes together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from ldm_core.pipeline import LatentDiffusion

from .jobs import Job


def batches(jobs: Sequence[Job], size: int) -> Iterator[list[Job]]:
    """Jobs that one call can make together, at most `size` of them: a condition's folder is of one protocol."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.condition.folder, []).append(job)
    for group in groups.values():
        yield from (group[start : start + size] for start in range(0, len(group), size))


def sample(model: LatentDiffusion, batch: Sequence[Job], **changes: object) -> Tensor:
    """The images (B, 3, H, W) of jobs of one protocol; `changes` to their settings, by flat names."""
    settings = batch[0].condition.settings.replaced(**changes).flat()
    del settings["guidance_scale"]
    if settings["scheduler"] == model.scheduler_name:
        settings["scheduler"] = None  # its own may be one that has no name
    return model.sample(
        [job.text for job in batch],
        [job.seed for job in batch],
        [job.condition.guidance_scale for job in batch],
        **settings,
    )
