"""An anti-aliased canvas: outlines of any form painted by their coverage of each pixel, with soft gradients.

Positions are fractions of the picture: x from 0 (left) to 1 (right), y from 0 (top) to 1 (bottom). Colours are 0 to 255.
Only additions, multiplications, divisions and square roots are used, in an order that does not depend on the machine;
trigonometry and fused library routines would, so a picture here has the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Colour = tuple[float, float, float]
LINES = 4  # scan lines a pixel row; along a line the coverage is exact


class Canvas:
    """A square picture being painted: `pixels` is float32 (size, size, 3) in [0, 255].

    With `owners` > 0 it also keeps whose each pixel is: `owned` is float32 (owners, size, size), the share of a pixel
    that an owner's paint covers and nobody painted over; `whole` the same as if nobody had painted over it.
    """

    def __init__(self, size: int, owners: int = 0):
        if isinstance(size, bool) or not isinstance(size, int) or not 16 <= size <= 4096:
            raise ValueError(f"size must be an integer from 16 to 4096 pixels, got {size!r}")
        self.size = size
        self.pixels = np.zeros((size, size, 3), dtype=np.float32)
        self.centres = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
        self.owned = np.zeros((owners, size, size), dtype=np.float32)
        self.whole = np.zeros((owners, size, size), dtype=np.float32)
        self.owner: int | None = None  # whose paint it is: None is the background's, which owns nothing

    def to_uint8(self) -> np.ndarray:
        """The picture as uint8 (size, size, 3), rounded once."""
        return np.rint(np.clip(self.pixels, 0, 255)).astype(np.uint8)

    def rows(self, stops: Sequence[tuple[float, Colour]], top: float = 0.0, bottom: float = 1.0) -> None:
        """Fill the rows between top and bottom with colours interpolated between stops (fraction, colour)."""
        first, last = max(round(top * self.size), 0), min(round(bottom * self.size), self.size)
        where = (self.centres[first:last] - top) / (bottom - top)
        positions = [position for position, _ in stops]
        for channel in range(3):
            values = [colour[channel] for _, colour in stops]
            self.pixels[first:last, :, channel] = np.interp(where, positions, values)[:, None]

    def glow(self, x: float, y: float, rx: float, ry: float, colour: Colour, alpha: float) -> None:
        """Light (or shadow) that fades from alpha at (x, y) to nothing at an ellipse. It belongs to the background."""
        first, last = max(int((y - ry) * self.size), 0), min(int((y + ry) * self.size) + 2, self.size)
        left, right = max(int((x - rx) * self.size), 0), min(int((x + rx) * self.size) + 2, self.size)
        if first >= last or left >= right:
            return
        across = (self.centres[left:right] - np.float32(x)) / np.float32(rx)
        down = (self.centres[first:last] - np.float32(y)) / np.float32(ry)
        fade = np.clip(1 - (down[:, None] ** 2 + across[None, :] ** 2), 0, 1)
        part = self.pixels[first:last, left:right]
        part += (fade * fade * np.float32(alpha))[:, :, None] * (np.float32(colour) - part)

    def fill(
        self,
        points: np.ndarray,
        colour: Colour,
        end: Colour | None = None,
        alpha: float = 1.0,
        slant: float = 0.5,
        inside: Coverage | None = None,
    ) -> Coverage | None:
        """Paint the inside of an outline (n, 2), from `colour` (above left) to `end` (below right).

        `slant` is the gradient's direction, 0 straight down to 1 straight to the right. `inside` keeps the paint
        within an outline painted before. Returns the coverage, for paint inside this one; None if nothing is in view.
        """
        coverage = self.coverage(points)
        if coverage is None or (inside is not None and not coverage.keep_within(inside)):
            return None
        first, left = coverage.first, coverage.left
        height, width = coverage.share.shape
        part = self.pixels[first : first + height, left : left + width]
        weight = coverage.share * np.float32(alpha) if alpha != 1.0 else coverage.share
        paint = np.float32(colour) if end is None else self._gradient(coverage, colour, end, slant)
        part += weight[:, :, None] * (paint - part)
        if len(self.owned):
            self._own(first, left, weight)
        return coverage

    def coverage(self, points: np.ndarray) -> Coverage | None:
        """Which share of each pixel an outline covers; outlines may be concave and may turn either way."""
        xs = points[:, 0] * self.size
        ys = points[:, 1] * (self.size * LINES)
        first, last = max(int(float(ys.min())) // LINES, 0), min(int(float(ys.max())) // LINES + 1, self.size)
        left, right = max(int(float(xs.min())), 0), min(int(float(xs.max())) + 1, self.size)
        if first >= last or left >= right or ys.max() <= 0 or xs.max() <= 0:
            return None
        x, line, turn = _crossings(xs, ys, first * LINES, last * LINES)
        width = right - left
        x = np.clip(x - left, 0.0, width)
        column = x.astype(np.int64)
        beyond = x - column
        row = (line // LINES - first) * (width + 2) + column
        size = (last - first) * (width + 2)
        steps = np.bincount(row, turn * (1.0 - beyond), size) + np.bincount(row + 1, turn * beyond, size)
        share = np.cumsum(steps.reshape(last - first, width + 2), axis=1)[:, :width]
        share = np.minimum(np.abs(share) * (1.0 / LINES), 1.0).astype(np.float32)
        return Coverage(share, first, left, float(points[:, 0].min()), float(points[:, 0].max()),
                        float(points[:, 1].min()), float(points[:, 1].max()))  # fmt: skip

    def _gradient(self, coverage: Coverage, colour: Colour, end: Colour, slant: float) -> np.ndarray:
        """The paint of each pixel of a coverage: (height, width, 3) float32."""
        height, width = coverage.share.shape
        x = self.centres[coverage.left : coverage.left + width]
        y = self.centres[coverage.first : coverage.first + height]
        across = (x - coverage.x0) * np.float32(slant / max(coverage.x1 - coverage.x0, 1e-6))
        down = (y - coverage.y0) * np.float32((1 - slant) / max(coverage.y1 - coverage.y0, 1e-6))
        start = np.float32(colour)
        change = np.float32(end) - start
        return (start + down[:, None] * change)[:, None, :] + (across[:, None] * change)[None, :, :]

    def _own(self, first: int, left: int, weight: np.ndarray) -> None:
        height, width = weight.shape
        part = self.owned[:, first : first + height, left : left + width]
        part *= 1 - weight
        if self.owner is not None:
            part[self.owner] += weight
            whole = self.whole[self.owner, first : first + height, left : left + width]
            whole += weight * (1 - whole)


class Coverage:
    """The share of each pixel that an outline covers, float32, from row `first` and column `left`, and its extent."""

    def __init__(self, share: np.ndarray, first: int, left: int, x0: float, x1: float, y0: float, y1: float):
        self.share, self.first, self.left = share, first, left
        self.x0, self.x1, self.y0, self.y1 = x0, x1, y0, y1

    def keep_within(self, other: Coverage) -> bool:
        """Cut this down to what lies within the other; False if nothing does."""
        first, left = max(self.first, other.first), max(self.left, other.left)
        last = min(self.first + self.share.shape[0], other.first + other.share.shape[0])
        right = min(self.left + self.share.shape[1], other.left + other.share.shape[1])
        if first >= last or left >= right:
            return False
        mine = self.share[first - self.first : last - self.first, left - self.left : right - self.left]
        theirs = other.share[first - other.first : last - other.first, left - other.left : right - other.left]
        self.share, self.first, self.left = mine * theirs, first, left
        return True


def _crossings(xs: np.ndarray, ys: np.ndarray, first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where an outline's edges cross the scan lines [first, last): x, line and direction (1 or -1) of each crossing."""
    x1, y1 = np.roll(xs, -1), np.roll(ys, -1)
    down = y1 > ys
    turn = np.where(down, 1.0, -1.0)
    top_x, top_y = np.where(down, xs, x1), np.where(down, ys, y1)
    low_x, low_y = np.where(down, x1, xs), np.where(down, y1, ys)
    start = np.clip(np.ceil(top_y - 0.5), first, last).astype(np.int64)
    stop = np.clip(np.ceil(low_y - 0.5), first, last).astype(np.int64)
    counts = stop - start
    slope = (low_x - top_x) / np.maximum(low_y - top_y, 1e-9)
    edge = np.repeat(np.arange(len(xs)), counts)
    line = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + start[edge]
    return top_x[edge] + (line + 0.5 - top_y[edge]) * slope[edge], line, turn[edge]
