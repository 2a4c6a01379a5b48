"""All lessons on the device: what workers made is copied there, and pictures become latents, beside the steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from ..lesson import mixed
from ..train_autoencoder import mean_of
from .drawing import LONGEST, SLOTS
from .recipe import ResidentRecipe
from .rows import Rows
from .studio import Arrays, Studio

MASK = (16, 16)


class Pool:
    """Rows of latents, pictures, silhouettes and captions heard, filled from a studio by an autoencoder's encoder.

    On a GPU that is done on a stream of its own, from memory that the device reads by itself, one job at a time: the next is
    begun when the device is through with the one before, and no step waits for either.
    """

    def __init__(self, studio: Studio, vae: Any, recipe: ResidentRecipe, device: str):
        self.studio, self.vae, self.device = studio, vae, device
        size, cells, tokens = (
            recipe.denoiser.image_size,
            _latent_shape(vae, recipe, device),
            recipe.denoiser.text_tokens,
        )
        said = ((recipe.captions, tokens), torch.int16)
        self.latents = Rows(recipe.latents, device, {
            "latents": (cells, torch.float16), "tokens": said, "names": ((SLOTS,), torch.int16),
            "masks": ((SLOTS, *MASK), torch.uint8),
        })  # fmt: skip
        self.pictures = Rows(recipe.pictures, device, {
            "images": ((size, size, 3), torch.uint8), "means": (cells, torch.float32),
        })  # fmt: skip
        self.silhouettes = Rows(recipe.silhouettes, device, {
            "latents": (cells, torch.float16), "tokens": said, "silhouettes": ((size, size // 8), torch.uint8),
        })  # fmt: skip
        self.heard = Rows(recipe.heard, device, {
            "tokens": ((recipe.text.tokens,), torch.int16), "facts": ((LONGEST,), torch.int16),
        })  # fmt: skip
        self.side = torch.cuda.Stream() if device == "cuda" else None
        if self.side is not None:
            self.side.wait_stream(torch.cuda.current_stream())  # the rows are filled with zeros first
        self.coming: Callable[[], bool] | None = None

    def ingest(self, wait: float = 0.0) -> bool:
        """Publish what the device has by now, and begin with what workers have made next; whether anything was done."""
        if self.coming is not None and not self.coming():
            return False
        made = self.studio.take(wait)
        if made is not None:
            self._begin(*made)
        return made is not None

    def wait_for(self, rows: Rows, least: int) -> None:
        """Ingest until so many rows are there, or all that fit."""
        while float(rows.count) < min(least, rows.capacity):
            self.ingest(wait=0.05)

    def _begin(self, kind: str, arrays: Arrays) -> None:
        stream: AbstractContextManager = torch.cuda.stream(self.side) if self.side is not None else nullcontext()
        with stream:
            held, rows = self._copied(arrays)
            grown = [(one, one.filled) for one in self._add(kind, rows)]
        event = self.side.record_event() if self.side is not None else None

        def there() -> bool:
            if event is not None and not event.query():
                return False
            held.clear()  # until now the device may have been reading from it
            for one, filled in grown:
                one.publish(filled)
            self.coming = None
            return True

        self.coming = there
        there()

    def _copied(self, arrays: Arrays) -> tuple[list[Tensor], dict[str, Tensor]]:
        """What is to be held until the copies are made, and the copies."""
        held = [torch.from_numpy(values) for values in arrays.values()]
        if self.side is not None:
            held = [values.pin_memory() for values in held]
        copies = [values.to(self.device, non_blocking=True) for values in held]
        return held, dict(zip(arrays, copies))

    def _add(self, kind: str, rows: dict[str, Tensor]) -> list[Rows]:
        """Rows that grew."""
        if kind == "heard":
            self.heard.add(rows)
            return [self.heard]
        grown = [one for one in (self.latents, self.pictures) if not one.full]
        if "silhouettes" in rows and not self.silhouettes.full:
            grown.append(self.silhouettes)
        if grown:
            means = self.encoded(rows["images"])
            rows = rows | {"means": means, "latents": means * self.vae.config.scaling_factor}
        for one in grown:
            one.add(rows)
        return grown

    @torch.no_grad()
    def encoded(self, images: Tensor) -> Tensor:
        """Means of pictures uint8 (B, H, W, 3), unscaled: float32 (B, C, h, w)."""
        with mixed(self.device):
            return mean_of(self.vae, in_model_range(images)).float()


def in_model_range(images: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) -> float32 (B, 3, H, W) in [-1, 1], the range diffusers' autoencoders work in."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def _latent_shape(vae: Any, recipe: ResidentRecipe, device: str) -> tuple[int, ...]:
    size = recipe.denoiser.image_size
    return tuple(mean_of(vae, torch.zeros(1, 3, size, size, device=device)).shape[1:])
