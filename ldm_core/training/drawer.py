"""What draws latents of captions in a few steps while it is taught, with a gradient through each of them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from diffusers import SchedulerMixin, UNet2DConditionModel
from torch import Tensor

from .. import guidance
from ..conditioning import Conditioning
from ..denoisers import guidance_embedding
from ..pipeline import LatentDiffusion
from ..precision import mixed
from ..schedulers import make_scheduler, set_steps
from .lesson import attention_for_training


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
                f"{model.spec.reference} predicts {self.scheduler.config.prediction_type!r}; "
                "only a model that predicts v learns from drawings"
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
        return self.stepped_at(latent, torch.full((len(latent),), step, device=self.device), weights, told)

    def stepped_at(self, latent: Tensor, steps: Tensor, weights: Tensor, told: Tensor) -> Tensor:
        """Where a step of each row's own, steps (B,), takes latents (B, C, h, w)."""
        with torch.no_grad():
            without = self.said(latent, steps, self.nothing.expand_as(told))
        v = guidance.combine(self.said(latent, steps, told), without, weights)
        return ddim_step(latent, v, self.alpha_bars[steps], self.alpha_bars[steps + 1])

    def said(self, latent: Tensor, steps: Tensor, told: Tensor) -> Tensor:
        """What the denoiser says of v, float32."""
        with mixed(self.device), attention_for_training(self.device):
            return self.network(latent, self.times[steps], encoder_hidden_states=told).sample.float()


class FinishedDrawer(GuidedDrawer):
    """Draws with guidance, and each row learns two of the steps; what comes after them is drawn by a few-step model of the same
    network, which goes two steps at once, asked once.

    So what a step comes to is known by way of three more networks at the most, where through all eight guided steps the
    gradient's length is chance. As many rows learn each pair of steps, the first rows the first one. Which models can finish
    check_finisher says.
    """

    def __init__(
        self, network: UNet2DConditionModel, model: LatentDiffusion, finisher: LatentDiffusion, steps: int, device: str
    ):
        super().__init__(network, model, steps, device)
        self.finisher = finisher.denoiser.network.requires_grad_(False)

    def drawn(self, noise: Tensor, weights: Tensor, told: Tensor) -> Tensor:
        pair = torch.arange(len(noise), device=self.device) * (self.steps // 2) // len(noise)
        latent = self.walked(noise, pair, weights, told)
        for steps in (2 * pair, 2 * pair + 1):
            latent = self.stepped_at(latent, steps, weights, told)
        return self.finished(latent, pair, weights, told)

    @torch.no_grad()
    def walked(self, noise: Tensor, pair: Tensor, weights: Tensor, told: Tensor) -> Tensor:
        """Where the steps before the pair of each row take noise."""
        latent = noise.clone()
        for step in range(2 * int(pair.max())):
            on = pair > step // 2
            latent[on] = self.stepped(latent[on], step, weights[on], told[on])
        return latent

    def finished(self, latent: Tensor, pair: Tensor, weights: Tensor, told: Tensor) -> Tensor:
        """Where the few-step model takes latents in the steps after the pair of each row."""
        for first in range(2, self.steps, 2):
            count = int((pair < first // 2).sum())  # rows, the first ones
            t, on = self.times[first].expand(count), slice(count)
            v = said_with_weight(self.finisher, latent[on], t, weights[on], told[on])
            now, then = (self.alpha_bars[at].expand(count) for at in (first, first + 2))
            latent = torch.cat([ddim_step(latent[on], v, now, then), latent[count:]])
        return latent


def said_with_weight(network: UNet2DConditionModel, latent: Tensor, t: Tensor, weights: Tensor, told: Tensor) -> Tensor:
    """What a network that takes guidance weights (B,) as an input says of v, float32."""
    told_weight = guidance_embedding(weights - 1, network.config.time_cond_proj_dim)
    with mixed(latent.device.type), attention_for_training(latent.device.type):
        return network(latent, t, encoder_hidden_states=told, timestep_cond=told_weight).sample.float()


def check_finisher(model: LatentDiffusion, finisher: LatentDiffusion, steps: int) -> None:
    """ValueError unless a model draws latents of the other's shape, told w, two of its steps at once."""
    schedules = [make_scheduler(one.scheduler_config, "ddim") for one in (model, finisher)]
    times, own = (grid(one, count, "cpu")[0] for one, count in zip(schedules, (steps, max(1, steps // 2))))
    config, like = finisher.denoiser.network.config, model.denoiser.network.config
    shaped = all(config.get(name) == like.get(name) for name in ("in_channels", "cross_attention_dim"))
    if not shaped or config.get("time_cond_proj_dim") is None or not torch.equal(own, times[::2]):
        raise ValueError(
            f"--turbo must be a few-step model of {model.spec.reference}, told w, that goes two of {steps} steps at once, "
            f"which {finisher.spec.reference} does not"
        )


def grid(scheduler: SchedulerMixin, steps: int, device: str) -> tuple[Tensor, Tensor]:
    """The times of so many steps (steps,), and alpha_bar at each and at the end (steps + 1,)."""
    set_steps(scheduler, steps)
    times = scheduler.timesteps.clone()
    alpha_bars = torch.cat([scheduler.alphas_cumprod[times], scheduler.final_alpha_cumprod.view(1)])
    return times.to(device), alpha_bars.to(device)
