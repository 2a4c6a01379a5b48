"""The forward process: a latent that noise takes over, by four schedules side by side."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from ldm_core.images import to_pil

from .film import film, said, scrubber

TIMES = tuple(place / 8 for place in range(9))
FLOW = "straight line"
# By name: where it is from, and what diffusers calls it.
SCHEDULES: dict[str, tuple[str, dict[str, object]]] = {
    "linear": ("DDPM, 2020", {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02}),
    "scaled linear": (
        "Stable Diffusion, 2022",
        {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    ),
    "cosine": ("improved DDPM, 2021", {"beta_schedule": "squaredcos_cap_v2"}),
    FLOW: ("flow matching, 2022", {}),
}


def shares(name: str, t: float) -> tuple[float, float]:
    """(a, b) of z_t = a z + b eps at time t of a schedule, from 0 (clean) to 1 (noise). Flow matching (Lipman et al. 2022)
    goes straight, a = 1 - t and b = t; the others keep a^2 + b^2 = 1 (Ho et al. 2020, eq. 4)."""
    if name == FLOW:
        return 1 - t, t
    kept = 1.0 if t == 0 else float(_kept(name)[round(t * 999)])
    return math.sqrt(kept), math.sqrt(1 - kept)


@functools.cache
def _kept(name: str) -> Tensor:
    return DDPMScheduler(1000, **SCHEDULES[name][1]).alphas_cumprod


def noised(latent: Tensor, noise: Tensor) -> Iterator[tuple[str, float, Tensor]]:
    """(schedule, t, z_t) for every schedule and time, from a latent and a noise (C, h, w)."""
    for name in SCHEDULES:
        for t in TIMES:
            kept, added = shares(name, t)
            yield name, t, kept * latent + added * noise


def noising_html(images: dict[str, list[Tensor]]) -> str:
    """The view of decoded latents (3, H, W), by schedule and in the order of TIMES."""
    films, start = [], len(TIMES) // 2
    for name, frames in images.items():
        powers = [
            [share**2 for share in shares(name, t)] for t in TIMES
        ]  # a latent and noise are of unit variance each
        words = [f"{a / (a + b):.0%} picture, {b / (a + b):.0%} noise" for a, b in powers]
        shown = film([to_pil(frame) for frame in frames], f"{name} schedule", note=f"({SCHEDULES[name][0]})")
        films.append(f"<div>{shown}<p>{said(words, start)}</p></div>")
    words = [f"t = {t:.3g}" for t in TIMES]
    return scrubber(f'<div class="films">{"".join(films)}</div>', words, "time, from clean to noise", start)


def noise_like(latent: Tensor, seed: int) -> Tensor:
    """A seed's noise of a latent's shape (C, h, w)."""
    return torch.randn(latent.shape, generator=torch.Generator("cpu").manual_seed(seed))
