"""Guidance over time as the page offers it: its names, the settings that each stands for, its curve."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ldm_core import guidance
from ldm_core.settings import SamplingSettings

# "interval" cost the embedded model of before a fifth fewer network rows and no accuracy (docs/speed.md); the one of now, half of
# whose steps lie above 0.8, loses things by it.
OVER_TIME: dict[str, dict[str, Any]] = {
    name: {"guidance_schedule": name, "guidance_interval": None} for name in guidance.SCHEDULES
} | {"interval": {"guidance_schedule": "constant", "guidance_interval": (0.2, 0.8)}}


def choice() -> gr.Dropdown:
    """The input."""
    return gr.Dropdown(
        list(OVER_TIME),
        value="constant",
        label="Guidance over time",
        info="interval: none while the layout forms, and none at the end",
    )


def name_of(settings: SamplingSettings) -> str | None:
    """The name that stands for a picture's guidance over time, if the page has one."""
    return next((name for name, own in OVER_TIME.items() if settings.replaced(**own) == settings), None)


def curve_svg(name: str) -> str:
    """The weight over time for w = 4, noise at the left, as a small drawing."""
    schedule, interval = OVER_TIME[name]["guidance_schedule"], OVER_TIME[name]["guidance_interval"]
    points = [(t / 80, guidance.weight(4.0, 1 - t / 80, schedule, interval)) for t in range(81)]
    line = " ".join(f"{10 + 180 * x:.1f},{62 - 7 * w:.1f}" for x, w in points)
    return (
        '<svg class="curve" viewBox="0 0 200 78" role="img" aria-label="guidance weight over time">'
        f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="2"/>'
        '<text x="10" y="75">noise</text><text x="190" y="75" text-anchor="end">picture</text></svg>'
    )
