"""Jobs in batches that one call of the model makes together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from ldm_core.pictures import LOOP
from ldm_core.pipeline import LatentDiffusion

from .jobs import Job
from .starts import draw
from .steering import images_for


def batches(jobs: Sequence[Job], size: int) -> Iterator[list[Job]]:
    """Jobs of one model in batches of at most `size` that denoise together: steps, scheduler and sizes agree in each."""
    groups: dict[tuple, list[Job]] = {}
    for job in jobs:
        groups.setdefault(tuple(job.condition.settings[name] for name in LOOP), []).append(job)
    for group in groups.values():
        yield from (group[start : start + size] for start in range(0, len(group), size))


def sample(model: LatentDiffusion, batch: Sequence[Job], **changes: object) -> Tensor:
    """The images (B, 3, H, W) of jobs that denoise together; `changes` to their settings, by flat names."""
    settings = [job.condition.settings.replaced(**changes) for job in batch]
    texts, seeds = [job.text for job in batch], [job.seed for job in batch]
    starts = [job.start for job in batch if job.start is not None]
    controls = [job.control for job in batch if job.control is not None]
    steering = images_for(controls, settings) if controls else None
    if starts:
        return draw(model, starts, texts, seeds, settings, steering)
    images = model.sample(texts, seeds, settings=settings, control_images=steering)
    assert isinstance(images, Tensor), "of one size"
    return images
