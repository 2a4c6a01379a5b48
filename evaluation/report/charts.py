"""Small SVG charts: a metric against an axis, and distance against fit; 95 % intervals. Text stays text."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from ..condition import condition_label, shown
from .pareto import ParetoFront

LABELLED = 6  # conditions that a chart names, all of them
LETTERS = 11  # pixels of a line of text
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360, 220, 52, 14, 30, 36


def chart(
    rows: pd.DataFrame,
    metric: str,
    higher_is_better: bool,
    line: float | None = None,
    axis: str = "guidance_scale",
    others: Sequence[str] = (),
) -> str:
    """Rows with an axis, value, low, high -> an <svg>, a curve for each value of the other axes; `line` is drawn across,
    a ceiling."""
    rows = rows.dropna(subset=["value"])
    known = [*rows["value"], *rows["low"].dropna(), *rows["high"].dropna(), *([line] if line is not None else [])]
    low, high = min(known), max(known)
    margin = 0.08 * (high - low) or 1.0
    low, high = low - margin, high + margin
    places = _in_order(rows[axis])

    def x(value: object) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (places.index(value) + 0.5) / len(places)

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
    curves = [part for _, part in rows.groupby(list(others), sort=False)] if others else [rows]
    if others:
        names = html.escape(", ".join(others))
        parts.append(f'<text x="{WIDTH - RIGHT}" y="16" text-anchor="end" class="quiet">curves: {names}</text>')
    for number, curve in enumerate(curves):
        parts += _curve(curve, axis, others, x, y, number / max(1, len(curves) - 1))
    parts += _curve_labels(curves, axis, others, x, y) if others else []
    for value in places:
        words = html.escape(shown(value))
        parts.append(f'<text x="{x(value):.1f}" y="{HEIGHT - 20}" text-anchor="middle">{words}</text>')
    title = "guidance scale w" if axis == "guidance_scale" else axis
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle" class="quiet">{html.escape(title)}</text>'
    )
    label = f'role="img" aria-label="{html.escape(metric)} against {html.escape(title)}"'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" {label}>{"".join(parts)}</svg>'


def _curve(
    rows: pd.DataFrame,
    axis: str,
    others: Sequence[str],
    x: Callable[[object], float],
    y: Callable[[float], float],
    shade: float,
) -> list[str]:
    """One curve with its points and intervals; the further in its order, the paler."""
    rows = rows.iloc[np.argsort([x(value) for value in rows[axis]], kind="stable")]
    points = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in zip(rows[axis], rows["value"]))
    parts = [f'<g style="opacity:{1 - 0.65 * shade:.2f}"><polyline points="{points}" class="curve"/>']
    for place, (_, row) in zip(rows[axis], rows.iterrows()):
        if pd.notna(row["low"]):
            ends = f'y1="{y(row["low"]):.1f}" y2="{y(row["high"]):.1f}"'
            parts.append(f'<line x1="{x(place):.1f}" x2="{x(place):.1f}" {ends} class="bar"/>')
        words = html.escape(condition_label({name: row[name] for name in (axis, *others)}))
        where = f'cx="{x(place):.1f}" cy="{y(row["value"]):.1f}"'
        parts.append(f'<circle {where} r="3.5"><title>{words}: {row["value"]:.4g}</title></circle>')
    return [*parts, "</g>"]


def _curve_labels(
    curves: Sequence[pd.DataFrame],
    axis: str,
    others: Sequence[str],
    x: Callable[[object], float],
    y: Callable[[float], float],
) -> list[str]:
    """Each curve's value on the other axes, behind its last point; none over another."""
    ends = []
    for curve in curves:
        row = curve.iloc[int(np.argmax([x(value) for value in curve[axis]]))]
        ends.append((x(row[axis]), y(row["value"]), row))
    parts, lowest = [], -math.inf
    for across, down, row in sorted(ends, key=lambda end: end[1]):
        lowest = max(down, lowest + LETTERS)
        words = ", ".join(shown(row[name]) for name in others)
        at = min(across + 6, WIDTH - 2 - 5.5 * len(words))
        parts.append(f'<text x="{at:.1f}" y="{lowest + 4:.1f}" class="quiet">{html.escape(words)}</text>')
    return parts


def _in_order(values: pd.Series) -> list:
    """The distinct values of an axis: numbers rising, words as they came."""
    distinct = list(dict.fromkeys(values))
    return sorted(distinct) if pd.api.types.is_numeric_dtype(values) else distinct


