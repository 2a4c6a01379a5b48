"""What one step of a few-step model's training teaches: guided and progressive distillation, where drawing comes by."""

from __future__ import annotations

import torch
from diffusers import SchedulerMixin, UNet2DConditionModel
from torch import Tensor

from .. import guidance
from ..pipeline import LatentDiffusion
from ..precision import mixed
from .config import TurboConfig
from .drawer import Drawer, ddim_step, even, grid, roots, said_with_weight
from .lesson import attention_for_training


def v_that_lands(start: Tensor, end: Tensor, now: Tensor, then: Tensor) -> Tensor:
    """The v with which one deterministic step from `start` at alpha_bar `now` is at `end` at alpha_bar `then`: the target of
    progressive distillation (Salimans & Ho 2022, appendix G), all (B, C, h, w) and (B,).

    In angles, cos a = sqrt(alpha_bar): a step from a to b turns z and v, z_b = cos(a - b) z_a - sin(a - b) v_a.
    """
    (signal, spread), (signal_then, spread_then) = roots(now), roots(then)
    cosine = signal * signal_then + spread * spread_then
    sine = spread * signal_then - signal * spread_then
    return (cosine * start - end) / sine


class TurboLesson(Drawer):
    """What one step teaches: from where the student has come to by itself, to go in one step where the guided teacher goes in
    several."""

    def __init__(
        self,
        student: UNet2DConditionModel,
        model: LatentDiffusion,
        config: TurboConfig,
        device: str,
    ):
        super().__init__(model, config.drawing_steps, device)
        self.student, self.config = student, config
        self.teacher = model.denoiser.network.requires_grad_(False)
        self.substeps = config.teacher_steps // self.steps
        self.times, self.alpha_bars = teacher_grid(self.scheduler, config, device)

    def loss(self, captions: list[str], generator: torch.Generator) -> Tensor:
        """The squared error of v at the student's own times; "" is a caption that was dropped."""
        noise, weights = self.noise(len(captions), generator), drawn_weights(self.config, len(captions), generator)
        words = self.words([*captions, ""])
        told, nothing = words[:-1], words[-1:].expand_as(words[:-1])
        return self.error(noise, weights.to(self.device), told, nothing)

    def error(self, noise: Tensor, weights: Tensor, told: Tensor, nothing: Tensor) -> Tensor:
        """Of noise (B, C, h, w), guidance weights (B,), what is said of the pictures and what is said of none (B, T, width)."""
        first = self.first(len(noise))
        now, then = self.alpha_bars[first], self.alpha_bars[first + self.substeps]
        start = self.walked(noise, weights, told)
        end = self.followed(start, first, weights, told, nothing)
        target = v_that_lands(start, end, now, then)
        return (self.said(start, first, weights, told) - target).square().mean()

    def first(self, count: int) -> Tensor:
        """The places in the teacher's grid at which the student's steps begin, (count,): as many rows at each."""
        return self.substeps * (torch.arange(count, device=self.device) * self.steps // count)

    @torch.no_grad()
    def walked(self, noise: Tensor, weights: Tensor, told: Tensor) -> Tensor:
        """Where the student comes to from noise by the steps before the one that each row is taught.

        Which rows take a step depends on their number alone: so that a whole step can be recorded (resident/step.py).
        """
        latent, count, steps = noise.clone(), len(noise), self.steps
        for step in range(steps - 1):
            on = slice(-(-(step + 1) * count // steps), count)  # of `first`, those that begin later
            if on.start == count:
                break
            latent[on] = self.stepped(latent[on], step, weights[on], told[on])
        return latent

    @torch.no_grad()
    def followed(self, latent: Tensor, first: Tensor, weights: Tensor, told: Tensor, nothing: Tensor) -> Tensor:
        """Where the guided teacher is after the steps that the student is to take as one."""
        both = torch.cat([nothing, told])
        for at in range(self.substeps):
            t = self.times[first + at]
            with mixed(self.device), attention_for_training(self.device):
                said = self.teacher(latent.repeat(2, 1, 1, 1), t.repeat(2), encoder_hidden_states=both).sample
            without, given = said.float().chunk(2)
            v = guidance.combine(given, without, weights)
            latent = ddim_step(latent, v, self.alpha_bars[first + at], self.alpha_bars[first + at + 1])
        return latent

    def stepped(self, latent: Tensor, step: int, weights: Tensor, told: Tensor) -> Tensor:
        """Where one of the student's steps takes latents (B, C, h, w)."""
        at = torch.full((len(latent),), step * self.substeps, device=self.device)
        v = self.said(latent, at, weights, told)
        return ddim_step(latent, v, self.alpha_bars[at], self.alpha_bars[at + self.substeps])

    def said(self, latent: Tensor, first: Tensor, weights: Tensor, told: Tensor) -> Tensor:
        """What the student says of v, float32."""
        return said_with_weight(self.student, latent, self.times[first], weights, told)


def drawn_weights(
    config: TurboConfig, count: int, generator: torch.Generator | None = None, device: str = "cpu"
) -> Tensor:
    """Guidance weights (count,), even between the recipe's least and most."""
    return even(config.least_weight, config.most_weight, count, generator, device)


def teacher_grid(scheduler: SchedulerMixin, config: TurboConfig, device: str) -> tuple[Tensor, Tensor]:
    """The teacher's times (steps,) and alpha_bar at each and at the end (steps + 1,); ValueError where the student's times
    are none of them."""
    own, _ = grid(scheduler, config.drawing_steps, device)
    times, alpha_bars = grid(scheduler, config.teacher_steps, device)
    if config.teacher_steps % config.drawing_steps or not torch.equal(
        times[:: config.teacher_steps // config.drawing_steps], own
    ):
        raise ValueError(
            f"teacher_steps must be a multiple of drawing_steps on the model's schedule, "
            f"got {config.teacher_steps} and {config.drawing_steps}"
        )
    return times, alpha_bars
