"""A latent diffusion model: encode, decode, denoise, sample, sweep (Rombach et al. 2022).

Each is a few lines over the files beside this one; the data goes
prompt -> conditioning -> noise -> (denoiser, guidance, scheduler step)* -> latent -> autoencoder -> image.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor, nn

from . import arguments
from .autoencoder import Autoencoder
from .cells import Cell, GuidedCells, Network, rows_needed
from .checks import shown
from .conditioning import Blend, Conditioner, Conditioning
from .denoisers import Denoiser
from .family import FAMILIES, Family
from .guidance_checks import resolve_rule, weaker_model
from .placement import Placement
from .recipe import Recipe, recipe_for
from .registry import ModelSpec
from .sampling import State, check_scheduler, denoise, image_generators, initial_noise
from .schedulers import FLOW, kind_of, make_scheduler, names_of, readable_name, set_steps, time_of
from .settings import FIELDS, SamplingSettings, default
from .substitution import Substitution, in_own_words
from .tasks import image_to_image, inpainting, interpolation, replay, upscaling
from .tasks.control import Control, PreparedControl, check_control_images
from .tasks.start import Start, check_images, image_sha256, timesteps_from
from .word_maps import WordMaps, word_maps

DEFAULT_SCALES = (1, 2, 4, 8)
# Images that differ in one of these are denoised apart.
LOOP = ("steps", "scheduler", "height", "width", "strength", "rows_per_call")
SIDES = ("height", "width")
NO_CONTROL = "needs a model with a control network: ldm_core.load(..., control=FOLDER)"
OLDER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt")
GRAPHS = ("*.onnx", "*.xml", "*.bin")  # of an export
DECIDING = (
    "export.json",
    "config.json",
    "model_index.json",
    *(f"{part}/*.json" for part in ("scheduler", "unet", "transformer", "vae", "text_encoder*")),
    *(f"tokenizer*/*.{kind}" for kind in ("json", "txt", "model")),
)
ControlImages = Tensor | None
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
        listed, seeds, each = self._images(prompts, seeds, guidance_scale, settings, overrides, start)
        whole = None if start is None else start.for_images(len(listed))
        controls = self._control_images(control_images, each)
        groups: dict[tuple, list[int]] = {}
        for index, own in enumerate(each):
            groups.setdefault(tuple(own[name] for name in LOOP), []).append(index)
        drawn: dict[int, Tensor] = {}
        for members in groups.values():
            prompts_here, seeds_here = [listed[index] for index in members], [seeds[index] for index in members]
            begun = None if whole is None else whole.rows(members)
            steering = controls and [controls[index] for index in members]
            latent = begun.clean if begun is not None else None
            for state in self._states(prompts_here, seeds_here, [each[index] for index in members], begun, steering):
                latent = state.latent
            assert latent is not None, "without a start there is a step or more"
            drawn |= zip(members, self.decode(latent))
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
        given = dict(axes or {})
        if guidance_scales is not None or not given:
            scales = DEFAULT_SCALES if guidance_scales is None else guidance_scales
            given = {"guidance_scale": scales} | {name: given[name] for name in given if name != "guidance_scale"}
        values = {name: _axis(name, listed) for name, listed in given.items()}
        listed, seeds, base = self._images(prompts, seeds, None, settings, overrides)
        cells = [dict(zip(values, cell)) for cell in itertools.product(*values.values())]
        each = [own.replaced(**cell) for cell in cells for own in base]
        controls = self._control_images(control_images, base)
        steering = None if controls is None else torch.stack(controls * len(cells))
        images = self.sample(listed * len(cells), seeds * len(cells), settings=each, control_images=steering)
        return torch.stack(list(images)).unflatten(0, (*map(len, values.values()), len(listed)))

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
        listed, seeds, each = self._images(prompts, seeds, guidance_scale, settings, overrides, start)
        for name in LOOP:
            different = dict.fromkeys(own[name] for own in each)
            if len(different) > 1:
                raise ValueError(
                    f"images that denoise together have one {name}, got {', '.join(map(str, different))}: use sample"
                )
        begun = None if start is None else start.for_images(len(listed))
        return self._states(listed, seeds, each, begun, self._control_images(control_images, each))

    def word_maps(self, prompt: str, seed: int, settings: SamplingSettings | None = None, **overrides: Any) -> WordMaps:
        """A picture with where each word of its prompt was looked up (Tang et al. 2022): arguments are those of `denoise`.

        The picture is `sample`'s of the same arguments to the bit: maps are computed beside the network, from the same
        inputs. For networks with cross-attention; ValueError in one line for others.
        """
        return word_maps(self, prompt, seed, settings, **overrides)

    def image_to_image(
        self,
        images: Tensor,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scale: float | Sequence[float] | None = None,
        *,
        settings: Settings = None,
        **overrides: Any,
    ) -> Tensor | list[Tensor]:
        """Images (B, 3, H, W) in [0, 1] drawn anew as far as `strength` says: see tasks/image_to_image.py."""
        start = image_to_image.start_of(self, images)
        return self.sample(prompts, seeds, guidance_scale, settings=settings, start=start, **overrides)

    def inpaint(
        self,
        images: Tensor,
        masks: Tensor,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scale: float | Sequence[float] | None = None,
        *,
        settings: Settings = None,
        **overrides: Any,
    ) -> Tensor | list[Tensor]:
        """Images (B, 3, H, W) in [0, 1] drawn anew where masks (B, 1, H, W) are 1, and to the bit the same elsewhere: see
        tasks/inpainting.py."""
        start = inpainting.start_of(self, images, masks)
        drawn = self.sample(prompts, seeds, guidance_scale, settings=settings, start=start, **overrides)
        return inpainting.paste(images, drawn, masks)

    def outpaint(
        self,
        images: Tensor,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scale: float | Sequence[float] | None = None,
        *,
        left: int = 0,
        right: int = 0,
        top: int = 0,
        bottom: int = 0,
        settings: Settings = None,
        **overrides: Any,
    ) -> Tensor | list[Tensor]:
        """Images (B, 3, H, W) in [0, 1] within larger ones, so many pixels drawn around them: see tasks/inpainting.py."""
        canvas, masks = inpainting.canvas(images, left, right, top, bottom)
        return self.inpaint(canvas, masks, prompts, seeds, guidance_scale, settings=settings, **overrides)

    def upscale(
        self,
        images: Tensor,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scale: float | Sequence[float] | None = None,
        *,
        factor: float = 2.0,
        by: str = "image",
        settings: Settings = None,
        **overrides: Any,
    ) -> Tensor | list[Tensor]:
        """Images (B, 3, H, W) in [0, 1] enlarged, and their detail drawn: the second of two passes, see tasks/upscaling.py."""
        start = upscaling.start_of(self, images, factor, by)
        return self.sample(prompts, seeds, guidance_scale, settings=settings, start=start, **overrides)

    def interpolate(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int],
        guidance_scale: float | None = None,
        *,
        frames: int = 8,
        through: str = "noise",
        settings: SamplingSettings | None = None,
        **overrides: Any,
    ) -> Tensor:
        """Pictures (frames, 3, H, W) from one prompt and seed to another, `through` noise or latents: see
        tasks/interpolation.py."""
        return interpolation.interpolate(self, prompts, seeds, guidance_scale, frames, through, settings, overrides)

    def redraw(
        self,
        recipe: Recipe,
        image: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        control_image: Tensor | None = None,
    ) -> Tensor:
        """The picture (1, 3, H, W) of a recipe again, of a task from its start image (3, H, W) and mask (1, H, W), one that
        was steered from its control image (3, H, W); ValueError where they are others: see tasks/replay.py."""
        return replay.redraw(self, recipe, image, mask, control_image)

    def resolve(
        self, settings: SamplingSettings | None = None, start: Start | None = None, **overrides: object
    ) -> SamplingSettings:
        """Settings with the model's own values, and a start's, where they are open; ValueError where the model cannot draw
        with them."""
        given = (settings or SamplingSettings()).replaced(**overrides)
        own = {"steps": self.spec.steps, "guidance_scale": self.spec.guidance_scale, "scheduler": self.scheduler_name}
        sides = {"height": self.height, "width": self.width}
        if start is not None:
            sides, own["strength"] = start.sides(self.factor), start.strength
            start.check(given, sides)
        whole = given.resolved(**own, **sides)
        arguments.check_size(whole["height"], whole["width"], self.multiple, self.denoiser.largest * self.factor)
        check_scheduler(self.scheduler_config, whole.scheduler)
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
        whole = self.resolve(settings)
        scheduler = make_scheduler(self.scheduler_config, whole.scheduler)
        shape = (1, 1, whole["height"] // self.factor, whole["width"] // self.factor)
        set_steps(scheduler, whole["steps"], self.denoiser.image_tokens(torch.empty(shape, device="meta")))
        cell = Cell("", None, 0, whole.guidance)
        timesteps, _ = timesteps_from(scheduler, whole["steps"], 1.0 if whole.strength is None else whole.strength)
        times = [time_of(scheduler, timestep) for timestep in timesteps]
        embedded, flow = self.denoiser.embeds_guidance, self._is_flow
        return sum(len(rows_needed(cell, t, step, embedded, flow)) for step, t in enumerate(times))

    @property
    def _is_flow(self) -> bool:
        return kind_of(self.scheduler_config) == FLOW

    def _images(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None,
        guidance_scale: float | Sequence[float] | None,
        settings: Settings,
        overrides: dict,
        start: Start | None = None,
    ) -> tuple[list[str], list[int], list[SamplingSettings]]:
        """A prompt, a seed and whole settings for each image; ValueError for a strength where nothing is given a share of."""
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
            given[index] = whole[asked] if asked in whole else whole.setdefault(asked, self.resolve(asked, start))
            if given[index].strength is not None and (start is None or start.clean is None):
                raise ValueError(
                    f"strength={given[index].strength:g} is how far a start image is drawn anew, and there is none: "
                    "use image_to_image or inpaint"
                )
        return listed, seeds, given

    def _drawn(self, prompt: str | Blend, own: SamplingSettings) -> str | Blend:
        """A prompt in the words that are drawn; of a blend both."""
        if isinstance(prompt, Blend):
            first, second = (self.in_own_words(text, own).text for text in (prompt.first, prompt.second))
            return Blend(first, second, prompt.share)
        return self.in_own_words(prompt, own).text

    def _control_images(self, images: ControlImages, each: list[SamplingSettings]) -> list[Tensor] | None:
        """An image (3, H, W) for each picture that is to be steered by one."""
        if images is None:
            return None
        if self.control is None:
            raise ValueError(f"control_images {NO_CONTROL}")
        sizes = {(own["height"], own["width"]) for own in each}
        if len(sizes) > 1:
            raise ValueError(f"pictures with control_images have one size, got {sorted(sizes)}")
        height, width = sizes.pop()
        arguments.check_size(height, width, self.control.multiple, math.inf)
        return check_control_images(images, len(each), height, width)

    def _prepared(self, images: list[Tensor] | None, each: list[SamplingSettings]) -> PreparedControl | None:
        """What steers pictures by their control images, where there are any."""
        if self.control is None or images is None:
            return None
        with self.placement.using(self.control.network):
            return self.control.prepare(images, each, self.device)

    def _states(
        self,
        prompts: list[str],
        seeds: list[int],
        each: list[SamplingSettings],
        start: Start | None = None,
        control_images: list[Tensor] | None = None,
    ) -> Iterator[State]:
        """The loop for images whose settings agree in all of LOOP; a start has a row, a control an image for each."""
        loop = each[0]
        if loop.strength == 0:
            return iter(())  # what it begins at is the result
        nothing = self.conditioner.nothing
        tasks = [None] * len(seeds) if start is None else start.tasks
        cells = [
            Cell(self._drawn(prompt, own), own.negative_prompt or nothing, seed, own.guidance, task)
            for prompt, seed, own, task in zip(prompts, seeds, each, tasks)
        ]
        solver = make_scheduler(self.scheduler_config, loop.scheduler)
        weaker = self._weaker_networks(cells)
        texts = self._encode_texts(text for cell in cells for text in (cell.prompt, cell.negative_prompt))
        start = None if start is None else start.to(self.device)
        beside = inpainting.beside_of(self, start, loop, len(cells))
        control = self._prepared(control_images, each)
        more = (solver, self._is_flow, weaker, beside, control)
        guided = GuidedCells(cells, texts, self.denoiser, loop.rows_per_call, *more)
        generators = image_generators(seeds)
        shape = (self.latent_channels, loop["height"] // self.factor, loop["width"] // self.factor)
        noise = initial_noise(generators, shape).to(self.device)
        noise = noise if start is None or start.noise is None else start.noise
        tokens = self.denoiser.image_tokens(noise)
        strength = 1.0 if loop.strength is None else loop.strength
        states = denoise(
            guided.predict, solver, noise, generators, loop["steps"], tokens, guided.renoise, start, strength
        )
        networks = [self.denoiser.network, *(other.denoiser.network for other in weaker.values())]
        return self._on_device(states, networks if control is None else [*networks, control.control.network])

    def _on_device(self, states: Iterator[State], networks: Sequence[nn.Module]) -> Iterator[State]:
        with self.placement.using(*networks):
            yield from states

    def _encode_texts(self, texts: Iterable[str | Blend | None]) -> dict[str | Blend | None, Conditioning]:
        asked = dict.fromkeys(texts)
        blends = [text for text in asked if isinstance(text, Blend)]
        plain = [text for text in asked if not isinstance(text, Blend)]
        plain += [text for blend in blends for text in (blend.first, blend.second)]
        with self.placement.using(*self.conditioner.networks):
            found: dict = {text: self.conditioner.encode(text) for text in dict.fromkeys(plain)}
        return found | {blend: found[blend.first].towards(found[blend.second], blend.share) for blend in blends}

    def _weaker_networks(self, cells: Sequence[Cell]) -> dict[str, Network]:
        """By name, those that the cells' rules ask, with the prompts in their own encoders' words."""
        asked: dict[str, list[str | Blend]] = {}
        for cell in cells:
            if cell.guidance.guider.rule.weaker:
                asked.setdefault(cell.guidance.guider["model"], []).append(cell.prompt)
        models = {name: weaker_model(self, name) for name in asked}
        return {name: Network(one.denoiser, one._encode_texts(asked[name])) for name, one in models.items()}


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
