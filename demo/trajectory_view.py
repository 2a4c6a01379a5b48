"""One drawing step by step: the noisy latent, what the model takes the picture for, the channels, the arrow of guidance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ldm_core.images import to_pil
from ldm_core.pipeline import LatentDiffusion
from ldm_core.sampling import State, image_generators, initial_noise
from ldm_core.schedulers import DIFFUSION, FLOW, kind_of, make_scheduler

from .error_maps import PLAIN
from .film import film, said, scrubber

FRAMES = 24  # steps that are shown, at the most
CHANNELS = 16  # of a latent, shown at the most
REACH = 3.0  # a channel's grey goes from minus this to this


@dataclass(frozen=True)
class Moment:
    """One step: when it began, the latent (C, h, w) that it began with, what the network took it for, and c - u."""

    step: int
    t: float
    noisy: Tensor
    clean: Tensor
    arrow: Tensor

    @property
    def strength(self) -> float:
        """How long the arrow is: the root mean square of c - u over all places and channels."""
        return float(self.arrow.square().mean().sqrt())


def moments_of(model: LatentDiffusion, seed: int, states: Sequence[State]) -> list[Moment]:
    """The steps of one picture, of a seed that was denoised at the states' size."""
    channels, height, width = states[0].latent.shape[1:]
    before = [
        initial_noise(image_generators([seed]), (channels, height, width)),
        *(state.latent for state in states[:-1]),
    ]
    made = []
    for state, noisy in zip(states, before):
        arrow = torch.zeros_like(state.clean) if state.arrow is None else state.arrow
        tensors = (tensor[0].float().cpu() for tensor in (noisy, state.clean, arrow))
        made.append(Moment(state.step, state.t, *tensors))
    return made


def chosen(moments: Sequence[Moment], most: int = FRAMES) -> list[Moment]:
    """The first, the last, and as many between them, evenly, as may be shown."""
    places = np.linspace(0, len(moments) - 1, min(most, len(moments))).round().astype(int)
    return [moments[place] for place in dict.fromkeys(places.tolist())]


def noise_share(scheduler_config: Mapping, t: float) -> float | None:
    """How much of a latent's variance is noise at time t from 0 (clean) to 1, for a clean latent of unit variance: b^2 of
    z_t = a z + b eps where a^2 + b^2 = 1 (Ho et al. 2020, eq. 4), and t^2 to (1 - t)^2 on a straight flow (Lipman et al.
    2022). None for models whose t says no such thing."""
    kind = kind_of(scheduler_config)
    if kind == FLOW:
        return t**2 / (t**2 + (1 - t) ** 2)
    table = getattr(make_scheduler(scheduler_config), "alphas_cumprod", None) if kind == DIFFUSION else None
    return None if table is None else 1 - float(table[round(t * (len(table) - 1))])


def as_seen(latent: Tensor) -> Tensor:
    """A latent (C, h, w) that a decoder can take: some solvers keep theirs many times as large while it is noise."""
    spread = float(latent.std())
    return latent / spread if spread > 2 else latent


def trajectory_html(
    moments: Sequence[Moment],
    noisy: Sequence[Tensor],
    clean: Sequence[Tensor],
    steps: int,
    beside: str = "",
    below: str = "",
    shares: Sequence[float | None] = (),
) -> str:
    """The view of chosen moments of so many steps, with their latents and predictions decoded, (3, H, W) each; `beside` are
    further films of these moments, `below` is said of them; `shares` is each one's noise_share."""
    arrows = [arrow_map(moment.arrow) for moment in moments]
    strengths, start = [moment.strength for moment in moments], len(moments) // 4
    words = [f"Step {moment.step + 1} of {steps}, t = {moment.t:.2f}" for moment in moments]
    words = [
        text if share is None else f"{text}: {share:.0%} noise" for text, share in itertools.zip_longest(words, shares)
    ]
    lengths = [
        f"length {value:.3f}" if value else "no arrow: one prediction alone was asked for" for value in strengths
    ]
    films = "".join(
        [
            film([to_pil(image) for image in noisy], "The noisy latent, decoded", note="what the step is given"),
            film([to_pil(image) for image in clean], "What the model takes it for", note="its guess of the picture"),
            film([channels_of(moment.noisy) for moment in moments], "The latent's channels", True, "grey is 0"),
            film(arrows, "The arrow of guidance", True, "bright: here the prompt changes most"),
        ]
    )
    curve = f'<div class="length">{strength_svg(strengths)}<p>{said(lengths, start)}</p></div>'
    return scrubber(f'<div class="films">{films}{beside}</div>{below}{curve}', words, "step of the drawing", start)


def arrow_map(arrow: Tensor) -> Image.Image:
    """Where c - u (C, h, w) is long, over all channels: black is nothing, pale yellow the longest of its step."""
    lengths = arrow.square().sum(0).sqrt()
    return PLAIN.picture(lengths / (float(lengths.max()) or 1.0) * PLAIN.high)


def channels_of(latent: Tensor) -> Image.Image:
    """A latent's channels (C, h, w) in grey, in rows as nearly square as they can be: 0 in the middle."""
    shown = latent[:CHANNELS]
    across = math.ceil(math.sqrt(len(shown)))
    down = math.ceil(len(shown) / across)
    height, width = shown.shape[1:]
    sheet = torch.zeros(down * (height + 1) - 1, across * (width + 1) - 1)
    for index, channel in enumerate(shown):
        row, column = divmod(index, across)
        top, left = row * (height + 1), column * (width + 1)
        sheet[top : top + height, left : left + width] = channel
    return Image.fromarray(((sheet / REACH + 1) * 127.5).round().clamp(0, 255).byte().numpy())


def strength_svg(strengths: Sequence[float]) -> str:
    """How long the arrow is over the steps, with a line at the step that is shown."""
    highest, last = max(*strengths, 1e-9), max(1, len(strengths) - 1)
    line = " ".join(
        f"{10 + 280 * place / last:.1f},{60 - 52 * value / highest:.1f}" for place, value in enumerate(strengths)
    )
    return (
        '<svg viewBox="0 0 300 78" role="img" aria-label="length of the arrow of guidance over the steps">'
        f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="2"/>'
        '<line class="now" x1="10" x2="10" y1="4" y2="62"/>'
        '<text x="10" y="75">noise</text><text x="150" y="75" text-anchor="middle">length of the arrow</text>'
        '<text x="290" y="75" text-anchor="end">picture</text></svg>'
    )
