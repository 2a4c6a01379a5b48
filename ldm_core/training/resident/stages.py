"""The five stages: what each learns from, how long it waits for lessons, what it writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...loading import load
from ...pipeline import LatentDiffusion
from .. import attention, train_control, train_text_encoder, train_turbo, turbo_lesson
from ..config import Recipe
from ..everyday import names
from ..folder import save_adapted
from ..layout import LayoutHead
from ..trainer import optimizer_of
from .average import Average
from .drawing import NAMES
from .lessons import (
    DecoderLesson,
    DenoiserLesson,
    Telling,
    TextLesson,
    control_loss,
    names_of_tokens,
    turbo_loss,
)
from .model import Model
from .network import predictor, quickest
from .pool import Pool
from .recipe import ResidentRecipe
from .rows import Rows
from .stage import Course, run_stage
from .step import Step


@dataclass
class Stages:
    """Stages of one run, each a method that may be called alone.

    `rates` are peaks other than the recipes' by stage; `ways` is how the U-Net is called (network.WAYS), the quickest of several
    once each was timed for `trial` seconds; `base` is the model that the turbo's folder names as
    its own, by default the folder beside it.
    """

    model: Model
    pool: Pool
    course: Course
    recipe: ResidentRecipe
    device: str
    rates: dict[str, float]
    ways: tuple[str, ...] = ("plain",)
    trial: float = 5.0
    base: str = ""

    def text(self) -> None:
        recipe, reader = self.recipe, self.model.reader
        self.pool.intake.studio.plan("heard", "pictures")
        self.pool.intake.wait_for(self.pool.heard, recipe.text_batch)
        reader.requires_grad_(True).train()
        lesson = TextLesson(reader, self.pool.heard, len(self.model.corpus.facts), recipe.text_batch, self.device)
        try:
            self._teach("text", lesson.loss, reader, recipe.text)
        finally:  # the reader is as it was last secured
            reader.eval()
        self.model.save_text()
        some = (1_024, 64) if recipe.heard > 10_000 else (16, 1)
        texts = train_text_encoder.to_be_judged(self.model.corpus, *some)
        report = train_text_encoder.report(reader, self.model.tokenizer, self.model.corpus, texts, self.device)
        train_text_encoder.write_report(report, self.course.folder / "reading.csv")

    def decoder(self) -> None:
        recipe, vae = self.recipe.decoder, self.model.vae
        self._draw_pictures(self.pool.pictures, recipe.whole_batch)
        lesson = DecoderLesson(vae, self.pool.pictures, recipe, self.device)
        self._teach("decoder", lesson.loss, vae, recipe)
        self.model.save_autoencoder()

    def denoiser(self) -> None:
        recipe, unet = self.recipe.denoiser, self.model.unet.requires_grad_(True).train()
        self._draw_pictures(self.pool.latents, self.recipe.first)
        layout = LayoutHead(unet, NAMES)
        if self.model.goes_on:  # a head of random weights would pull at features that are good already
            nn.init.zeros_(layout.read.weight)
        module = nn.ModuleDict({"unet": unet, "layout": layout}).to(self.device)
        maps = attention.keep_maps(unet) if recipe.mask_weight else []
        named = names_of_tokens(self.model.tokenizer, names(), NAMES).to(self.device)
        lesson = DenoiserLesson(
            predictor(unet, self.ways[0], self.device),
            layout,
            maps,
            self._telling(self.pool.latents, recipe.caption_dropout),
            self.model.scheduler,
            named,
            recipe,
        )
        if len(self.ways) > 1:
            optimizer = optimizer_of(module, recipe, capturable=True)
            way = quickest(lesson, unet, optimizer, self.device, self.trial, self.course.say, self.ways)
            self.course.say(f"the U-Net is called the {way} way")
            lesson.predict = predictor(unet, way, self.device)
        self._teach("denoiser", lesson.loss, module, recipe, save=self.model.save_denoiser)
        self.model.save_denoiser()

    def turbo(self) -> None:
        recipe, teacher = self.recipe.turbo, self._finished()
        self._draw_pictures(self.pool.latents, recipe.batch)
        student = train_turbo.build(recipe, teacher.denoiser.network)
        student = student.to(self.device).to(memory_format=torch.channels_last).train()
        lesson = turbo_lesson.TurboLesson(student, teacher, recipe, self.device)
        telling = self._telling(self.pool.latents, recipe.caption_dropout)
        self._teach("turbo", lambda: turbo_loss(lesson, telling), student, recipe)
        base = self.base or str(self.model.folder.resolve())
        save_adapted(self.course.folder / "turbo", student, base, teacher.scheduler_config, teacher.spec.world)

    def control(self) -> None:
        recipe, model = self.recipe.control, self._finished()
        self._draw_pictures(self.pool.silhouettes, recipe.batch)
        adapter = train_control.build(recipe, model).to(self.device).train()
        lesson = train_control.ControlLesson(adapter, model, recipe, self.device)
        telling = self._telling(self.pool.silhouettes, recipe.caption_dropout)
        self._teach("control", lambda: control_loss(lesson, telling, recipe), adapter, recipe)
        train_control.save_adapter(self.course.folder / "control", adapter)

    def _draw_pictures(self, rows: Rows, least: int) -> None:
        self.pool.intake.studio.plan("pictures", "pictures", "pictures", "silhouettes")
        self.pool.intake.wait_for(rows, least)

    def _telling(self, rows: Rows, dropout: float) -> Telling:
        options = dict(padding="max_length", max_length=self.recipe.denoiser.text_tokens)
        nothing = torch.tensor(self.model.tokenizer("", **options).input_ids, device=self.device)
        return Telling(rows, self.model.encoder, nothing, dropout)

    def _finished(self) -> LatentDiffusion:
        """The model as it was written: what is made of it is to fit what ships."""
        model = load(str(self.model.folder), device=self.device, dtype="float32", engine="torch")
        model.denoiser.network.to(memory_format=torch.channels_last)
        return model

    def _teach(
        self,
        name: str,
        loss_of: Callable[[], Tensor],
        module: nn.Module,
        recipe: Recipe,
        save: Callable[[], None] | None = None,
    ) -> None:
        """The module then carries its averaged weights."""
        optimizer = optimizer_of(module, recipe, capturable=True)
        step = Step(loss_of, optimizer, self.device, say=self.course.say)
        average = Average(module, recipe.ema_decay)
        peak = self.rates.get(name, recipe.learning_rate)
        run_stage(name, step, average, peak, self.pool.intake, self.course, save)
