"""One small SVG chart a metric: value against guidance scale, with its 95 % interval. Text stays text."""

from __future__ import annotations

import html
import math

import pandas as pd

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360, 220, 52, 14, 30, 36


def chart(rows: pd.DataFrame, metric: str, higher_is_better: bool, line: float | None = None) -> str:
    """Rows with guidance_scale, value, low, high -> an <svg>; `line` is drawn across, a ceiling."""
    rows = rows.dropna(subset=["value"]).sort_values("guidance_scale")
    known = [*rows["value"], *rows["low"].dropna(), *rows["high"].dropna(), *([line] if line is not None else [])]
    low, high = min(known), max(known)
    margin = 0.08 * (high - low) or 1.0
    low, high = low - margin, high + margin
    scales = list(rows["guidance_scale"])

    def x(index: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (index + 0.5) / len(scales)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    arrow = "higher is better" if higher_is_better else "lower is better"
    parts = [f'<text x="{LEFT}" y="16" class="title">{html.escape(metric)} <tspan class="quiet">{arrow}</tspan></text>']
    for value in _ticks(low, high):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    if line is not None:
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(line):.1f}" y2="{y(line):.1f}" class="ceiling"/>')
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{y(line) - 4:.1f}" text-anchor="end" class="quiet">ceiling</text>')
    points = " ".join(f"{x(index):.1f},{y(value):.1f}" for index, value in enumerate(rows["value"]))
    parts.append(f'<polyline points="{points}" class="curve"/>')
    for index, (scale, value, bottom, top) in enumerate(zip(scales, rows["value"], rows["low"], rows["high"])):
        if pd.notna(bottom):
            parts.append(
                f'<line x1="{x(index):.1f}" x2="{x(index):.1f}" y1="{y(bottom):.1f}" y2="{y(top):.1f}" class="bar"/>'
            )
        parts.append(
            f'<circle cx="{x(index):.1f}" cy="{y(value):.1f}" r="3.5"><title>w = {scale:g}: {value:.4g}</title></circle>'
        )
        parts.append(f'<text x="{x(index):.1f}" y="{HEIGHT - 20}" text-anchor="middle">{scale:g}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle" class="quiet">guidance scale w</text>'
    )
    label = f'role="img" aria-label="{html.escape(metric)} against guidance scale"'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" {label}>{"".join(parts)}</svg>'


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round values (1, 2 or 5 times a power of ten apart) within an interval."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda factor: abs(factor * power - rough))
    return [step * index for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
