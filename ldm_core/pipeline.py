"""A latent diffusion model: encode, decode, denoise, sample, sweep (Rombach et al. 2022).

Each is a few lines over the files beside this one; the data goes
prompt -> conditioning -> noise -> (denoiser, guidance, scheduler step)* -> latent -> autoencoder -> image.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from . import arguments
from .autoencoder import Autoencoder
from .cells import Cell, GuidedCells
from .conditioning import Conditioner, Conditioning
from .denoisers import Denoiser
from .placement import Placement
from .registry import ModelSpec
from .sampling import State, denoise, image_generators, initial_noise, make_scheduler, readable_name


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
    ):
        self.spec, self.conditioner, self.denoiser, self.autoencoder = spec, conditioner, denoiser, autoencoder
        self.scheduler_config = scheduler_config
        self.files = files  # files and folders of the weights
        self.vae, self.lora = vae, lora  # where the autoencoder was swapped, and what was merged into the networks
        self.placement = placement or Placement(denoiser.device)
        self.device, self.dtype = self.placement.device, denoiser.dtype
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

    @property
    def scheduler_name(self) -> str:
        """The name of the checkpoint's own scheduler."""
        return readable_name(make_scheduler(self.scheduler_config))

    def unseen_words(self, prompts: Sequence[str]) -> Counter[str]:
        """Words the model was never told, with how many prompts hold each; empty where that is not known."""
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

    def sample(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scale: float | Sequence[float] | None = None,
        **settings: object,
    ) -> Tensor:
        """One image per prompt: (B, 3, H, W) in [0, 1]. The settings are those of `denoise`."""
        *_, last = self.denoise(prompts, seeds, guidance_scale, **settings)
        return self.decode(last.latent)

    def sweep(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scales: Sequence[float] = (1, 2, 4, 8),
        **settings: object,
    ) -> Tensor:
        """All scales of all prompts: (S, B, 3, H, W) in [0, 1], each prompt's noise the same at every scale.

        All cells denoise together; text encoding, noise and every network row that cells have in common (the whole
        first step) are computed once.
        """
        listed, seeds = arguments.pair(arguments.check_prompts("prompts", prompts), seeds)
        scales = list(guidance_scales)
        if not scales:
            raise ValueError("guidance_scales must hold at least one scale, got none")
        negative = settings.pop("negative_prompt", None)
        negatives = _one_each("negative_prompt", "" if negative is None else negative, len(listed)) * len(scales)
        each = [scale for scale in scales for _ in listed]
        images = self.sample(listed * len(scales), seeds * len(scales), each, negative_prompt=negatives, **settings)
        return images.unflatten(0, (len(scales), len(listed)))

    def denoise(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] | None = None,
        guidance_scale: float | Sequence[float] | None = None,
        *,
        steps: int | None = None,
        scheduler: str | None = None,
        negative_prompt: str | Sequence[str] | None = None,
        height: int | None = None,
        width: int | None = None,
        guidance_schedule: str = "constant",
        guidance_interval: tuple[float, float] | None = None,
        guidance_rescale: float = 0.0,
        guidance_until_alike: float | None = None,
        rows_per_call: int | None = None,
    ) -> Iterator[State]:
        """The denoising loop: a State (step, t, latent, clean) after each step; the last latent is the result.

        prompts             a text or several; a single prompt or seed serves all of the other
        seeds               one per prompt, 0 <= seed < 2**32: the whole of an image's randomness
        guidance_scale      w, one or one per prompt: uncond + w (cond - uncond); None is the model's default
        steps               None is the model's default
        scheduler           a name of ldm_core.sampling.SCHEDULERS; None is the checkpoint's own
        negative_prompt     takes the place of the empty unconditional prompt; one or one per prompt
        height, width       pixels; None is the model's native size
        guidance_schedule   constant, linear or cosine over time; each averages w
        guidance_interval   (t_low, t_high): guide only there, 1 = noise, 0 = clean
        guidance_rescale    0 to 1: bring the prediction's spread back after guidance
        guidance_until_alike  a cosine below 1: once an image's two predictions are more alike, guide it no further
        rows_per_call       rows of every network call; None: each step's rows in the fewest calls that fill the device
        """
        listed, seeds = arguments.pair(arguments.check_prompts("prompts", prompts), seeds)
        scale = self.spec.guidance_scale if guidance_scale is None else guidance_scale
        scales = [arguments.check_scale(w) for w in _one_each("guidance_scale", scale, len(listed))]
        negative = _one_each("negative_prompt", "" if negative_prompt is None else negative_prompt, len(listed))
        negatives = [text or self.conditioner.nothing for text in arguments.check_prompts("negative_prompt", negative)]
        steps = arguments.check_steps(self.spec.steps if steps is None else steps)
        height, width = self.height if height is None else height, self.width if width is None else width
        arguments.check_size(height, width, self.multiple)
        arguments.check_guidance(guidance_schedule, guidance_interval, guidance_rescale, guidance_until_alike)
        arguments.check_scheduler(scheduler)
        arguments.check_rows(rows_per_call)
        solver = make_scheduler(self.scheduler_config, scheduler)
        cells = [Cell(*parts) for parts in zip(listed, negatives, seeds, scales)]
        shape = (self.latent_channels, height // self.factor, width // self.factor)
        guided = GuidedCells(
            cells,
            self._encode_texts(cells),
            self.denoiser,
            rows_per_call,
            guidance_schedule,
            guidance_interval,
            guidance_rescale,
            guidance_until_alike,
        )
        generators = image_generators(seeds)
        noise = initial_noise(generators, shape).to(self.device)
        return self._on_device(denoise(guided.predict, solver, noise, generators, steps))

    def _on_device(self, states: Iterator[State]) -> Iterator[State]:
        with self.placement.using(self.denoiser.network):
            yield from states

    def _encode_texts(self, cells: Sequence[Cell]) -> dict[str | None, Conditioning]:
        texts = dict.fromkeys(text for cell in cells for text in (cell.prompt, cell.negative_prompt))
        with self.placement.using(*self.conditioner.encoders):
            return {text: self.conditioner.encode(text) for text in texts}


def _one_each(name: str, value: object, count: int) -> list:
    """A value for each of `count` cells; one serves all."""
    if isinstance(value, str | int | float) or value is None:
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise ValueError(f"{name} must be one value or one per prompt: got {len(values)} for {count} prompts")
    return values


def weights_hash(files: Iterable[Path]) -> str:
    """SHA-256 over the weight files of a checkpoint, of a swapped autoencoder and of what was merged in."""
    digest = hashlib.sha256()
    found = [sorted(path.rglob("*.safetensors")) if path.is_dir() else [path] for path in files]
    for path in (path for paths in found for path in paths):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
