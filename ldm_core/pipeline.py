"""A latent diffusion model: encode, decode, denoise, sample, sweep (Rombach et al. 2022).

Each is a few lines over the files beside this one; the data goes
prompt -> conditioning -> noise -> (denoiser, guidance, scheduler step)* -> latent -> autoencoder -> image.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from . import arguments, sweep
from .autoencoder import Autoencoder
from .conditioning import Conditioner
from .denoisers import Denoiser
from .drawing import rows_alone, states
from .family import FAMILIES, Family
from .guidance_checks import resolve_rule
from .identity import configs_hash, weights_hash
from .lora import parse_lora
from .pictures import Settings, pictures_of
from .placement import Placement
from .recipe import Recipe, recipe_for
from .registry import ModelSpec
from .sampling import State, check_scheduler
from .schedulers import DIFFUSION, FLOW, kind_of, names_for, readable_name
from .settings import SamplingSettings, default
from .spacing import shift_of
from .substitution import Substitution, in_own_words
from .tasks.control import NO_CONTROL, Control
from .tasks.methods import TaskMethods
from .tasks.start import Start, check_images, image_sha256
from .word_maps import WordMaps, word_maps

ControlImages = Tensor | None


class LatentDiffusion(TaskMethods):
    """A loaded model. `ldm_core.load` makes it."""

    def __init__(
        self,
        spec: ModelSpec,
        conditioner: Conditioner,
        denoiser: Denoiser,
        autoencoder: Autoencoder,
        scheduler_config: dict,
        files: tuple[Path, ...],
        vae: str | None = None,
        lora: str | None = None,
        placement: Placement | None = None,
        config_folder: Path | None = None,
        family: Family | None = None,
    ):
        self.spec, self.conditioner, self.denoiser, self.autoencoder = spec, conditioner, denoiser, autoencoder
        self.scheduler_config = scheduler_config
        self.files = files  # files and folders of the weights
        self.family = family or FAMILIES["StableDiffusionPipeline"]
        self.config_folder = config_folder  # where a single file's configs are from
        self.vae, self.lora = vae, lora  # where the autoencoder was swapped, and what was merged into the networks
        self.placement = placement or Placement(denoiser.device)
        self.device, self.dtype = self.placement.device, denoiser.dtype
        self.engine = "torch"  # what its networks run by; ldm_core.engine changes it
        self.precision = str(self.dtype).removeprefix("torch.")  # as recipes have it
        self.height, self.width = spec.height, spec.width
        self.weaker: dict[str, LatentDiffusion] = {}  # models that autoguidance has asked for, by name
        self.control: Control | None = None  # see with_control

    def with_control(self, control: str) -> LatentDiffusion:
        """The same model, its networks shared, that a ControlNet or T2I-Adapter steers: by registry name, folder or hub
        id. Its pictures are as before where no `control_images` are given."""
        from .tasks.control_folder import with_control  # which loads, as loading.py does, and so imports this file

        return with_control(self, control)

    @property
    def factor(self) -> int:
        """Pixels per latent value along a side; images' sides are multiples of it."""
        return self.autoencoder.factor

    @property
    def multiple(self) -> int:
        """Pixels that a side of a drawn image must be a multiple of."""
        return self.factor * self.denoiser.patch_size

    @property
    def latent_channels(self) -> int:
        """C of a latent (B, C, h, w)."""
        return self.autoencoder.latent_channels

    @property
    def network_calls(self) -> int:
        """Calls of the denoiser since loading, and of weaker ones that guided it."""
        return self.denoiser.calls + sum(each.network_calls for each in self.weaker.values())

    @property
    def network_rows(self) -> int:
        """Rows that those calls were asked for; what fills up a last call is not counted."""
        return self.denoiser.rows + sum(each.network_rows for each in self.weaker.values())

    @cached_property
    def weights(self) -> str:
        """SHA-256 of the weights' files and of how they were merged: what a picture was really made by."""
        return weights_hash(self.files, (weight for _, weight in parse_lora(self.lora)))

    @cached_property
    def configs(self) -> str:
        """SHA-256 of the configs, schedules and tokenizers beside the weights: what they were used as."""
        beside = () if self.config_folder is None or self.config_folder in self.files else (self.config_folder,)
        return configs_hash((*self.files, *beside))

    @property
    def scheduler_name(self) -> str:
        """The name of the checkpoint's own scheduler: a readable one, or diffusers' class."""
        return readable_name(self.scheduler_config["_class_name"])

    @property
    def own_shift(self) -> float | None:
        """How far the checkpoint's schedule asks for steps nearer to noise, of a diffusion model: see spacing.py."""
        shift = shift_of(self.scheduler_config)
        return shift if shift != 1 and kind_of(self.scheduler_config) == DIFFUSION else None

    @property
    def scheduler_names(self) -> list[str]:
        """Those that the model can be drawn with: its own first, then the others by readable names."""
        return names_for(self.scheduler_config)

    def unseen_words(self, prompts: Sequence[str]) -> Counter[str]:
        """Words that no training caption held, with how many prompts hold each; empty where that is not known."""
        return self.conditioner.unseen_words(list(prompts))

    def in_own_words(self, prompt: str, settings: SamplingSettings | None = None) -> Substitution:
        """A prompt as it is drawn, and which of its words the nearest known ones stand for: see substitution.py."""
        return in_own_words(self.spec.world, prompt, (settings or SamplingSettings()).substitute)

    def encode(self, images: Tensor, sample: bool = False) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> latents (B, C, H/f, W/f): posterior means, or samples."""
        with self.placement.using(self.autoencoder.vae):
            return self.autoencoder.encode(images, sample)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B, C, h, w) -> images (B, 3, h f, w f) in [0, 1]."""
        with self.placement.using(self.autoencoder.vae):
            return self.autoencoder.decode(latents)

    def preview(self, latents: Tensor) -> Tensor:
        """Latents (B, C, h, w) -> images (B, 3, h f, w f) in [0, 1], nearly those of `decode` and sooner where the denoiser
        is in bfloat16 because the device is quick at it."""
        quick = self.dtype == torch.bfloat16 and not self.placement.offload
        return self.autoencoder.preview(latents) if quick else self.decode(latents)

    def reconstruct(self, images: Tensor) -> Tensor:
        """What the autoencoder keeps of images (B, 3, H, W) in [0, 1]."""
        return self.decode(self.encode(images))

    @overload
    def sample(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scale: float | Sequence[float] | None = None,
        *,
        settings: SamplingSettings | None = None,
        start: Start | None = None,
        control_images: ControlImages = None,
        **overrides: Any,
    ) -> Tensor: ...

    @overload
    def sample(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scale: float | Sequence[float] | None = None,
        *,
        settings: Sequence[SamplingSettings],
        start: Start | None = None,
        control_images: ControlImages = None,
        **overrides: Any,
    ) -> Tensor | list[Tensor]: ...

    def sample(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scale: float | Sequence[float] | None = None,
        *,
        settings: Settings = None,
        start: Start | None = None,
        control_images: ControlImages = None,
        **overrides: Any,
    ) -> Tensor | list[Tensor]:
        """One image per prompt: (B, 3, H, W) in [0, 1]; a list of B images (3, H, W) where their sizes differ.

        Arguments are those of `denoise`. With settings of its own for each image, those whose steps, scheduler, size,
        strength and rows per call agree denoise together and the groups one after another.
        """
        given = overrides | {"guidance_scale": guidance_scale}
        asked = pictures_of(self, prompts, seeds, settings, given, start, control_images)
        drawn: dict[int, Tensor] = {}
        for members in asked.groups():
            part = asked.rows(members)
            latent = None if part.start is None else part.start.clean
            for state in states(self, part):
                latent = state.latent
            assert latent is not None, "without a start there is a step or more"
            drawn |= zip(members, self.decode(latent))
        images = [drawn[place] for place in range(len(drawn))]
        return torch.stack(images) if len({image.shape for image in images}) == 1 else images

    def sweep(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scales: Sequence[float] | None = None,
        *,
        axes: Mapping[str, Sequence] | None = None,
        settings: SamplingSettings | None = None,
        control_images: ControlImages = None,
        **overrides: object,
    ) -> Tensor:
        """All values of all prompts: (S, B, 3, H, W) in [0, 1], each prompt's noise the same at every value.

        guidance_scales     the scales w to try; 1, 2, 4, 8 where no axis is given
        axes                any settings by their flat names with their values, `axes={"steps": [4, 8, 12]}`; of several
                            axes every combination is drawn: (S1, S2, ..., B, 3, H, W), after guidance_scales' own
        settings, others    as of `denoise`: what all cells have in common

        Cells denoise together where their settings allow it; text encoding, noise and every network row that they have in
        common (of a sweep of guidance the whole first step) are computed once.
        """
        values = sweep.axes_of(guidance_scales, axes)
        base = pictures_of(self, prompts, seeds, settings, overrides, control_images=control_images)
        return sweep.draw(self, base, values)

    def denoise(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scale: float | Sequence[float] | None = None,
        *,
        settings: Settings = None,
        start: Start | None = None,
        control_images: ControlImages = None,
        **overrides: object,
    ) -> Iterator[State]:
        """The denoising loop: a State (step, t, latent, clean) after each step; the last latent is the result.

        prompts             a text or several; a single prompt or seed serves all of the other
        seeds               one per prompt, 0 <= seed < 2**32: the whole of an image's randomness
        guidance_scale      w, one or one per prompt: uncond + w (cond - uncond); None is the settings', else the model's
        settings            SamplingSettings for all, or for each image its own; those of images that denoise together may
                            differ in guidance, control and negative prompt only (`sample` takes any)
        start               what a task begins from in place of noise alone, one for all or a row each: `start_of` of
                            tasks/image_to_image.py and the files beside it make one
        control_images      (3, H, W) in [0, 1] of the picture's size, for all, or (B, 3, H, W): what the control of a model
                            that has one (`with_control`) steers by; None: nothing steers
        any other           a setting by its flat name, over those of `settings`:
          steps             None is the model's default
          scheduler         a name of ldm_core.schedulers.SCHEDULERS, or diffusers' class; None is the checkpoint's own
          shift             above 1 more of the steps lie at noise: t -> S t / (1 + (S - 1) t); None is the model's own
          negative_prompt   takes the place of the empty unconditional prompt; one or one per prompt
          height, width     pixels; None is the model's native size
          guidance_schedule constant, linear or cosine over time; each averages w
          guidance_interval (t_low, t_high): guide only there, 1 = noise, 0 = clean
          guidance_rescale  0 to 1: bring the prediction's spread back after guidance
          guidance_rule     cfg, apg, cfg-zero, fdg, tcfg, mambo-g, cfg++ or autoguidance:model=NAME (guidance_rules.py)
          strength          of a start: 0 to 1, from as it is to noise alone; None is the task's own
          control_scale     how much a control image counts: 1 as its network was trained, 0 not at all
          control_interval  (t_low, t_high): it counts only there
          substitute        whether the nearest word that the model's world holds is drawn for one that it does not; what stood
                            for what is said by `in_own_words` and by the recipe
          rows_per_call     rows of every network call; None: each step's rows in the fewest calls that fill the device

        ValueError, before any network runs, for an argument that does not fit.
        """
        given = overrides | {"guidance_scale": guidance_scale}
        asked = pictures_of(self, prompts, seeds, settings, given, start, control_images)
        asked.check_together()
        return states(self, asked)

    def word_maps(self, prompt: str, seed: int, settings: SamplingSettings | None = None, **overrides: Any) -> WordMaps:
        """A picture with where each word of its prompt was looked up (Tang et al. 2022): arguments are those of `denoise`.

        The picture is `sample`'s of the same arguments to the bit: maps are computed beside the network, from the same
        inputs. For networks with cross-attention; ValueError in one line for others.
        """
        return word_maps(self, prompt, seed, settings, **overrides)

    def resolve(
        self, settings: SamplingSettings | None = None, start: Start | None = None, **overrides: object
    ) -> SamplingSettings:
        """Settings with the model's own values, and a start's, where they are open; ValueError where the model cannot draw
        with them."""
        given = (settings or SamplingSettings()).replaced(**overrides)
        own = self.spec.own_settings | {"scheduler": self.scheduler_name, "shift": self.own_shift}
        sides = {"height": self.height, "width": self.width}
        if start is not None:
            sides, own["strength"] = start.sides(self.factor), start.strength
            start.check(given, sides)
            if start.begins_within(given):  # below pure noise there is nothing that its long first step would lose
                own["shift"] = None if self.own_shift is None else 1.0
                start.check_shift(given, kind_of(self.scheduler_config) == FLOW)
        whole = given.resolved(**own, **sides)
        arguments.check_size(whole["height"], whole["width"], self.multiple, self.denoiser.largest * self.factor)
        check_scheduler(self.scheduler_config, whole.scheduler, whole.shift)
        for name in ("control_scale", "control_interval"):
            if self.control is None and whole[name] != default(name):
                raise ValueError(f"{name}={whole[name]} {NO_CONTROL}")
        if self.spec.unguided and whole["guidance_scale"] == 0:
            words = f"guidance_scale 0 is unconditional: {self.spec.name} without guidance is guidance_scale 1"
            warnings.warn(words, stacklevel=2)
        return resolve_rule(self, whole)

    def recipe(
        self,
        prompt: str,
        seed: int,
        settings: SamplingSettings | None = None,
        *,
        start: Start | None = None,
        **overrides: Any,
    ) -> Recipe:
        """The record that makes one picture of `sample` again: everything that decides it, defaults written out. Of a
        start, which has one row, it holds the task and the hashes of what it was made of."""
        return recipe_for(self, prompt, seed, settings=settings, start=start, **overrides)

    def steering(self, control_image: Tensor) -> dict[str, str]:
        """What a recipe says of a control image (3, H, W) in [0, 1] and of what is steered by it."""
        if self.control is None:
            raise ValueError(f"control_image {NO_CONTROL}")
        [image] = check_images(control_image, "control_image")
        return {"control": self.control.source, "control_image": image_sha256(image)}

    def rows_alone(self, settings: SamplingSettings) -> int:
        """Network rows that one image with these settings needs by itself, over all steps."""
        return rows_alone(self, self.resolve(settings))
