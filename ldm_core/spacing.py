"""Where the steps of a diffusion schedule lie: more of them at noise than an even spacing has.

A network that is asked at pure noise can only say the mean of all pictures. One long step from there leaves the latent of
that mean, and what noise had to say of the whole picture, its light above all, is lost. A shift s spends the steps earlier:

    t' = s t / (1 + (s - 1) t)        (Esser et al. 2024, eq. 23)

of even t, from 1 (noise) to 0 (clean); s = 1 leaves them even. Flow models have the same number in their own schedule; for the
others diffusers has no key, so "shift" in a scheduler's config is this project's.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import diffusers
import torch
from diffusers.schedulers.scheduling_ddim import DDIMSchedulerOutput
from torch import Tensor

SHIFT = "shift"
# Spacings of sigmas by a rule of their own: there is nothing even to shift.
OWN_SPACINGS = (
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "use_lu_lambdas",
    "use_flow_sigmas",
)


class DDIMScheduler(diffusers.DDIMScheduler):
    """DDIM over any timesteps; diffusers' own reckons the next one from an even spacing. No noise of its own (eta = 0)."""

    def following(self, timestep: Tensor | int) -> float:
        """alpha_bar after the step at a timestep."""
        place = int((self.timesteps == int(timestep)).nonzero()[0]) + 1
        ended = place == len(self.timesteps)
        return float(self.final_alpha_cumprod if ended else self.alphas_cumprod[self.timesteps[place]])

    def step(
        self, model_output: Tensor, timestep: Tensor | int, sample: Tensor, eta: float = 0.0, **unused: Any
    ) -> DDIMSchedulerOutput:
        """Song et al. 2021, eq. 12 with sigma = 0: the clean latent, noised again by the noise that was in it."""
        if eta:
            raise ValueError(f"eta must be 0 where steps are shifted, got {eta}")
        now, then = float(self.alphas_cumprod[int(timestep)]), self.following(timestep)
        clean, noise = self._parted(model_output, sample, now)
        return DDIMSchedulerOutput(then**0.5 * clean + (1 - then) ** 0.5 * noise, clean)

    def _parted(self, output: Tensor, sample: Tensor, alpha_bar: float) -> tuple[Tensor, Tensor]:
        """The clean latent and the noise (B, C, h, w) of which a prediction says that a sample is made."""
        signal, spread = max(alpha_bar, 1e-12) ** 0.5, (1 - alpha_bar) ** 0.5
        kind = self.config.prediction_type
        if kind == "v_prediction":
            clean, noise = signal * sample - spread * output, signal * output + spread * sample
        elif kind == "epsilon":
            clean, noise = (sample - spread * output) / signal, output
        else:  # the clean latent itself
            clean, noise = output, (sample - signal * output) / spread
        if self.config.thresholding:
            clean = self._threshold_sample(clean)
        elif self.config.clip_sample:
            clean = clean.clamp(-self.config.clip_sample_range, self.config.clip_sample_range)
        return clean, noise


def shifted(t: float, shift: float) -> float:
    """Where an even time t in [0, 1] goes."""
    return shift * t / (1 + (shift - 1) * t)


def shifted_timesteps(timesteps: Sequence[float], count: int, shift: float) -> list[int]:
    """Falling timesteps of a schedule of `count` levels, from count - 1 (noise) to 0, shifted: falling still, none twice."""
    found: list[int] = []
    for left, timestep in zip(reversed(range(len(timesteps))), timesteps):
        moved = round(count * shifted((float(timestep) + 1) / count, shift)) - 1
        below = count - 1 if not found else found[-1] - 1
        # Where many crowd each takes the next, and leaves one for each that is still to come.
        found.append(max(left, min(moved, below)))
    return found


def takes_shift(scheduler: diffusers.SchedulerMixin) -> bool:
    """Whether a scheduler of a diffusion model can have its steps moved."""
    return (
        isinstance(scheduler, DDIMScheduler)
        or _lists_timesteps(scheduler)
        or (hasattr(scheduler, "sigmas") and getattr(scheduler, "order", 1) == 1)
    ) and not any(scheduler.config.get(key) for key in OWN_SPACINGS)


def shift_steps(scheduler: diffusers.SchedulerMixin, shift: float) -> None:
    """Move the steps of a scheduler that is set to a number of them."""
    own = dict.fromkeys(scheduler.timesteps.tolist())  # those of second order list most of them twice
    moved = shifted_timesteps(list(own), scheduler.config.num_train_timesteps, shift)
    if _lists_timesteps(scheduler):
        scheduler.set_timesteps(timesteps=moved)
        return
    if hasattr(scheduler, "sigmas"):
        table = scheduler.alphas_cumprod[moved].double()
        sigmas = ((1 - table) / table).sqrt().to(scheduler.sigmas)
        scheduler.sigmas = torch.cat([sigmas, scheduler.sigmas[-1:]])
    scheduler.timesteps = torch.tensor(moved).to(scheduler.timesteps)


def shift_of(config: Mapping) -> float:
    """The shift that a scheduler's config asks for; 1 where it says nothing."""
    found = config.get(SHIFT)
    return 1.0 if found is None else float(found)


def _lists_timesteps(scheduler: diffusers.SchedulerMixin) -> bool:
    return "timesteps" in inspect.signature(scheduler.set_timesteps).parameters
