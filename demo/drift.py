"""What is left of a picture that goes through an autoencoder again and again."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from evaluation.metrics.reconstruction import psnr
from ldm_core.autoencoder import Autoencoder
from ldm_core.images import rounded, to_pil

from .error_maps import PATCH, levels_off, worst_patch
from .figures import decibels, enlarged, figure, picture_source

TRIPS = 10
SIDE = 256  # pixels, longer side: ten trips then cost about as much as one of a whole photo
SHOWN = (1, 2, 3, 5, 10)  # trips of which there is a picture
COLOURS = ("#0d9488", "#d97706", "#8b5cf6", "#db2777", "#3b82f6", "#65a30d")  # told apart on light and dark
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 210, 40, 110, 12, 34


@dataclass
class Drift:
    """The picture (3, H, W) in [0, 1], what each trip has left of it, and that one's PSNR to the first in dB."""

    image: Tensor
    after: list[Tensor] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)

    def go_on(self, autoencoder: Autoencoder, sampled: bool) -> Iterator[int]:
        """TRIPS trips, each from what the last has left, rounded to 8 bits as files hold it; yields how many are done."""
        for trip in range(1, TRIPS + 1):
            generator = torch.Generator(autoencoder.device).manual_seed(trip) if sampled else None
            before = (self.after or [self.image])[-1][None]
            rebuilt = rounded(autoencoder.decode(autoencoder.encode(before, sampled, generator)))
            self.after.append(rebuilt[0])
            self.psnr.append(float(psnr(self.image[None], rebuilt)))
            yield trip


def drift_html(drifts: Mapping[str, Drift]) -> str:
    """A curve for each, and the square that suffers most, after some of the trips."""
    rows = "".join(
        f"<h5>{html.escape(name)}</h5><div class='row strip'>{_strip(name, drift)}</div>"
        for name, drift in drifts.items()
    )
    return (
        f"<h4>Drift: {TRIPS} round trips</h4><p>What comes out goes in again, as happens to a picture that is edited many times. "
        f"The photo has {SIDE} pixels here, along its longer side.</p>{curve_svg({n: d.psnr for n, d in drifts.items()})}{rows}"
    )


def _strip(name: str, drift: Drift) -> str:
    top, left = worst_patch(levels_off(drift.image, drift.after[-1]))
    area = (slice(None), slice(top, top + PATCH), slice(left, left + PATCH))
    shown = [("before", drift.image)]
    for trip in SHOWN:
        words = f"after {trip}: {decibels(drift.psnr[trip - 1])} dB"
        shown.append((words, drift.after[trip - 1]))
    return "".join(
        figure(picture_source(enlarged(to_pil(image[area]), 2)), words, f"a square of the photo by {name}, {words}")
        for words, image in shown
    )


def curve_svg(curves: Mapping[str, list[float]]) -> str:
    """PSNR over the trips; what stays identical to the last bit has no number, and no point."""
    known = [value for values in curves.values() for value in values if math.isfinite(value)]
    if not known:
        return "<p>Nothing was lost: every trip gives the same picture.</p>"
    low, high = math.floor(min(known) - 0.5), math.ceil(max(known) + 0.5)

    def place(trip: int, value: float) -> tuple[float, float]:
        across = LEFT + (trip - 1) / (TRIPS - 1) * (WIDTH - LEFT - RIGHT)
        return across, TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [_axis(place(1, low)[1], place(1, high)[1], low, high)]
    ends: list[float] = []
    for (name, values), colour in zip(curves.items(), COLOURS * len(curves)):
        points = [place(trip, value) for trip, value in enumerate(values, 1) if math.isfinite(value)]
        if not points:
            continue
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        label = _free(points[-1][1], ends)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{label + 4:.1f}">{html.escape(name[:18])}</text>')
        parts.append(f'<circle cx="{WIDTH - RIGHT}" cy="{points[-1][1]:.1f}" r="3.5" fill="{colour}"/>')
    said = "; ".join(f"{name} from {decibels(v[0])} to {decibels(v[-1])} dB" for name, v in curves.items())
    words = html.escape(f"PSNR over {TRIPS} round trips: {said}")
    return f'<svg class="drift" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}">{"".join(parts)}</svg>'


def _axis(bottom: float, top: float, low: int, high: int) -> str:
    right, under = WIDTH - RIGHT, HEIGHT - 6
    return (
        f'<path d="M{LEFT} {top}V{bottom}H{right}" fill="none" stroke="currentColor" opacity=".5"/>'
        f'<text x="{LEFT - 6}" y="{bottom + 4}" text-anchor="end">{low}</text>'
        f'<text x="{LEFT - 6}" y="{top + 8}" text-anchor="end">{high}</text>'
        f'<text x="{LEFT + 6}" y="{top + 8}">PSNR, dB</text>'
        f'<text x="{LEFT}" y="{under}">1</text><text x="{right}" y="{under}" text-anchor="end">{TRIPS} round trips</text>'
    )


def _free(wanted: float, taken: list[float]) -> float:
    """Where a label stands near its line and not on another label."""
    while any(abs(wanted - other) < 13 for other in taken):
        wanted += 3
    taken.append(wanted)
    return wanted
