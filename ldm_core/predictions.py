"""What follows from a prediction at a step, in the scheduler's own numbers: for guidance rules that ask for it."""

from __future__ import annotations

import diffusers
import torch
from torch import Tensor

from .schedulers import DIFFUSION, kind_of, predicted_clean, readable_name
from .spacing import DDIMScheduler

RENOISED = ("DDIMScheduler", "EulerDiscreteScheduler")  # whose step is: clean latent, then noise again


def step_of(scheduler: diffusers.SchedulerMixin, timestep: Tensor) -> int:
    """The place of a timestep in the scheduler's own list, where it keeps the noise levels of its steps."""
    return int((scheduler.timesteps == timestep).nonzero()[0])


def clean_slope(scheduler: diffusers.SchedulerMixin, timestep: Tensor) -> float:
    """d z_0 / d prediction: z_0 is linear in the prediction, whether that is noise, v, flow or z_0 itself."""
    nothing = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    return float(predicted_clean(scheduler, nothing + 1, nothing, nothing, timestep, step_of(scheduler, timestep)))


def clean_of(scheduler: diffusers.SchedulerMixin, prediction: Tensor, latent: Tensor, timestep: Tensor) -> Tensor:
    """z_0 as a prediction (B, C, h, w) implies it, of a latent (B, C, h, w) as the network takes it."""
    return predicted_clean(scheduler, prediction, latent, latent, timestep, step_of(scheduler, timestep))


def renoising(scheduler: diffusers.SchedulerMixin, timestep: Tensor) -> float:
    """r such that the next latent + r (u - guided) is the clean latent of `guided`, noised again by u's noise (Chung et al.
    2024, algorithm 1, line 7): the noise's share after the step, times d eps / d prediction.

    Exact for the schedulers of RENOISED without noise of their own.
    """
    step = step_of(scheduler, timestep)
    if hasattr(scheduler, "sigmas"):  # z = z_0 + sigma eps
        sigma, after = float(scheduler.sigmas[step]), float(scheduler.sigmas[step + 1])
    else:  # z = sqrt(a) z_0 + sqrt(1 - a) eps
        a, a_after = float(scheduler.alphas_cumprod[int(timestep)]), _alpha_bar_after(scheduler, timestep)
        sigma, after = ((1 - a) / a) ** 0.5, (1 - a_after) ** 0.5
    return -after * clean_slope(scheduler, timestep) / sigma


def _alpha_bar_after(scheduler: diffusers.SchedulerMixin, timestep: Tensor) -> float:
    """DDIM's, as its own step reckons it."""
    if isinstance(scheduler, DDIMScheduler):
        return scheduler.following(timestep)
    following = int(timestep) - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
    return float(scheduler.alphas_cumprod[following] if following >= 0 else scheduler.final_alpha_cumprod)


def renoises(scheduler_config: dict, scheduler: diffusers.SchedulerMixin) -> bool:
    """Whether CFG++'s step is exact with a scheduler, for a model of that config."""
    return type(scheduler).__name__ in RENOISED and kind_of(scheduler_config) == DIFFUSION


def renoising_names() -> str:
    """Their readable names."""
    return " and ".join(map(readable_name, RENOISED))
