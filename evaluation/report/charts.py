"""Small SVG charts: a metric against guidance scale, and distance against fit; 95 % intervals. Text stays text."""

from __future__ import annotations

import html
import math

import pandas as pd

from .pareto import Front

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


def front_chart(front: Front) -> str:
    """Distance (upwards) against fit (to the right), a labelled point a scale; hollow where another scale beats it."""
    points = front.points

    def bounds(name: str) -> tuple[float, float]:
        known = pd.concat([points[f"{part}_{name}"] for part in ("value", "low", "high")]).dropna()
        margin = 0.1 * (known.max() - known.min()) or 1.0
        return known.min() - margin, known.max() + margin

    (left, right), (low, high) = bounds("fit"), bounds("distance")

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - left) / (right - left)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    words = '<tspan class="quiet">lower right is better</tspan>'
    parts = [f'<text x="{LEFT}" y="16" class="title">{front.distance} and {front.fit} {words}</text>']
    for value in _ticks(low, high):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for value in _ticks(left, right):
        parts.append(f'<text x="{x(value):.1f}" y="{HEIGHT - 20}" text-anchor="middle">{value:.4g}</text>')
    path = " ".join(f"{x(row.value_fit):.1f},{y(row.value_distance):.1f}" for row in points.itertuples())
    parts.append(f'<polyline points="{path}" class="curve"/>')
    labels: list[tuple[float, float]] = []
    for scale, row in points.iterrows():
        across, down = x(row["value_fit"]), y(row["value_distance"])
        for ends in (("low_fit", "high_fit"), ("low_distance", "high_distance")):
            if pd.notna(row[ends[0]]):
                one, two = row[ends[0]], row[ends[1]]
                at = (x(one), x(two), down, down) if ends[0] == "low_fit" else (across, across, y(one), y(two))
                parts.append('<line x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}" class="bar"/>'.format(*at))
        hollow = ' class="hollow"' if scale in front.dominated else ""
        knee = " (knee)" if scale == front.knee else ""
        parts.append(f'<circle cx="{across:.1f}" cy="{down:.1f}" r="4"{hollow}/>')
        # What is dominated lies up and to the left of its betters: its label keeps out of their way.
        left_or_right, step, anchor = (across - 7, 13, ' text-anchor="end"') if hollow else (across + 7, -13, "")
        height = down + step / 2
        while any(abs(left_or_right - x) < 70 and abs(height - y) < 11 for x, y in labels):
            height += step
        labels.append((left_or_right, height))
        parts.append(f'<text x="{left_or_right:.1f}" y="{height:.1f}"{anchor}>w = {scale:g}{knee}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle" class="quiet">{front.fit}</text>'
    )
    label = f'role="img" aria-label="{front.distance} against {front.fit}, a point for each guidance scale"'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" {label}>{"".join(parts)}</svg>'


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round values (1, 2 or 5 times a power of ten apart) within an interval."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda factor: abs(factor * power - rough))
    return [step * index for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
