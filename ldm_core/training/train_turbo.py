"""Few steps: a finished model taught to draw in four steps, asked once each, what its guided sampler draws in twelve.

    python -m ldm_core.training.train_turbo scenes-cpu --model scenes --out runs/scenes-turbo

The same command resumes; Ctrl-C saves first. OUT/model is a folder that `ldm_core.load` takes. It holds what is new alone:
a low-rank change of the U-Net (Hu et al. 2021) and the layer that takes the guidance weight; the rest is the first model's.

Guided distillation (Meng et al. 2023) with its two stages in one: the student takes the weight w as an input, in place of
being asked twice, and each of its steps is to land where several steps of the guided teacher land (progressive
distillation, Salimans & Ho 2022).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import SchedulerMixin, UNet2DConditionModel
from peft import LoraConfig
from torch import Tensor, nn

from .. import guidance
from ..conditioning import Conditioning
from ..denoisers import guidance_embedding
from ..loading import load
from ..pipeline import LatentDiffusion
from ..schedulers import make_scheduler, set_steps
from . import losses
from .batch import Batch, batch_of
from .command import run_on_model
from .config import TURBOS, TurboConfig
from .corpus import load_corpus
from .folder import save_adapted
from .lesson import attention_for_training, mixed
from .train_denoiser import cached_latents
from .trainer import Trainer


def build(config: TurboConfig, teacher: UNet2DConditionModel) -> UNet2DConditionModel:
    """The teacher's network with an input for the guidance weight, and a low-rank change of every layer to be learned; at
    first it says what the teacher says."""
    student = UNet2DConditionModel.from_config({**teacher.config, "time_cond_proj_dim": config.guidance_width})
    student.load_state_dict(teacher.state_dict(), strict=False)
    student.requires_grad_(False)
    layers = [name for name, layer in student.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    weight = student.time_embedding.cond_proj.weight
    changed = [name for name in layers if name != "time_embedding.cond_proj"]
    student.add_adapter(LoraConfig(r=config.rank, lora_alpha=config.rank, target_modules=changed))
    nn.init.zeros_(weight)
    weight.requires_grad_(True)
    return student


def ddim_step(latent: Tensor, v: Tensor, now: Tensor, then: Tensor) -> Tensor:
    """One deterministic step (Song et al. 2021, eq. 12 with sigma = 0) from alpha_bar `now` to `then`, both (B,), for a
    network that says v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) z_0."""
    signal, spread = roots(now)
    clean, noise = signal * latent - spread * v, spread * latent + signal * v
    signal, spread = roots(then)
    return signal * clean + spread * noise


def v_that_lands(start: Tensor, end: Tensor, now: Tensor, then: Tensor) -> Tensor:
    """The v with which one deterministic step from `start` at alpha_bar `now` is at `end` at alpha_bar `then`: the target of
    progressive distillation (Salimans & Ho 2022, appendix G), all (B, C, h, w) and (B,).

    In angles, cos a = sqrt(alpha_bar): a step from a to b turns z and v, z_b = cos(a - b) z_a - sin(a - b) v_a.
    """
    (signal, spread), (signal_then, spread_then) = roots(now), roots(then)
    cosine = signal * signal_then + spread * spread_then
    sine = spread * signal_then - signal * spread_then
    return (cosine * start - end) / sine


def roots(alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar) of (B,), to be multiplied with latents."""
    return alpha_bar.sqrt().view(-1, 1, 1, 1), (1 - alpha_bar).sqrt().view(-1, 1, 1, 1)


