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
from diffusers import UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from .. import command
from ..adapted import LAYERS, LORA
from ..checks import first_line
from ..loading import load
from ..pipeline import LatentDiffusion
from ..placement import choose_device
from .batch import captions_of
from .command import add_reader_option, add_run_options, run_command
from .config import TURBOS, TurboConfig
from .corpus import load_corpus
from .folder import save_adapted
from .latent_reader import load_reader
from .trainer import Trainer, generator_of_step
from .turbo_lesson import TurboLesson
from .wish_lesson import WishLesson, check_reader


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


def train(
    config: TurboConfig,
    name: str,
    folder: Path,
    device: str,
    init: Path | None = None,
    minutes: float | None = None,
    reader: Path | None = None,
) -> bool:
    """Train to the end (True) or to Ctrl-C (False); folder/model holds the averaged weights.

    `name` is the teacher's, as ldm_core.load takes it. `init` is an earlier change, of the same rank, to go on from. With a
    recipe that weighs wishes, and a `reader` of the teacher's latents, the student learns from what its drawings lack as well.
    """
    check_reader(reader, config.wish_weight, {name: recipe.wish_weight for name, recipe in TURBOS.items()})
    torch.manual_seed(config.seed)
    model = load(name, device=device, dtype="float32", engine="torch")
    judge = None if reader is None else load_reader(reader, model)
    corpus = load_corpus(config.data, config.pool, config.image_size)
    student = build(config, model.denoiser.network)
    if init is not None:
        start_from(student, init)
    trainer = Trainer(student, config, folder, config.warmup_steps, device, minutes)
    lesson = TurboLesson(student, model, config, device)
    wishes = None if judge is None else WishLesson(lesson, judge, corpus)

    def loss(step: int) -> Tensor:
        pictures, captions = captions_of(corpus, config, step, len(corpus.images))
        generator = generator_of_step(config, step)
        if wishes is None:
            return lesson.loss(captions, generator)
        return lesson.loss(captions, generator) + config.wish_weight * wishes.loss(pictures, captions, generator)

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
    add_reader_option(parser, "--model")

    def work(arguments: argparse.Namespace) -> bool:
        config, device = TURBOS[arguments.recipe], choose_device(arguments.device)
        started = (arguments.init, arguments.minutes, arguments.reader)
        return train(config, arguments.model, arguments.out, device, *started)

    return run_command(parser, argv, work)


if __name__ == "__main__":
    raise SystemExit(main())
