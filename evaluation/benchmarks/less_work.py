"""What it costs in quality to call the network less: a limited guidance interval beside full guidance, on the same
held-out prompts and seeds.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ldm_core.settings import SamplingSettings

from ..config import RunConfig
from ..held_out_prompts import held_out_prompts
from ..report import tables
from ..runner import Run
from ..worlds import DRAWN_WORLD

VARIANTS: dict[str, dict[str, object]] = {
    "full guidance": {},
    "interval 0.1,0.9": {"guidance_interval": (0.1, 0.9)},
    "interval 0.2,0.8": {"guidance_interval": (0.2, 0.8)},
    "interval 0.3,1": {"guidance_interval": (0.3, 1.0)},
}
METRICS = ("scene_accuracy", "fd_scenes")


def less_work_suite(device: str | None, count: int, out: Path, scale: float = 4.0) -> list[tuple[str, str]]:
    """A row for each way; runs are kept in `out` and resumed from there."""
    out.mkdir(parents=True, exist_ok=True)
    prompts, file = held_out_prompts(DRAWN_WORLD, count, out)
    base = RunConfig(file, model="scenes", guidance_scales=(scale,), device=device, metrics=METRICS)
    rows = []
    for name, change in VARIANTS.items():
        config = dataclasses.replace(base, out=out / name.replace(" ", "-"), settings=SamplingSettings.of(**change))
        results = Run(config, prompts).carry_out()
        assert results is not None, "one process"
        calls = results.cost["network_calls_per_image"].dropna().iloc[0]
        found = tables.side_by_side(results.summary)[f"w = {scale:g}"]
        measured = "; ".join(f"{metric} {found[metric]}" for metric in METRICS)
        rows.append((f"w = {scale:g}, {name}", f"{calls:.1f} network rows an image; {measured}"))
    return rows
