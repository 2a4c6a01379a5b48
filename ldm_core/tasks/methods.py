"""The tasks as methods of the model: each is its file's `start_of`, and `sample`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

from ..recipe import Recipe
from ..settings import SamplingSettings
from . import image_to_image, inpainting, interpolation, replay, upscaling

if TYPE_CHECKING:
    from ..pictures import Settings
    from ..pipeline import LatentDiffusion


class TaskMethods:
    """What `LatentDiffusion` can do with a latent beside drawing it from noise."""

    @property
    def _model(self) -> LatentDiffusion:
        return cast("LatentDiffusion", self)

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
        start = image_to_image.start_of(self._model, images)
        return self._model.sample(prompts, seeds, guidance_scale, settings=settings, start=start, **overrides)

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
        start = inpainting.start_of(self._model, images, masks)
        drawn = self._model.sample(prompts, seeds, guidance_scale, settings=settings, start=start, **overrides)
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
        factor: float | None = None,
        by: str = "image",
        noise_level: int | None = None,
        settings: Settings = None,
        **overrides: Any,
    ) -> Tensor | list[Tensor]:
        """Images (B, 3, H, W) in [0, 1] enlarged, and their detail drawn: by the second of two passes, or by a model made for it
        from images as noisy as noise_level says; see tasks/upscaling.py."""
        start = upscaling.start_of(self._model, images, factor, by, noise_level)
        return self._model.sample(prompts, seeds, guidance_scale, settings=settings, start=start, **overrides)

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
        return interpolation.interpolate(
            self._model, prompts, seeds, guidance_scale, frames, through, settings, overrides
        )

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
        return replay.redraw(self._model, recipe, image, mask, control_image)
