"""From seeds to noise, and from noise to a clean latent: the denoising loop itself.

Schedulers are diffusers' (schedulers.py). Their timesteps are used beside them only; everything else here counts time t
from 1.0 (noise) to 0.0 (clean).
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from diffusers import SchedulerMixin
from torch import Tensor

from .checks import first_line
from .schedulers import make_scheduler, predicted_clean, set_steps, time_of
from .tasks.start import Start, begin, put_back

REHEARSAL = 4  # steps: as many as the longest memory of a solver


@dataclass(frozen=True)
class State:
    """The loop after one step: which step (0 first), the time t it started at, and the latents (B, C, h, w)."""

    step: int
    steps: int
    t: float
    latent: Tensor
    clean: Tensor  # the clean latent as the network predicts it now: what a preview shows
    arrow: Tensor | None = None  # the prediction with the prompt less the one without, 0 where one alone was asked for


def image_seed(run_seed: int, prompt: str, k: int) -> int:
    """The seed of a run's k-th image of a prompt: the first 32 bits of SHA-256, so it depends on nothing else."""
    return int.from_bytes(hashlib.sha256(f"{run_seed}\n{prompt}\n{k}".encode()).digest()[:4], "big")


def image_generators(seeds: list[int]) -> list[torch.Generator]:
    """One CPU generator per image."""
    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]


def initial_noise(generators: list[torch.Generator], shape: tuple[int, int, int]) -> Tensor:
    """One N(0, 1) latent per generator: (B, *shape), float32 on the CPU.

    A row depends on its own seed alone, so an image is the same in any batch and on any number of processes.
    """
    return torch.cat([torch.randn((1, *shape), generator=generator) for generator in generators])


def denoise(
    predict: Callable[[Tensor, Tensor, float], Tensor],
    scheduler: SchedulerMixin,
    noise: Tensor,
    generators: list[torch.Generator],
    steps: int,
    image_tokens: int = 0,
    after_step: Callable[[Tensor, Tensor], Tensor] | None = None,
    start: Start | None = None,
    strength: float = 1.0,
) -> Iterator[State]:
    """The sampling loop: noise (B, C, h, w) -> a State after each step; the last one's latent is the result.

    predict(latent, timestep, t) is the guided prediction (B, C, h, w) for a latent as the network takes it. The generators
    that made the noise go on to serve the schedulers that add more, so those too depend on each image's seed alone.
    image_tokens is for schedules that depend on the image's size: how many tokens the denoiser takes the latent for.
    after_step(latent, timestep) is the latent (B, C, h, w) that takes the place of what the scheduler's step at the timestep
    gave: for guidance rules that go back to noise in their own way. With a start, of as many rows, the loop begins at
    t = strength: at the start's clean latents, noised; at 1 at noise alone.
    """
    set_steps(scheduler, steps, image_tokens)
    latent, timesteps, first = begin(scheduler, noise, steps, start, strength)
    accepted = inspect.signature(scheduler.step).parameters
    # eta, the noise that is added anew, is 0 in diffusers' pipelines whatever a scheduler's own default.
    extra = {name: value for name, value in (("generator", generators), ("eta", 0.0)) if name in accepted}
    for step, timestep in enumerate(timesteps):
        t = time_of(scheduler, timestep)
        scaled = scheduler.scale_model_input(latent, timestep) if hasattr(scheduler, "scale_model_input") else latent
        prediction = predict(scaled, timestep, t)
        if first and "order" in accepted:  # LMS counts the steps before the start as if it had taken them
            extra["order"] = min(4, step + 1)
        before = latent
        stepped = scheduler.step(prediction, timestep, latent, **extra)
        latent = stepped.prev_sample if after_step is None else after_step(stepped.prev_sample, timestep)
        clean = _own_clean(stepped)
        if clean is None:
            clean = predicted_clean(scheduler, prediction, before, scaled, timestep, first + step)
        if start is not None and start.mask is not None:
            following = timesteps[step + 1 : step + 2]
            latent = put_back(scheduler, latent, noise, start, following, first + step + 1)
            clean = put_back(scheduler, clean, noise, start)
        _check_finite(latent, step + 1, len(timesteps))
        yield State(step, len(timesteps), t, latent, clean)


def _check_finite(latent: Tensor, step: int, steps: int) -> None:
    """Asking a GPU waits for it, so there only the last latent is asked for: what is not finite stays so."""
    if (latent.device.type == "cpu" or step == steps) and not torch.isfinite(latent).all():
        raise FloatingPointError(
            f"the latent stopped being finite at step {step} of {steps}; "
            "a lower guidance_scale or dtype='float32' may do"
        )


def _own_clean(stepped: object) -> Tensor | None:
    """The clean latent (B, C, h, w) where a scheduler's step says it itself."""
    found = getattr(stepped, "pred_original_sample", None)
    return getattr(stepped, "denoised", None) if found is None else found


def check_scheduler(config: Mapping, name: str | None = None, shift: float | None = None) -> None:
    """A few steps on zeros: ValueError in one line where a config's own scheduler, or another by name, cannot draw."""
    _rehearse(json.dumps(dict(config), sort_keys=True, default=str), name, shift)


@functools.lru_cache(maxsize=64)
def _rehearse(config: str, name: str | None, shift: float | None) -> None:
    scheduler = make_scheduler(json.loads(config), name, shift)
    try:
        zeros, generators = torch.zeros(1, 4, 2, 2), image_generators([0])
        for _ in denoise(lambda latent, timestep, t: torch.zeros_like(latent), scheduler, zeros, generators, REHEARSAL):
            pass
    except Exception as error:  # noqa: BLE001  # the library raises what it likes: all of it means that this scheduler cannot draw
        raise ValueError(f"the scheduler {type(scheduler).__name__} cannot draw: {first_line(error)}") from None