def difference_chart(rows: pd.DataFrame, metric: str, higher_is_better: bool, name: str, plain: str) -> str:
    """Rows with a name, difference, low, high -> an <svg>: a line down the page each, its interval across, 0 is `plain`;
    hollow where 0 is in the interval."""
    rows = rows.dropna(subset=["difference"])
    known = [0.0, *rows["difference"], *rows["low"].dropna(), *rows["high"].dropna()]
    margin = 0.08 * (max(known) - min(known)) or 1.0
    low, high, left = min(known) - margin, max(known) + margin, LEFT + 60
    height = TOP + BOTTOM + 18 * len(rows)

    def x(value: float) -> float:
        return left + (WIDTH - left - RIGHT) * (value - low) / (high - low)

    arrow = f"minus {plain}; {'right' if higher_is_better else 'left'} is better"
    parts = [
        f'<text x="8" y="16" class="title">{html.escape(metric)} <tspan class="quiet">{html.escape(arrow)}</tspan></text>'
    ]
    for value in _ticks(low, high):
        parts.append(f'<text x="{x(value):.1f}" y="{height - 18}" text-anchor="middle">{value:.4g}</text>')
    parts.append(f'<line x1="{x(0):.1f}" x2="{x(0):.1f}" y1="{TOP}" y2="{height - BOTTOM}" class="ceiling"/>')
    for number, (_, row) in enumerate(rows.iterrows()):
        y = TOP + 18 * number + 9
        parts.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{html.escape(shown(row[name]))}</text>')
        tied = pd.isna(row["low"]) or row["low"] <= 0 <= row["high"]
        if pd.notna(row["low"]):
            parts.append(f'<line x1="{x(row["low"]):.1f}" x2="{x(row["high"]):.1f}" y1="{y}" y2="{y}" class="bar"/>')
        kind = ' class="hollow"' if tied else ""
        parts.append(f'<circle cx="{x(row["difference"]):.1f}" cy="{y}" r="4"{kind}/>')
    label = f'role="img" aria-label="{html.escape(metric)}: differences from {html.escape(plain)}"'
    return f'<svg viewBox="0 0 {WIDTH} {height}" {label}>{"".join(parts)}</svg>'


def front_chart(front: ParetoFront) -> str:
    """Distance (upwards) against fit (to the right), a labelled point a condition; hollow where another beats it.

    Few conditions are joined as they come, and all named; of many the front alone is.
    """
    points, many = front.points, len(front.points) > LABELLED
    (left, right), (low, high) = (_bounds(points, name) for name in ("fit", "distance"))

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - left) / (right - left)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    parts = [f'<text x="{LEFT}" y="16" class="title">{front.distance} and {front.fit}</text>']
    for value in _ticks(low, high):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for value in _ticks(left, right):
        parts.append(f'<text x="{x(value):.1f}" y="{HEIGHT - 20}" text-anchor="middle">{value:.4g}</text>')
    joined = points.loc[front.best].sort_values("value_fit") if many else points
    path = " ".join(f"{x(row.value_fit):.1f},{y(row.value_distance):.1f}" for row in joined.itertuples())
    parts.append(f'<polyline points="{path}" class="curve"/>')
    labels: list[tuple[float, float]] = []
    for condition, row in points.iterrows():
        dominated = condition in front.dominated
        parts += _point(str(condition), row, x, y, dominated)
        if not (many and dominated):
            words = f"{condition} (knee)" if condition == front.knee else str(condition)
            parts.append(_label(words, x(row["value_fit"]), y(row["value_distance"]), dominated, labels))
    middle = f'x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle"'
    parts.append(f'<text {middle} class="quiet">{front.fit}; lower right is better</text>')
    label = f'role="img" aria-label="{front.distance} against {front.fit}, a point for each condition"'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" {label}>{"".join(parts)}</svg>'


def _bounds(points: pd.DataFrame, name: str) -> tuple[float, float]:
    """What an axis of the front's chart spans: every value and interval, and a little more."""
    known = pd.concat([points[f"{part}_{name}"] for part in ("value", "low", "high")]).dropna()
    margin = 0.1 * (known.max() - known.min()) or 1.0
    return known.min() - margin, known.max() + margin


def _point(
    condition: str, row: pd.Series, x: Callable[[float], float], y: Callable[[float], float], hollow: bool
) -> list[str]:
    """A condition's point and its two intervals."""
    across, down, parts = x(row["value_fit"]), y(row["value_distance"]), []
    if pd.notna(row["low_fit"]):
        ends = (x(row["low_fit"]), x(row["high_fit"]), down, down)
        parts.append('<line x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}" class="bar"/>'.format(*ends))
    if pd.notna(row["low_distance"]):
        ends = (across, across, y(row["low_distance"]), y(row["high_distance"]))
        parts.append('<line x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}" class="bar"/>'.format(*ends))
    kind = ' class="hollow"' if hollow else ""
    about = f"<title>{html.escape(condition)}</title>"
    return [*parts, f'<circle cx="{across:.1f}" cy="{down:.1f}" r="4"{kind}>{about}</circle>']


def _label(words: str, across: float, down: float, dominated: bool, placed: list[tuple[float, float]]) -> str:
    """A point's name where no other stands. What is dominated lies up and to the left of its betters, and its label there."""
    step, anchor = (13, ' text-anchor="end"') if dominated else (-13, "")
    at = across - 7 if dominated else across + 7
    if not dominated and at + 5.5 * len(words) > WIDTH:  # it would leave the chart
        at, anchor = across - 7, ' text-anchor="end"'
    height = down + step / 2
    while any(abs(at - x) < 5.5 * len(words) and abs(height - y) < 11 for x, y in placed):
        height += step
    placed.append((at, height))
    return f'<text x="{at:.1f}" y="{height:.1f}"{anchor}>{html.escape(words)}</text>'


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round values (1, 2 or 5 times a power of ten apart) within an interval."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda factor: abs(factor * power - rough))
    return [step * index for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