class TurboLesson:
    """What one step teaches: where the guided teacher goes in several steps, in one."""

    def __init__(
        self,
        student: UNet2DConditionModel,
        model: LatentDiffusion,
        config: TurboConfig,
        device: str,
    ):
        self.student, self.model, self.config, self.device = student, model, config, device
        self.teacher = model.denoiser.network.requires_grad_(False)
        scheduler = make_scheduler(model.scheduler_config, "ddim")
        if scheduler.config.prediction_type != "v_prediction":
            raise ValueError(f"--model must predict v to be distilled, got {scheduler.config.prediction_type!r}")
        self.times, self.alpha_bars = (values.to(device) for values in grid(scheduler, config))

    def loss(self, batch: Batch) -> Tensor:
        """The squared error of v at the student's own times."""
        first, weights = (value.to(self.device) for value in drawn(self.config, len(batch.clean), batch.generator))
        words = self.words([*batch.captions, ""])
        return self.error(batch.clean, batch.noise, first, weights, words[:-1], words[-1:].expand_as(words[:-1]))

    def error(
        self, clean: Tensor, noise: Tensor, first: Tensor, weights: Tensor, told: Tensor, nothing: Tensor
    ) -> Tensor:
        """Of latents and noise (B, C, h, w), places in the teacher's grid and guidance weights (B,), what is said of the
        pictures and what is said of none (B, T, width)."""
        substeps = self.config.teacher_steps // self.config.drawing_steps
        now, then = self.alpha_bars[first], self.alpha_bars[first + substeps]
        start, _ = losses.diffusion_target(clean, noise, now, "v_prediction")
        end = self.followed(start, first, weights, told, nothing)
        target = v_that_lands(start, end, now, then)
        return (self.said(start, first, weights, told) - target).square().mean()

    def words(self, captions: list[str]) -> Tensor:
        """Captions as the text encoder tells them, (B, T, width)."""
        encode = self.model.conditioner.encode
        return Conditioning.stack([encode(text) for text in captions]).tokens.to(self.device)

    @torch.no_grad()
    def followed(self, latent: Tensor, first: Tensor, weights: Tensor, told: Tensor, nothing: Tensor) -> Tensor:
        """Where the guided teacher is after the steps that the student is to take as one."""
        both = torch.cat([nothing, told])
        for at in range(self.config.teacher_steps // self.config.drawing_steps):
            t = self.times[first + at]
            with mixed(self.device), attention_for_training(self.device):
                said = self.teacher(latent.repeat(2, 1, 1, 1), t.repeat(2), encoder_hidden_states=both).sample
            without, given = said.float().chunk(2)
            v = guidance.combine(given, without, weights)
            latent = ddim_step(latent, v, self.alpha_bars[first + at], self.alpha_bars[first + at + 1])
        return latent

    def said(self, latent: Tensor, first: Tensor, weights: Tensor, told: Tensor) -> Tensor:
        """What the student says of v, float32."""
        told_weight = guidance_embedding(weights - 1, self.config.guidance_width)
        with mixed(self.device), attention_for_training(self.device):
            return self.student(
                latent, self.times[first], encoder_hidden_states=told, timestep_cond=told_weight
            ).sample.float()


def drawn(
    config: TurboConfig, count: int, generator: torch.Generator | None = None, device: str = "cpu"
) -> tuple[Tensor, Tensor]:
    """The places in the teacher's grid at which the student's steps begin, and guidance weights, (count,) each."""
    substeps, low, high = config.teacher_steps // config.drawing_steps, config.least_weight, config.most_weight
    first = substeps * torch.randint(config.drawing_steps, (count,), generator=generator, device=device)
    return first, low + (high - low) * torch.rand(count, generator=generator, device=device)


def grid(scheduler: SchedulerMixin, config: TurboConfig) -> tuple[Tensor, Tensor]:
    """The teacher's times (steps,) and alpha_bar at each and at the end (steps + 1,); ValueError where the student's times
    are none of them."""
    set_steps(scheduler, config.drawing_steps)
    own = scheduler.timesteps.clone()
    set_steps(scheduler, config.teacher_steps)
    times = scheduler.timesteps.clone()
    if config.teacher_steps % config.drawing_steps or not torch.equal(
        times[:: config.teacher_steps // config.drawing_steps], own
    ):
        raise ValueError(
            f"teacher_steps must be a multiple of drawing_steps on the model's schedule, "
            f"got {config.teacher_steps} and {config.drawing_steps}"
        )
    return times, torch.cat([scheduler.alphas_cumprod[times], scheduler.final_alpha_cumprod.view(1)])


def train(
    config: TurboConfig,
    name: str,
    folder: Path,
    device: str,
    minutes: float | None = None,
    latents_file: Path | None = None,
) -> bool:
    """Train to the end (True) or to Ctrl-C (False); folder/model holds the averaged weights.

    `name` is the teacher's, as ldm_core.load takes it. `latents_file` is where the pictures' latents are kept, for runs that
    share them; by default in the folder.
    """
    torch.manual_seed(config.seed)
    model = load(name, device=device, dtype="float32", engine="torch")
    corpus = load_corpus(config.data, config.pool, config.image_size)
    student = build(config, model.denoiser.network)
    trainer = Trainer(student, config, folder, config.warmup_steps, device, minutes)
    latents = cached_latents(model.autoencoder.vae, corpus.images, latents_file or folder / "latents.npy", device)
    lesson = TurboLesson(student, model, config, device)

    def loss(step: int) -> Tensor:
        return lesson.loss(batch_of(latents, corpus, config, step, device))

    return trainer.run(loss, lambda path: save(folder / "model", student, model))


def save(folder: Path, student: Any, model: LatentDiffusion) -> None:
    """What the student has that its teacher has not."""
    name = model.spec.reference
    base = str(Path(name).resolve()) if Path(name).is_dir() else name
    save_adapted(folder, student, base, model.scheduler_config, model.spec.world)


def main(argv: list[str] | None = None) -> int:
    return run_on_model(
        "ldm_core.training.train_turbo", __doc__, TURBOS, "the finished model that is the teacher", train, argv
    )


if __name__ == "__main__":
    raise SystemExit(main())
