"""A latent diffusion model: encode, decode, denoise, sample, sweep (Rombach et al. 2022).

Each is a few lines over the files beside this one; the data goes
prompt -> conditioning -> noise -> (denoiser, guidance, scheduler step)* -> latent -> autoencoder -> image.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from . import arguments
from .autoencoder import Autoencoder
from .cells import Cell, GuidedCells, texts_needed
from .checks import shown
from .conditioning import Conditioner, Conditioning
from .denoisers import Denoiser
from .family import FAMILIES, Family
from .placement import Placement
from .recipe import Recipe, recipe_for
from .registry import ModelSpec
from .sampling import State, check_scheduler, denoise, image_generators, initial_noise
from .schedulers import kind_of, make_scheduler, names_of, readable_name, set_steps, time_of
from .settings import FIELDS, SamplingSettings

DEFAULT_SCALES = (1, 2, 4, 8)
LOOP = ("steps", "scheduler", "height", "width", "rows_per_call")  # images that differ in one are denoised apart
SIDES = ("height", "width")
OLDER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt")
GRAPHS = ("*.onnx", "*.xml", "*.bin")  # of an export
DECIDING = (
    "export.json",
    "config.json",
    "model_index.json",
    *(f"{part}/*.json" for part in ("scheduler", "unet", "transformer", "vae", "text_encoder*")),
    *(f"tokenizer*/*.{kind}" for kind in ("json", "txt", "model")),
)
Settings = SamplingSettings | Sequence[SamplingSettings] | None


class LatentDiffusion:
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
        """Calls of the denoiser since loading."""
        return self.denoiser.calls

    @property
    def network_rows(self) -> int:
        """Rows that those calls were asked for; what fills up a last call is not counted."""
        return self.denoiser.rows

    @cached_property
    def weights(self) -> str:
        """SHA-256 of the weights' files: what a picture was really made by."""
        return weights_hash(self.files)

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
    def scheduler_names(self) -> list[str]:
        """Those that the model can be drawn with: its own first, then the others by readable names."""
        others = [name for name in names_of(kind_of(self.scheduler_config)) if name != self.scheduler_name]
        return [self.scheduler_name, *others]

    def unseen_words(self, prompts: Sequence[str]) -> Counter[str]:
        """Words that no training caption held, with how many prompts hold each; empty where that is not known."""
        return self.conditioner.unseen_words(list(prompts))

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
        **overrides: Any,
    ) -> Tensor | list[Tensor]: ...

    def sample(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scale: float | Sequence[float] | None = None,
        *,
        settings: Settings = None,
        **overrides: Any,
    ) -> Tensor | list[Tensor]:
        """One image per prompt: (B, 3, H, W) in [0, 1]; a list of B images (3, H, W) where their sizes differ.

        Arguments are those of `denoise`. With settings of its own for each image, those whose steps, scheduler, size and
        rows per call agree denoise together and the groups one after another.
        """
        listed, seeds, each = self._images(prompts, seeds, guidance_scale, settings, overrides)
        groups: dict[tuple, list[int]] = {}
        for index, own in enumerate(each):
            groups.setdefault(tuple(own[name] for name in LOOP), []).append(index)
        drawn: dict[int, Tensor] = {}
        for members in groups.values():
            prompts_here, seeds_here = [listed[index] for index in members], [seeds[index] for index in members]
            *_, last = self._states(prompts_here, seeds_here, [each[index] for index in members])
            drawn |= zip(members, self.decode(last.latent))
        images = [drawn[index] for index in range(len(listed))]
        return torch.stack(images) if len({image.shape for image in images}) == 1 else images

    def sweep(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scales: Sequence[float] | None = None,
        *,
        axes: Mapping[str, Sequence] | None = None,
        settings: SamplingSettings | None = None,
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
        given = dict(axes or {})
        if guidance_scales is not None or not given:
            scales = DEFAULT_SCALES if guidance_scales is None else guidance_scales
            given = {"guidance_scale": scales} | {name: given[name] for name in given if name != "guidance_scale"}
        values = {name: _axis(name, listed) for name, listed in given.items()}
        listed, seeds, base = self._images(prompts, seeds, None, settings, overrides)
        cells = [dict(zip(values, cell)) for cell in itertools.product(*values.values())]
        each = [own.replaced(**cell) for cell in cells for own in base]
        images = self.sample(listed * len(cells), seeds * len(cells), settings=each)
        return torch.stack(list(images)).unflatten(0, (*map(len, values.values()), len(listed)))

    def denoise(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scale: float | Sequence[float] | None = None,
        *,
        settings: Settings = None,
        **overrides: object,
    ) -> Iterator[State]:
        """The denoising loop: a State (step, t, latent, clean) after each step; the last latent is the result.

        prompts             a text or several; a single prompt or seed serves all of the other
        seeds               one per prompt, 0 <= seed < 2**32: the whole of an image's randomness
        guidance_scale      w, one or one per prompt: uncond + w (cond - uncond); None is the settings', else the model's
        settings            SamplingSettings for all, or for each image its own; those of images that denoise together may
                            differ in guidance and negative prompt only (`sample` takes any)
        any other           a setting by its flat name, over those of `settings`:
          steps             None is the model's default
          scheduler         a name of ldm_core.schedulers.SCHEDULERS, or diffusers' class; None is the checkpoint's own
          negative_prompt   takes the place of the empty unconditional prompt; one or one per prompt
          height, width     pixels; None is the model's native size
          guidance_schedule constant, linear or cosine over time; each averages w
          guidance_interval (t_low, t_high): guide only there, 1 = noise, 0 = clean
          guidance_rescale  0 to 1: bring the prediction's spread back after guidance
          rows_per_call     rows of every network call; None: each step's rows in the fewest calls that fill the device

        ValueError, before any network runs, for an argument that does not fit.
        """
        listed, seeds, each = self._images(prompts, seeds, guidance_scale, settings, overrides)
        for name in LOOP:
            different = dict.fromkeys(own[name] for own in each)
            if len(different) > 1:
                raise ValueError(
                    f"images that denoise together have one {name}, got {', '.join(map(str, different))}: use sample"
                )
        return self._states(listed, seeds, each)

    def resolve(self, settings: SamplingSettings | None = None, **overrides: object) -> SamplingSettings:
        """Settings with the model's own values where they are open; ValueError where the model cannot draw with them."""
        given = (settings or SamplingSettings()).replaced(**overrides)
        own = {"steps": self.spec.steps, "guidance_scale": self.spec.guidance_scale, "scheduler": self.scheduler_name}
        whole = given.resolved(**own, height=self.height, width=self.width)
        arguments.check_size(whole["height"], whole["width"], self.multiple, self.denoiser.largest * self.factor)
        check_scheduler(self.scheduler_config, whole.scheduler)
        return whole

    def recipe(self, prompt: str, seed: int, settings: SamplingSettings | None = None, **overrides: Any) -> Recipe:
        """The record that makes one picture of `sample` again: everything that decides it, defaults written out."""
        return recipe_for(self, prompt, seed, settings=settings, **overrides)

    def rows_alone(self, settings: SamplingSettings) -> int:
        """Network rows that one image with these settings needs by itself, over all steps."""
        whole = self.resolve(settings)
        scheduler = make_scheduler(self.scheduler_config, whole.scheduler)
        shape = (1, 1, whole["height"] // self.factor, whole["width"] // self.factor)
        set_steps(scheduler, whole["steps"], self.denoiser.image_tokens(torch.empty(shape, device="meta")))
        cell = Cell("", None, 0, whole.guidance)
        weights = [whole.guidance.weight(time_of(scheduler, timestep)) for timestep in scheduler.timesteps]
        return sum(len(texts_needed(cell, weight, self.denoiser.embeds_guidance)) for weight in weights)

    def _images(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None,
        guidance_scale: float | Sequence[float] | None,
        settings: Settings,
        overrides: dict,
    ) -> tuple[list[str], list[int], list[SamplingSettings]]:
        """A prompt, a seed and whole settings for each image."""
        listed, given = arguments.check_prompts("prompts", prompts), _listed_settings(settings)
        if len(listed) == 1:
            listed = listed * len(given)
        listed, seeds = arguments.pair(listed, seeds)
        given = given * len(listed) if len(given) == 1 else given
        if len(given) != len(listed):
            raise ValueError(f"settings must be one or one per prompt: got {len(given)} for {len(listed)} prompts")
        if guidance_scale is not None:
            overrides = overrides | {"guidance_scale": guidance_scale}
        apart = {name: overrides[name] for name in ("guidance_scale", "negative_prompt") if name in overrides}
        columns = {name: arguments.one_each(name, value, len(listed)) for name, value in apart.items()}
        rest = {name: value for name, value in overrides.items() if name not in apart}
        whole: dict[SamplingSettings, SamplingSettings] = {}  # many images have the same
        for index, own in enumerate(given):
            asked = own.replaced(**rest, **{name: column[index] for name, column in columns.items()})
            given[index] = whole[asked] if asked in whole else whole.setdefault(asked, self.resolve(asked))
        return listed, seeds, given

    def _states(self, prompts: list[str], seeds: list[int], each: list[SamplingSettings]) -> Iterator[State]:
        """The loop for images whose settings agree in all of LOOP."""
        loop = each[0]
        nothing = self.conditioner.nothing
        cells = [
            Cell(prompt, own.negative_prompt or nothing, seed, own.guidance)
            for prompt, seed, own in zip(prompts, seeds, each)
        ]
        solver = make_scheduler(self.scheduler_config, loop.scheduler)
        guided = GuidedCells(cells, self._encode_texts(cells), self.denoiser, loop.rows_per_call)
        generators = image_generators(seeds)
        shape = (self.latent_channels, loop["height"] // self.factor, loop["width"] // self.factor)
        noise = initial_noise(generators, shape).to(self.device)
        tokens = self.denoiser.image_tokens(noise)
        return self._on_device(denoise(guided.predict, solver, noise, generators, loop["steps"], tokens))

    def _on_device(self, states: Iterator[State]) -> Iterator[State]:
        with self.placement.using(self.denoiser.network):
            yield from states

    def _encode_texts(self, cells: Sequence[Cell]) -> dict[str | None, Conditioning]:
        texts = dict.fromkeys(text for cell in cells for text in (cell.prompt, cell.negative_prompt))
        with self.placement.using(*self.conditioner.networks):
            return {text: self.conditioner.encode(text) for text in texts}


def _listed_settings(settings: Settings) -> list[SamplingSettings]:
    given = settings if isinstance(settings, list | tuple) else [settings or SamplingSettings()]
    if not given or not all(isinstance(own, SamplingSettings) for own in given):
        raise ValueError(f"settings must be SamplingSettings, one or one per prompt, got {shown(settings)}")
    return list(given)


def _axis(name: str, values: Sequence) -> list:
    """The values of a sweep's axis."""
    if name not in FIELDS or name in SIDES:
        known = ", ".join(field for field in FIELDS if field not in SIDES)
        raise ValueError(f"axes must be settings of one size's pictures ({known}), got {shown(name)}")
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise ValueError(f"the axis {name} must be a list of values, got {shown(values)}")
    listed = list(values)
    if not listed:
        raise ValueError(f"the axis {name} must hold at least one value, got none")
    return listed


def weights_hash(files: Iterable[Path]) -> str:
    """SHA-256 over the weight files of a checkpoint, of a swapped autoencoder and of what was merged in; files of older
    formats count where a folder has no .safetensors, for there they are what is loaded."""
    digest = hashlib.sha256()
    for path in files:
        found = sorted(path.rglob("*.safetensors")) if path.is_dir() else [path]
        safe = {each.parent for each in found}
        kinds = GRAPHS if (path / "export.json").is_file() else OLDER_WEIGHTS
        older = (each for kind in kinds for each in path.rglob(kind) if each.parent not in safe)
        for each in (*found, *sorted(older)):
            with each.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def configs_hash(files: Iterable[Path]) -> str:
    """SHA-256 over all else in the folders of a checkpoint that decides a picture: configs, schedules, tokenizers."""
    digest = hashlib.sha256()
    for folder in (path for path in files if path.is_dir()):
        for pattern in DECIDING:
            for path in sorted(folder.glob(pattern)):
                digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
