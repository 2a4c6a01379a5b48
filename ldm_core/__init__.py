"""Latent diffusion: prompts in, pictures out, every step in between to be seen.

    model = ldm_core.load("scenes")
    images = model.sample(["a red house at night"], seeds=[7], guidance_scale=4.0)

Importing this package imports no torch; loading a model does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .registry import MODELS, ModelSpec

if TYPE_CHECKING:
    import torch

    from .loading import Named
    from .pipeline import LatentDiffusion

__all__ = ["MODELS", "ModelSpec", "load"]


def load(
    name: Named,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    vae: Named | None = None,
    *,
    lora: Named | None = None,
    config: Named | None = None,
    control: Named | None = None,
    offload: bool = False,
    compiled: bool = False,
    engine: str | None = None,
) -> LatentDiffusion:
    """A model by registry name, diffusers folder, .safetensors file or hub id; see ldm_core.loading.load."""
    from .loading import load as load_model  # torch and diffusers take seconds to import: only who loads pays

    return load_model(
        name,
        device=device,
        dtype=dtype,
        vae=vae,
        lora=lora,
        config=config,
        control=control,
        offload=offload,
        compiled=compiled,
        engine=engine,
    )
