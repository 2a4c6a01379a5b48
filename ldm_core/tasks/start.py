"""What images begin from in place of noise alone, and how it enters the denoising loop.

A start image x is encoded to z and noised to t = strength (SDEdit, Meng et al. 2022); the loop goes on from there. Of an
inpainting the part that is known is put back after each step, at the noise of that step (RePaint's first half, Lugmayr et
al. 2022, eq. 8).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers import SchedulerMixin
from torch import Tensor

from ..checks import shown
from ..images import pixels_sha256, rounded, to_uint8
from ..recipe import Task
from ..settings import SamplingSettings

TENSORS = ("clean", "mask", "beside", "noise", "image")  # of a Start, a row an image


@dataclass(frozen=True)
class Start:
    """What images begin from; the tensors have a row an image, as `tasks` has, or one row that serves all."""

    tasks: tuple[Task, ...]  # what each was made of: images of one seed and one task begin equal
    strength: float | None = None  # where the settings leave it open; None: it begins at noise, whatever else is given
    clean: Tensor | None = None  # clean latents (B, C, h, w), noised to t = strength
    mask: Tensor | None = None  # (B, 1, h, w): 1 where it is drawn anew, 0 where `clean` is put back after each step
    beside: Tensor | None = None  # (B, 1 + C, h, w): what an inpainting network takes beside the latent
    noise: Tensor | None = None  # (B, C, h, w), in place of the seeds' own
    image: Tensor | None = None  # (B, 3, h, w) in [-1, 1]: what an upscaler is given, made noisy by the seed
    noise_level: int = 0  # of that image

    def rows(self, chosen: Sequence[int]) -> Start:
        """Some rows of it."""
        cut = self._each(lambda values: values[list(chosen)])
        return replace(cut, tasks=tuple(self.tasks[row] for row in chosen))

    def for_images(self, count: int) -> Start:
        """With a row for each of `count` images; ValueError where it has another number of them than that or 1."""
        if len(self.tasks) == 1:
            return self.rows([0] * count)
        if len(self.tasks) != count:
            raise ValueError(f"images must be one or one per prompt: got {len(self.tasks)} for {count} prompts")
        return self

    def to(self, device: torch.device) -> Start:
        """On a device."""
        return self._each(lambda values: values.to(device))

    def sides(self, factor: int) -> dict[str, int]:
        """Height and width in pixels, a latent value being so many along a side."""
        values = next(each for each in (getattr(self, name) for name in TENSORS) if each is not None)
        return {"height": values.shape[2] * factor, "width": values.shape[3] * factor}

    def check(self, given: SamplingSettings, sides: dict[str, int]) -> None:
        """ValueError for settings that ask for another size."""
        for name, side in sides.items():
            if given[name] not in (None, side):
                raise ValueError(f"{name} must be the start's, {side} pixels, or be left out, got {given[name]}")

    def begins_within(self, given: SamplingSettings) -> bool:
        """Whether the loop begins below pure noise, at t = strength < 1."""
        strength = self.strength if given.strength is None else given.strength
        return strength is not None and strength < 1

    def check_shift(self, given: SamplingSettings, flow: bool) -> None:
        """ValueError for settings that move the steps of a loop that begins within a schedule of diffusion: at t = strength
        there would be other steps than those that strength counts."""
        if not flow and given.shift not in (None, 1.0):
            raise ValueError(
                f"shift is for pictures drawn from noise alone, strength 1: leave it out, got {given.shift:g}"
            )

    def _each(self, change: Callable[[Tensor], Tensor]) -> Start:
        """With every tensor changed."""
        given = ((name, getattr(self, name)) for name in TENSORS)
        changed: dict[str, Any] = {name: change(values) for name, values in given if values is not None}
        return replace(self, **changed)


def check_images(images: object, name: str = "images") -> Tensor:
    """Start images (3, H, W) or (B, 3, H, W) in [0, 1], as (B, 3, H, W) float32 on the CPU."""
    if not isinstance(images, Tensor):
        raise ValueError(f"{name} must be a tensor (B, 3, H, W) in [0, 1], got {shown(type(images).__name__)}")
    listed = images[None] if images.ndim == 3 else images
    if listed.ndim != 4 or listed.shape[1] != 3 or not listed.numel():
        raise ValueError(f"{name} must be (B, 3, H, W), got {tuple(images.shape)}")
    if not listed.is_floating_point() or not bool(((listed >= 0) & (listed <= 1)).all()):
        raise ValueError(f"{name} must be in [0, 1]; ldm_core.images.from_uint8 and from_pil give that")
    return listed.detach().float().cpu()


def image_sha256(pixels: Tensor) -> str:
    """SHA-256 of an image (3, H, W) or mask (1, H, W) in [0, 1]: of its sides and its 8-bit values, whatever file they lie in;
    of its floats where 8 bits do not hold them."""
    whole = rounded(pixels)
    values = to_uint8(pixels[None])[0] if torch.equal(whole, pixels) else pixels.numpy()
    return pixels_sha256(values)


def steps_run(steps: int, strength: float) -> int:
    """Of a schedule of so many steps those that begin at t = strength: int(steps strength) as diffusers counts them, and at
    least one of any strength above 0. (Its Stable Diffusion 3 rounds up instead.)"""
    if strength <= 0:
        return 0
    return min(steps, max(1, int(steps * strength + 1e-9)))  # 10 x 0.7 is 7, whatever floats say


def timesteps_from(scheduler: SchedulerMixin, steps: int, strength: float) -> tuple[Tensor, int]:
    """The timesteps that are left of a prepared schedule at t = strength, and the place of the first among all."""
    if strength == 0:
        return scheduler.timesteps[:0], len(scheduler.timesteps)
    skipped = steps - steps_run(steps, strength)
    if hasattr(scheduler, "plms_timesteps") and skipped:
        return _plms_from(scheduler, skipped), skipped
    # Those of second order visit each level but the first twice.
    first = min(skipped * getattr(scheduler, "order", 1), len(scheduler.timesteps) - 1)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    return scheduler.timesteps[first:], first


def _plms_from(scheduler: SchedulerMixin, skipped: int) -> Tensor:
    """Of PNDM (Liu et al. 2022), whose multistep part takes its first step twice and so visits the second level twice; a
    Runge-Kutta beginning is only for t = 1."""
    scheduler.register_to_config(skip_prk_steps=True)
    left = torch.as_tensor(scheduler._timesteps[::-1].copy()).long()[skipped:]
    return torch.cat([left[:2], left[1:]])


def noised(scheduler: SchedulerMixin, clean: Tensor, noise: Tensor, timestep: Tensor, place: int) -> Tensor:
    """Clean latents (B, C, h, w) with their noise at a timestep, the place-th of the schedule, as the scheduler's own
    latents are; ValueError for a scheduler that cannot."""
    at = torch.as_tensor(timestep).reshape(1)
    if hasattr(scheduler, "add_noise"):
        return scheduler.add_noise(clean, noise, at)
    if hasattr(scheduler, "scale_noise"):
        return scheduler.scale_noise(clean, at, noise)
    if hasattr(scheduler, "alphas") and hasattr(scheduler, "betas"):  # IPNDM, on a clock of its own
        return float(scheduler.alphas[place]) * clean + float(scheduler.betas[place]) * noise
    raise ValueError(f"the scheduler {type(scheduler).__name__} cannot start from an image: it does not say its noise")


def begin(
    scheduler: SchedulerMixin, noise: Tensor, steps: int, start: Start | None, strength: float
) -> tuple[Tensor, Tensor, int]:
    """Of a prepared schedule: the latents (B, C, h, w) that the loop begins at, the timesteps that it goes through, and the
    place of the first among all."""
    latent = noise * getattr(scheduler, "init_noise_sigma", 1.0)
    if start is None or start.clean is None:
        return latent, scheduler.timesteps, 0
    timesteps, first = timesteps_from(scheduler, steps, strength)
    return noised(scheduler, start.clean, noise, timesteps[0], first) if first else latent, timesteps, first


def put_back(
    scheduler: SchedulerMixin,
    latent: Tensor,
    noise: Tensor,
    start: Start,
    following: Tensor | None = None,
    place: int = 0,
) -> Tensor:
    """latent (B, C, h, w) where the start's mask is 1; where it is 0 what is known, at the noise of the timestep that follows,
    or clean where none does."""
    assert start.clean is not None and start.mask is not None, "there is something known"
    known = start.clean
    if following is not None and len(following):
        known = noised(scheduler, known, noise, following, place)
    return torch.where(start.mask > 0, latent, known)
