"""All lessons of a model on the device, its pictures as latents too."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...precision import mixed
from ..everyday import MASK_SIZE
from ..train_autoencoder import in_model_range, mean_of
from .drawing import LONGEST, SLOTS
from .intake import Intake
from .recipe import ResidentRecipe
from .rows import Rows
from .studio import Studio


class Pool:
    """Rows of latents, pictures, silhouettes and captions heard, filled from a studio by an autoencoder's encoder."""

    def __init__(self, studio: Studio, vae: Any, recipe: ResidentRecipe, device: str):
        self.vae, self.device = vae, device
        size, cells, tokens = (
            recipe.denoiser.image_size,
            _latent_shape(vae, recipe, device),
            recipe.denoiser.text_tokens,
        )
        said = ((recipe.captions, tokens), torch.int16)
        self.latents = Rows(
            recipe.latents,
            device,
            {
                "latents": (cells, torch.float16),
                "tokens": said,
                "names": ((SLOTS,), torch.int16),
                "masks": ((SLOTS, MASK_SIZE, MASK_SIZE), torch.uint8),
            },
        )
        self.pictures = Rows(
            recipe.pictures,
            device,
            {
                "images": ((size, size, 3), torch.uint8),
                "means": (cells, torch.float32),
            },
        )
        self.silhouettes = Rows(
            recipe.silhouettes,
            device,
            {
                "latents": (cells, torch.float16),
                "tokens": said,
                "silhouettes": ((size, size // 8), torch.uint8),
            },
        )
        self.heard = Rows(
            recipe.heard,
            device,
            {
                "tokens": ((recipe.text.tokens,), torch.int16),
                "facts": ((LONGEST,), torch.int16),
            },
        )
        self.intake = Intake(studio, self.add, device)

    def add(self, kind: str, rows: dict[str, Tensor]) -> list[Rows]:
        """Rows that grew of what a studio made of a kind (drawing.py)."""
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


@torch.no_grad()
def _latent_shape(vae: Any, recipe: ResidentRecipe, device: str) -> tuple[int, ...]:
    size = recipe.denoiser.image_size
    return tuple(mean_of(vae, torch.zeros(1, 3, size, size, device=device)).shape[1:])
