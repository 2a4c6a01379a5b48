"""What a kind is made of: parts (outlines with a paint) in looks (poses, models), and the entry that holds them.

Outlines are written in a look's own units: x to the right from 0 to its width, y down from 0 to its height, where it
stands. Curves are flattened once, when an entry is read; no trigonometry, so that they are the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .outlines import Outlines

_QUARTER = [((1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)) for t in (k / 12 for k in range(12))]  # of the unit circle
_CIRCLE = np.array(
    _QUARTER + [(-y, x) for x, y in _QUARTER] + [(-x, -y) for x, y in _QUARTER] + [(y, -x) for x, y in _QUARTER]
)


@dataclass(frozen=True)
class Part:
    """An outline (n, 2) in units and its paint.

    A paint is "#rrggbb", or a slot that the thing fills: "c" is its colour, others ("skin", "hair") are the entry's. A
    sign after it means darker ("c-", "c--") or lighter ("c+"), "c!" a contrast to the colour. `inside` keeps the part
    within the last one that was not so kept; `flat` does without the gradient.
    """

    points: np.ndarray
    paint: str
    inside: bool = False
    alpha: float = 1.0
    flat: bool = False


@dataclass(frozen=True)
class Look:
    """One way to draw a kind: its size in units, its parts from back to front, and points where others attach.

    Anchors: "hand" (where a person holds), "grip" (by what it is held), "seat" (where one sits, and what one sits
    with), "top" with "top_width" (where something can stand on it, and how wide that is).
    """

    width: float
    height: float
    parts: tuple[Part, ...]
    anchors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    poses: tuple[str, ...] = ("standing",)  # for what a layout may ask: "standing", "sitting", "flying", ...

    @cached_property
    def outlines(self) -> Outlines:
        """The outlines of all its parts, to be painted together."""
        return Outlines.of([part.points for part in self.parts])


@dataclass(frozen=True)
class Kind:
    """An entry: a kind's looks, its height beside other things (a man is 1.7), and the colours of its slots.

    `shadow` is the width of its shadow on the ground, as a share of its own width; 0 for what does not stand. `slots`
    are choices, of which each thing takes one. `names` say what each look is, where words differ: "girl", "sailboat".
    """

    name: str
    tall: float
    looks: tuple[Look, ...]
    shadow: float = 0.9
    slots: tuple[Mapping[str, str], ...] = ({},)
    names: tuple[str, ...] = ()
    natural: str = "#000000"  # the paint of slot "c" when the thing has no colour

    def name_of(self, look: Look) -> str:
        """What a look of it is called, or "" where it has no word of its own."""
        return next((name for mine, name in zip(self.looks, self.names) if mine is look), "")


def E(cx: float, cy: float, rx: float, ry: float, paint: str, **how: Any) -> Part:
    """An ellipse around (cx, cy)."""
    return Part(_CIRCLE * (rx, ry) + (cx, cy), paint, **how)


def R(x0: float, y0: float, x1: float, y1: float, radius: float, paint: str, **how: Any) -> Part:
    """A rectangle with round corners."""
    radius = min(radius, (x1 - x0) / 2, (y1 - y0) / 2)
    if radius <= 0:
        return Part(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=float), paint, **how)
    n = len(_QUARTER)
    corners = [
        _CIRCLE[k * n : (k + 1) * n + 1] if k < 3 else np.vstack([_CIRCLE[k * n :], _CIRCLE[:1]]) for k in range(4)
    ]
    centres = (
        (x1 - radius, y1 - radius),
        (x0 + radius, y1 - radius),
        (x0 + radius, y0 + radius),
        (x1 - radius, y0 + radius),
    )
    return Part(np.vstack([corner * radius + centre for corner, centre in zip(corners, centres)]), paint, **how)


def arch(cx: float, cy: float, outer: float, inner: float, paint: str, **how: Any) -> Part:
    """The upper half of a ring around (cx, cy)."""
    half = _CIRCLE[2 * len(_QUARTER) :]  # from the left over the top to the right, y being down
    half = np.vstack([half, _CIRCLE[:1]])
    return Part(np.vstack([half * outer, half[::-1] * inner]) + (cx, cy), paint, **how)


def ring(cx: float, cy: float, outer: float, inner: float, paint: str, **how: Any) -> Part:
    """A ring around (cx, cy): one circle one way round, the other the other, joined by a cut."""
    closed = np.vstack([_CIRCLE, _CIRCLE[:1]])
    return Part(np.vstack([closed * outer, closed[::-1] * inner]) + (cx, cy), paint, **how)


def P(points: str, paint: str, **how: Any) -> Part:
    """A polygon: "x y x y ...", concave or not."""
    return Part(_points(points), paint, **how)


def B(points: str, paint: str, **how: Any) -> Part:
    """A smooth closed outline through the points."""
    return Part(_smooth(_points(points), closed=True), paint, **how)


def S(points: str, width: float, paint: str, end: float | None = None, smooth: bool = True, **how: Any) -> Part:
    """A stroke with round ends along the points, as wide as `width` and, at the far end, as `end`."""
    line = _points(points)
    if smooth and len(line) > 2:
        line = _smooth(line, closed=False)
    return Part(_outline(line, width, width if end is None else end), paint, **how)


def mirrored(points: np.ndarray, width: float) -> np.ndarray:
    """An outline seen in a mirror, within the same box."""
    return np.column_stack([width - points[:, 0], points[:, 1]])


def moved(parts: tuple[Part, ...] | list[Part], dx: float, dy: float, scale: float = 1.0) -> list[Part]:
    """Parts elsewhere or at another scale, for entries built of smaller ones."""
    return [Part(part.points * scale + (dx, dy), part.paint, part.inside, part.alpha, part.flat) for part in parts]


def curve(text: str) -> np.ndarray:
    """The points (n, 2) of a smooth open line through "x y x y ..."."""
    return _smooth(_points(text), closed=False)


def _points(text: str) -> np.ndarray:
    return np.array([float(word) for word in text.replace(",", " ").split()]).reshape(-1, 2)


def _smooth(points: np.ndarray, closed: bool, steps: int = 6) -> np.ndarray:
    """A Catmull-Rom curve through the points."""
    if closed:
        before, after, after2 = np.roll(points, 1, 0), np.roll(points, -1, 0), np.roll(points, -2, 0)
        here = points
    else:
        padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
        before, here, after, after2 = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = (np.arange(steps) / steps)[None, :, None]
    p0, p1, p2, p3 = (p[:, None, :] for p in (before, here, after, after2))
    curve = 0.5 * (
        2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t * t + (3 * p1 - p0 - 3 * p2 + p3) * t * t * t
    )
    curve = curve.reshape(-1, 2)
    return curve if closed else np.vstack([curve, points[-1]])


def _outline(line: np.ndarray, width: float, end: float) -> np.ndarray:
    """The outline of a stroke along a line, its ends round."""
    steps = np.vstack([line[1:] - line[:-1], line[-1:] - line[-2:-1]])
    middle = steps.copy()
    middle[1:-1] = steps[1:-1] + steps[:-2]
    lengths = np.array([max(math.sqrt(dx * dx + dy * dy), 1e-9) for dx, dy in middle])
    along = middle / lengths[:, None]
    across = np.column_stack([-along[:, 1], along[:, 0]])
    half = (width + (end - width) * np.arange(len(line)) / (len(line) - 1))[:, None] / 2
    one, other = line + across * half, line - across * half
    arc = [(c, s) for c, s in _QUARTER[1:]] + [(-s, c) for c, s in _QUARTER]
    far = [other[-1] * 0 + line[-1] + half[-1] * (c * across[-1] + s * along[-1]) for c, s in arc]
    near = [line[0] + half[0] * (-c * across[0] - s * along[0]) for c, s in arc]
    return np.vstack([one, far, other[::-1], near])
