"""A small anti-aliased canvas: convex shapes painted by their coverage of each pixel.

Positions are fractions of the picture: x from 0 (left) to 1 (right), y from 0 (top) to 1 (bottom). Colours are 0 to 255.
Only additions, multiplications, divisions and square roots are used, which IEEE 754 rounds the same way on every
machine; trigonometry and fused library routines do not, so a picture here has the same bytes everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..checks import check_whole

Colour = tuple[float, ...]  # red, green, blue
Point = tuple[float, float]


class Canvas:
    """A square picture being painted: `pixels` is float32 (size, size, 3) in [0, 255].

    With `owners` > 0 it also keeps whose each pixel is: `owned` is float32 (owners, size, size), the share of a pixel
    that an owner's paint covers and nobody painted over.
    """

    def __init__(self, size: int, owners: int = 0):
        size = check_whole("size", size, 16, 4096)  # pixels
        self.size = size
        self.pixels = np.zeros((size, size, 3), dtype=np.float32)
        self.centres = (np.arange(size, dtype=np.float32) + 0.5) / size
        self.owned = np.zeros((owners, size, size), dtype=np.float32)
        self.owner: int | None = None  # whose paint it is: None is the background's, which owns nothing

    def to_uint8(self) -> np.ndarray:
        """The picture as uint8 (size, size, 3), rounded once."""
        return np.rint(np.clip(self.pixels, 0, 255)).astype(np.uint8)

    def gradient(self, stops: Sequence[tuple[float, Colour]], top: float = 0.0, bottom: float = 1.0) -> None:
        """Fill the rows between top and bottom with colours interpolated between stops (fraction, colour)."""
        first, last = round(top * self.size), round(bottom * self.size)
        rows = (self.centres[first:last] - top) / (bottom - top)
        positions = [position for position, _ in stops]
        for channel in range(3):
            values = [colour[channel] for _, colour in stops]
            self.pixels[first:last, :, channel] = np.interp(rows, positions, values)[:, None]

    def polygon(self, points: Sequence[Point], colour: Colour, alpha: float = 1.0) -> None:
        """Paint a convex polygon, its corners given in either turning direction."""
        rows, columns = self._box(points)
        x, y = self.centres[columns][None, :], self.centres[rows][:, None]
        turn = 1.0 if _signed_area(points) > 0 else -1.0
        inside: np.ndarray | None = None
        for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]]):
            length = math.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2)
            if length == 0:
                continue
            scale = turn * self.size / length
            distance = (y - y0) * np.float32((x1 - x0) * scale) - (x - x0) * np.float32((y1 - y0) * scale)
            inside = distance if inside is None else np.minimum(inside, distance)
        if inside is not None:
            self._paint(rows, columns, inside + 0.5, colour, alpha)

    def rectangle(
        self, left: float, top: float, right: float, bottom: float, colour: Colour, alpha: float = 1.0
    ) -> None:
        """Paint an upright rectangle; its coverage is the product of the coverages of its two sides."""
        rows, columns = self._box([(left, top), (right, bottom)])
        x, y = self.centres[columns], self.centres[rows]
        across = np.clip(np.minimum(x - left, right - x) * self.size + 0.5, 0, 1)
        down = np.clip(np.minimum(y - top, bottom - y) * self.size + 0.5, 0, 1)
        self._paint(rows, columns, down[:, None] * across[None, :], colour, alpha)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour, alpha: float = 1.0) -> None:
        """Paint an upright ellipse with its centre at (x, y)."""
        rows, columns = self._box([(x - rx, y - ry), (x + rx, y + ry)])
        across = (self.centres[columns] - x) / rx
        down = (self.centres[rows] - y) / ry
        radius = np.sqrt(down[:, None] ** 2 + across[None, :] ** 2)
        self._paint(rows, columns, (1 - radius) * (min(rx, ry) * self.size) + 0.5, colour, alpha)

    def glow(self, x: float, y: float, radius: float, colour: Colour, alpha: float) -> None:
        """Light that fades from alpha at (x, y) to nothing at the radius. It belongs to what it falls on."""
        rows, columns = self._box([(x - radius, y - radius), (x + radius, y + radius)])
        across = (self.centres[columns] - x) / radius
        down = (self.centres[rows] - y) / radius
        fade = np.clip(1 - (down[:, None] ** 2 + across[None, :] ** 2), 0, 1)
        self._blend(rows, columns, _weight(fade * fade, alpha), colour)

    def below(self, heights: np.ndarray, colour: Colour, lower: Colour | None = None) -> None:
        """Paint everything under a skyline: heights (size,) are y per column; shades to `lower` at the bottom."""
        first = max(0, int(float(heights.min()) * self.size) - 1)
        rows, columns = slice(first, self.size), slice(0, self.size)
        y = self.centres[rows][:, None]
        top = float(heights.min())
        shade = np.clip((y - top) / max(1.0 - top, 1e-6), 0, 1)[:, :, None]
        paint = np.array(colour, np.float32)
        ground = paint + shade * (np.array(lower or colour, np.float32) - paint)
        coverage = np.clip((y - heights[None, :]) * self.size + 0.5, 0, 1)[:, :, None]
        self.pixels[rows, columns] += coverage * (ground - self.pixels[rows, columns])
        self.owned[:, rows, columns] *= 1 - coverage[:, :, 0]

    def _box(self, points: Sequence[Point]) -> tuple[slice, slice]:
        """The rows and columns that a shape with these outermost points can touch."""
        xs, ys = [x for x, _ in points], [y for _, y in points]
        first_row, last_row = int(min(ys) * self.size) - 1, int(max(ys) * self.size) + 2
        first_column, last_column = int(min(xs) * self.size) - 1, int(max(xs) * self.size) + 2
        return slice(max(first_row, 0), max(last_row, 0)), slice(max(first_column, 0), max(last_column, 0))

    def _paint(self, rows: slice, columns: slice, coverage: np.ndarray, colour: Colour, alpha: float) -> None:
        weight = _weight(coverage, alpha)
        self._blend(rows, columns, weight, colour)
        if len(self.owned):
            self.owned[:, rows, columns] *= 1 - weight[:, :, 0]
            if self.owner is not None:
                self.owned[self.owner, rows, columns] += weight[:, :, 0]

    def _blend(self, rows: slice, columns: slice, weight: np.ndarray, colour: Colour) -> None:
        part = self.pixels[rows, columns]
        part += weight * (np.array(colour, np.float32) - part)


def _weight(coverage: np.ndarray, alpha: float) -> np.ndarray:
    return (np.clip(coverage, 0, 1) * np.float32(alpha))[:, :, None].astype(np.float32)


def _signed_area(points: Sequence[Point]) -> float:
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]]))
