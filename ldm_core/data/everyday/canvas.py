"""An anti-aliased canvas: outlines of any form painted by their coverage of each pixel, with soft gradients.

Positions are fractions of the picture: x from 0 (left) to 1 (right), y from 0 (top) to 1 (bottom). Colours are 0 to 255.
Only additions, multiplications, divisions and square roots are used, in an order that does not depend on the machine;
trigonometry and fused library routines would, so a picture here has the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...checks import check_whole
from .outlines import Outlines

Colour = tuple[float, float, float]
LINES = 4  # scan lines a pixel row; along a line the coverage is exact


class Coverage:
    """The share of each pixel that an outline covers, float32, from row `first` and column `left`, and its extent."""

    def __init__(self, share: np.ndarray, first: int, left: int, extent: tuple[float, float, float, float]):
        self.share, self.first, self.left = share, first, left
        self.extent = extent  # left, top, right, bottom of the outline, in the picture and beyond it

    def within(self, other: Coverage) -> Coverage | None:
        """What of this lies within the other; None if nothing does."""
        first, left = max(self.first, other.first), max(self.left, other.left)
        last = min(self.first + self.share.shape[0], other.first + other.share.shape[0])
        right = min(self.left + self.share.shape[1], other.left + other.share.shape[1])
        if first >= last or left >= right:
            return None
        mine = self.share[first - self.first : last - self.first, left - self.left : right - self.left]
        theirs = other.share[first - other.first : last - other.first, left - other.left : right - other.left]
        return Coverage(mine * theirs, first, left, self.extent)


class Canvas:
    """A square picture being painted: `pixels` is float32 (size, size, 3) in [0, 255].

    With `owners` > 0 it also keeps whose each pixel is: `owned` is float32 (owners, size, size), the share of a pixel
    that an owner's paint covers and nobody painted over; `whole` the same as if nobody had painted over it.
    """

    def __init__(self, size: int, owners: int = 0):
        size = check_whole("size", size, 16, 4096)  # pixels
        self.size = size
        self.pixels = np.zeros((size, size, 3), dtype=np.float32)
        self.centres = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
        self.owned = np.zeros((owners, size, size), dtype=np.float32)
        self.whole = np.zeros((owners, size, size), dtype=np.float32)
        self.owner: int | None = None  # whose paint it is: None is the background's, which owns nothing

    def to_uint8(self) -> np.ndarray:
        """The picture as uint8 (size, size, 3), rounded once."""
        clipped = np.minimum(np.maximum(self.pixels, 0), 255)
        return np.rint(clipped, out=clipped).astype(np.uint8)

    def rows(
        self,
        stops: Sequence[tuple[float, Colour]],
        top: float = 0.0,
        bottom: float = 1.0,
        left: float = 0.0,
        right: float = 1.0,
    ) -> None:
        """Fill the rows between top and bottom with colours interpolated between stops (fraction, colour)."""
        first, last = max(round(top * self.size), 0), min(round(bottom * self.size), self.size)
        start, stop = max(round(left * self.size), 0), min(round(right * self.size), self.size)
        where = (self.centres[first:last] - top) / (bottom - top)
        positions = [position for position, _ in stops]
        for channel in range(3):
            values = [colour[channel] for _, colour in stops]
            self.pixels[first:last, start:stop, channel] = np.interp(where, positions, values)[:, None]

    def glow(self, x: float, y: float, rx: float, ry: float, colour: Colour, alpha: float) -> None:
        """Light (or shadow) that fades from alpha at (x, y) to nothing at an ellipse. It belongs to the background."""
        first, last = max(int((y - ry) * self.size), 0), min(int((y + ry) * self.size) + 2, self.size)
        left, right = max(int((x - rx) * self.size), 0), min(int((x + rx) * self.size) + 2, self.size)
        if first >= last or left >= right:
            return
        across = (self.centres[left:right] - np.float32(x)) / np.float32(rx)
        down = (self.centres[first:last] - np.float32(y)) / np.float32(ry)
        fade = np.maximum(1 - (down[:, None] ** 2 + across[None, :] ** 2), 0)
        part = self.pixels[first:last, left:right]
        part += (fade * fade * np.float32(alpha))[:, :, None] * (np.array(colour, dtype=np.float32) - part)

    def fill(
        self, outline: np.ndarray | Outlines, colour: Colour, end: Colour | None = None, alpha: float = 1.0
    ) -> None:
        """Paint the inside of an outline (n, 2), or of several as one, from `colour` (above) to `end` (below)."""
        outlines = outline if isinstance(outline, Outlines) else Outlines.of([outline])
        for coverage in self.coverages(outlines, outlines.points):
            if coverage is not None:
                self.paint(coverage, colour, end, alpha, 0.0)

    def paint(
        self, coverage: Coverage, colour: Colour, end: Colour | None = None, alpha: float = 1.0, slant: float = 0.5
    ) -> None:
        """Paint what is covered, from `colour` (above left) to `end` (below right).

        `slant` is the gradient's direction, 0 straight down to 1 straight to the right.
        """
        height, width = coverage.share.shape
        rows = slice(coverage.first, coverage.first + height)
        columns = slice(coverage.left, coverage.left + width)
        part = self.pixels[rows, columns]
        weight = coverage.share * np.float32(alpha) if alpha != 1.0 else coverage.share
        if end is None:
            change = np.array(colour, dtype=np.float32) - part
        else:
            change = self._gradient(rows, columns, coverage.extent, colour, end, slant)
            change -= part
        change *= weight[:, :, None]
        part += change
        if len(self.owned):
            self._own(rows, columns, weight)

    def coverages(self, outlines: Outlines, points: np.ndarray) -> list[Coverage | None]:
        """Which share of each pixel each outline covers, their points being at `points` (n, 2); None if none is in view.

        Outlines may be concave and may turn either way. All are intersected with the scan lines at once.
        """
        xs, ys = points[:, 0] * self.size, points[:, 1] * (self.size * LINES)
        lows, highs = np.minimum.reduceat(points, outlines.starts), np.maximum.reduceat(points, outlines.starts)
        boxes = [self._box(*low, *high) for low, high in zip(lows.tolist(), highs.tolist())]
        x, line, turn, bounds = _crossings(outlines, xs, ys, self.size * LINES)
        counts = bounds[1:] - bounds[:-1]
        first, _, left, right = (np.repeat(column, counts) for column in np.array(boxes).T)
        x = np.minimum(np.maximum(x - left, 0.0), right - left)
        column = x.astype(np.int64)
        beyond = turn * (x - column)
        places = (line // LINES - first) * (right - left + 2) + column
        cells = np.stack([places, places + 1], axis=1)
        weights = np.stack([turn - beyond, beyond], axis=1)
        found: list[Coverage | None] = []
        for k, (first_row, last_row, left_column, right_column) in enumerate(boxes):
            height, width = last_row - first_row, right_column - left_column
            start, stop = bounds[k], bounds[k + 1]
            if height <= 0 or width <= 0 or start == stop:
                found.append(None)
                continue
            steps = np.bincount(cells[start:stop].ravel(), weights[start:stop].ravel(), height * (width + 2))
            share = np.abs(np.cumsum(steps.reshape(height, width + 2), axis=1)[:, :width])
            share = np.minimum(share * (1.0 / LINES), 1.0).astype(np.float32)
            found.append(Coverage(share, first_row, left_column, (*lows[k].tolist(), *highs[k].tolist())))
        return found

    def _box(self, left: float, top: float, right: float, bottom: float) -> tuple[int, int, int, int]:
        """The rows (first, last) and columns (first, last) that an outline with this extent can touch."""
        return (
            max(int(top * self.size), 0),
            min(int(bottom * self.size) + 1, self.size) if bottom > 0 else 0,
            max(int(left * self.size), 0),
            min(int(right * self.size) + 1, self.size) if right > 0 else 0,
        )

    def _gradient(
        self, rows: slice, columns: slice, extent: tuple[float, ...], colour: Colour, end: Colour, slant: float
    ) -> np.ndarray:
        """The paint of each pixel of a part of the picture: (height, width, 3) float32."""
        left, top, right, bottom = extent
        start = np.array(colour, dtype=np.float32)
        change = np.array(end, dtype=np.float32) - start
        down = (self.centres[rows] - top) * np.float32((1 - slant) / max(bottom - top, 1e-6))
        across = (self.centres[columns] - left) * np.float32(slant / max(right - left, 1e-6))
        return (start + down[:, None] * change)[:, None, :] + (across[:, None] * change)[None, :, :]

    def _own(self, rows: slice, columns: slice, weight: np.ndarray) -> None:
        part = self.owned[:, rows, columns]
        part *= 1 - weight
        if self.owner is not None:
            part[self.owner] += weight
            whole = self.whole[self.owner, rows, columns]
            whole += weight * (1 - whole)


def _crossings(
    outlines: Outlines, xs: np.ndarray, ys: np.ndarray, lines: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Where the edges cross the scan lines [0, lines): x, line and direction (1 or -1) of each crossing.

    The last array says where each outline's crossings begin, and at its end where the last one's end.
    """
    x1, y1 = xs[outlines.following], ys[outlines.following]
    down = y1 > ys
    top_y, low_y = np.minimum(ys, y1), np.maximum(ys, y1)
    top_x, low_x = np.where(down, xs, x1), np.where(down, x1, xs)
    start = np.minimum(np.maximum(np.ceil(top_y - 0.5), 0), lines).astype(np.int64)
    counts = np.minimum(np.maximum(np.ceil(low_y - 0.5), 0), lines).astype(np.int64) - start
    ends = np.cumsum(counts)
    edge = np.repeat(np.arange(len(xs)), counts)
    line = np.arange(len(edge)) + (start - ends + counts)[edge]
    slope = (low_x - top_x) / np.maximum(low_y - top_y, 1e-9)
    x = top_x[edge] + (line + 0.5 - top_y[edge]) * slope[edge]
    bounds = np.concatenate([(ends - counts)[outlines.starts], ends[-1:]])
    return x, line, np.where(down, 1.0, -1.0)[edge], bounds
