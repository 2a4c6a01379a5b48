"""Few steps: a finished model taught to draw in four steps, asked once each, what its guided sampler draws in eight.

    python -m ldm_core.training.train_turbo scenes-cpu --model scenes --out runs/scenes-turbo

The same command resumes; Ctrl-C saves first. OUT/model is a folder that `ldm_core.load` takes. It holds what is new alone:
a low-rank change of the U-Net (Hu et al. 2021) and the layer that takes the guidance weight; the rest is the first model's.

Guided distillation (Meng et al. 2023) with its two stages in one: the student takes the weight w as an input, in place of
being asked twice, and each of its steps is to land where several steps of the guided teacher land (progressive
distillation, Salimans & Ho 2022). A step is taught where drawing comes by: the student itself walks there from noise, so that no
picture is needed and what its first steps got wrong its later ones learn to mend (backward distillation, Kohler et al. 2024).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from diffusers import SchedulerMixin, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from .. import command, guidance
from ..adapted import LAYERS, LORA
from ..checks import first_line
from ..conditioning import Conditioning
from ..denoisers import guidance_embedding
from ..loading import load
from ..pipeline import LatentDiffusion
from ..placement import choose_device
from ..schedulers import make_scheduler, set_steps
from .batch import captions_of
from .command import add_run_options, run_command
from .config import TURBOS, TurboConfig
from .corpus import load_corpus
from .folder import save_adapted
from .lesson import attention_for_training, mixed
from .trainer import Trainer, generator_of_step


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
    """What one step teaches: from where the student has come to by itself, to go in one step where the guided teacher goes in
    several."""

    def __init__(
        self,
        student: UNet2DConditionModel,
        model: LatentDiffusion,
        config: TurboConfig,
        device: str,
    ):
        self.student, self.model, self.config, self.device = student, model, config, device
        self.teacher = model.denoiser.network.requires_grad_(False)
        self.substeps = config.teacher_steps // config.drawing_steps
        scheduler = make_scheduler(model.scheduler_config, "ddim")
        if scheduler.config.prediction_type != "v_prediction":
            raise ValueError(f"--model must predict v to be distilled, got {scheduler.config.prediction_type!r}")
        self.times, self.alpha_bars = (values.to(device) for values in grid(scheduler, config))

    def loss(self, captions: list[str], generator: torch.Generator) -> Tensor:
        """The squared error of v at the student's own times; "" is a caption that was dropped."""
        model, count = self.model, len(captions)
        size = model.latent_channels, model.height // model.factor, model.width // model.factor
        noise = torch.randn(count, *size, generator=generator)  # on the CPU: the same on every device
        weights = drawn_weights(self.config, count, generator)
        words = self.words([*captions, ""])
        told, nothing = words[:-1], words[-1:].expand_as(words[:-1])
        return self.error(noise.to(self.device), weights.to(self.device), told, nothing)

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
        return self.substeps * (torch.arange(count, device=self.device) * self.config.drawing_steps // count)

    def words(self, captions: list[str]) -> Tensor:
        """Captions as the text encoder tells them, (B, T, width)."""
        encode = self.model.conditioner.encode
        return Conditioning.stack([encode(text) for text in captions]).tokens.to(self.device)

    @torch.no_grad()
    def walked(self, noise: Tensor, weights: Tensor, told: Tensor) -> Tensor:
        """Where the student comes to from noise by the steps before the one that each row is taught.

        Which rows take a step depends on their number alone: so that a whole step can be recorded (resident/step.py).
        """
        latent, count, steps = noise.clone(), len(noise), self.config.drawing_steps
        for step in range(steps - 1):
            on = slice(-(-(step + 1) * count // steps), count)  # of `first`, those that begin later
            if on.start == count:
                break
            at = torch.full_like(self.first(count)[on], step * self.substeps)
            v = self.said(latent[on], at, weights[on], told[on])
            latent[on] = ddim_step(latent[on], v, self.alpha_bars[at], self.alpha_bars[at + self.substeps])
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

    def said(self, latent: Tensor, first: Tensor, weights: Tensor, told: Tensor) -> Tensor:
        """What the student says of v, float32."""
        told_weight = guidance_embedding(weights - 1, self.config.guidance_width)
        with mixed(self.device), attention_for_training(self.device):
            return self.student(
                latent, self.times[first], encoder_hidden_states=told, timestep_cond=told_weight
            ).sample.float()


def drawn_weights(
    config: TurboConfig, count: int, generator: torch.Generator | None = None, device: str = "cpu"
) -> Tensor:
    """Guidance weights (count,), even between the recipe's least and most."""
    low, high = config.least_weight, config.most_weight
    return low + (high - low) * torch.rand(count, generator=generator, device=device)


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
    init: Path | None = None,
    minutes: float | None = None,
) -> bool:
    """Train to the end (True) or to Ctrl-C (False); folder/model holds the averaged weights.

    `name` is the teacher's, as ldm_core.load takes it. `init` is an earlier change, of the same rank, to go on from.
    """
    torch.manual_seed(config.seed)
    model = load(name, device=device, dtype="float32", engine="torch")
    corpus = load_corpus(config.data, config.pool, config.image_size)
    student = build(config, model.denoiser.network)
    if init is not None:
        start_from(student, init)
    trainer = Trainer(student, config, folder, config.warmup_steps, device, minutes)
    lesson = TurboLesson(student, model, config, device)

    def loss(step: int) -> Tensor:
        return lesson.loss(captions_of(corpus, config, step, len(corpus.images))[1], generator_of_step(config, step))

    return trainer.run(loss, lambda path: save(folder / "model", student, model))


def start_from(student: UNet2DConditionModel, folder: Path) -> None:
    """Give the student what an earlier one had learned, of whatever teacher of its shape."""
    try:
        change = {name.removeprefix("unet."): value.float() for name, value in load_file(folder / LORA).items()}
        weight = load_file(folder / "unet" / LAYERS)["time_embedding.cond_proj.weight"].float()
    except (OSError, SafetensorError, KeyError) as error:
        raise ValueError(f"--init {folder} is no change that train_turbo wrote: {first_line(error)}") from None
    own, wanted = student.time_embedding.cond_proj.weight, get_peft_model_state_dict(student)
    if weight.shape != own.shape or {n: v.shape for n, v in change.items()} != {n: v.shape for n, v in wanted.items()}:
        raise ValueError(f"--init {folder} has another shape or rank than this recipe builds")
    set_peft_model_state_dict(student, change)
    with torch.no_grad():
        own.copy_(weight)


def save(folder: Path, student: Any, model: LatentDiffusion) -> None:
    """What the student has that its teacher has not."""
    name = model.spec.reference
    base = str(Path(name).resolve()) if Path(name).is_dir() else name
    save_adapted(folder, student, base, model.scheduler_config, model.spec.world)


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("ldm_core.training.train_turbo", __doc__)
    add_run_options(parser, TURBOS)
    parser.add_argument("--model", required=True, metavar="NAME|FOLDER", help="the finished model that is the teacher")
    parser.add_argument(
        "--init", type=Path, default=None, metavar="FOLDER", help="an earlier OUT/model to go on from, of any teacher"
    )

    def work(arguments: argparse.Namespace) -> bool:
        config, device = TURBOS[arguments.recipe], choose_device(arguments.device)
        return train(config, arguments.model, arguments.out, device, arguments.init, arguments.minutes)

    return run_command(parser, argv, work)


if __name__ == "__main__":
    raise SystemExit(main())
