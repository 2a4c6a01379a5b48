"""What draws latents of captions in a few steps while it is taught, with a gradient through each of them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from diffusers import SchedulerMixin, UNet2DConditionModel
from torch import Tensor

from .. import guidance
from ..conditioning import Conditioning
from ..pipeline import LatentDiffusion
from ..schedulers import make_scheduler, set_steps
from .lesson import attention_for_training, mixed


def roots(alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar) of (B,), to be multiplied with latents."""
    return alpha_bar.sqrt().view(-1, 1, 1, 1), (1 - alpha_bar).sqrt().view(-1, 1, 1, 1)


def ddim_step(latent: Tensor, v: Tensor, now: Tensor, then: Tensor) -> Tensor:
    """One deterministic step (Song et al. 2021, eq. 12 with sigma = 0) from alpha_bar `now` to `then`, both (B,), for a
    network that says v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) z_0."""
    signal, spread = roots(now)
    clean, noise = signal * latent - spread * v, spread * latent + signal * v
    signal, spread = roots(then)
    return signal * clean + spread * noise


def even(low: float, high: float, count: int, generator: torch.Generator | None = None, device: str = "cpu") -> Tensor:
    """Numbers (count,) evenly distributed between two."""
    return low + (high - low) * torch.rand(count, generator=generator, device=device)


class Drawer(ABC):
    """A network in training that draws with the text encoder, the latents' size and the noise of a finished model."""

    def __init__(self, model: LatentDiffusion, steps: int, device: str):
        self.model, self.steps, self.device = model, steps, device
        self.scheduler = make_scheduler(model.scheduler_config, "ddim")
        if self.scheduler.config.prediction_type != "v_prediction":
            raise ValueError(
                f"--model must predict v to be taught by its drawings, got {self.scheduler.config.prediction_type!r}"
            )

    def noise(self, count: int, generator: torch.Generator) -> Tensor:
        """N(0, 1), (count, C, h, w) of the model's own size; drawn on the CPU: the same on every device."""
        model = self.model
        size = model.latent_channels, model.height // model.factor, model.width // model.factor
        return torch.randn(count, *size, generator=generator).to(self.device)

    def words(self, captions: list[str]) -> Tensor:
        """Captions as the text encoder tells them, (B, T, width)."""
        encode = self.model.conditioner.encode
        return Conditioning.stack([encode(text) for text in captions]).tokens.to(self.device)

    def drawn(self, noise: Tensor, weights: Tensor, told: Tensor) -> Tensor:
        """What is drawn from noise in all steps, (B, C, h, w), with guidance weights (B,) and words (B, T, width)."""
        latent = noise
        for step in range(self.steps):
            latent = self.stepped(latent, step, weights, told)
        return latent

    @abstractmethod
    def stepped(self, latent: Tensor, step: int, weights: Tensor, told: Tensor) -> Tensor:
        """Where one of the steps takes latents (B, C, h, w)."""


class GuidedDrawer(Drawer):
    """A denoiser that draws with guidance. The gradient goes through what it says of captions alone: what it says of none is
    as it was, which halves the work, and leaves what guidance pushes away from where it is."""

    def __init__(self, network: UNet2DConditionModel, model: LatentDiffusion, steps: int, device: str):
        super().__init__(model, steps, device)
        self.network, self.nothing = network, self.words([""])
        self.times, self.alpha_bars = grid(self.scheduler, steps, device)

    def stepped(self, latent: Tensor, step: int, weights: Tensor, told: Tensor) -> Tensor:
        now, then = (self.alpha_bars[at].expand(len(latent)) for at in (step, step + 1))
        with torch.no_grad():
            without = self.said(latent, step, self.nothing.expand_as(told))
        given = self.said(latent, step, told)
        return ddim_step(latent, guidance.combine(given, without, weights), now, then)

    def said(self, latent: Tensor, step: int, told: Tensor) -> Tensor:
        """What the denoiser says of v, float32."""
        with mixed(self.device), attention_for_training(self.device):
            t = self.times[step].expand(len(latent))
            return self.network(latent, t, encoder_hidden_states=told).sample.float()


def grid(scheduler: SchedulerMixin, steps: int, device: str) -> tuple[Tensor, Tensor]:
    """The times of so many steps (steps,), and alpha_bar at each and at the end (steps + 1,)."""
    set_steps(scheduler, steps)
    times = scheduler.timesteps.clone()
    alpha_bars = torch.cat([scheduler.alphas_cumprod[times], scheduler.final_alpha_cumprod.view(1)])
    return times.to(device), alpha_bars.to(device)
