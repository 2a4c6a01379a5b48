"""One of a thing as it stands in the picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .shapes import Kind, Look, mirrored

String = tuple[float, float, float, float]
_LIKELY = {"seat": (0.5, 0.3), "top": (0.5, 0.08), "hand": (0.9, 0.4), "grip": (0.5, 0.6)}  # shares of a look's box


@dataclass(frozen=True)
class Spot:
    """A look's box from x (left) to x + width * scale, its feet at base (y down); `thing` is whose it is.

    `string` is a kite's, from (x, y) at the hand to (x, y) at the kite. `body` is the same for what moves together: a rider
    and its horse, a cup and its table.
    """

    thing: int
    kind: Kind
    look: Look
    x: float
    base: float
    scale: float
    mirror: bool = False
    shadow: bool = True
    string: String | None = None
    body: int = 0

    @property
    def width(self) -> float:
        return self.look.width * self.scale

    @property
    def height(self) -> float:
        return self.look.height * self.scale

    @property
    def top(self) -> float:
        return self.base - self.height

    @property
    def right(self) -> float:
        return self.x + self.width

    def placed(self, points: np.ndarray) -> np.ndarray:
        """An outline (n, 2) of the look in the picture."""
        if self.mirror:
            points = mirrored(points, self.look.width)
        return points * self.scale + (self.x, self.top)

    def local(self, name: str) -> tuple[float, float]:
        """An anchor in the look's units; where it has none of that name, a likely point of its box."""
        across, down = _LIKELY[name]
        return self.look.anchors.get(name, (across * self.look.width, down * self.look.height))

    def anchor(self, name: str) -> tuple[float, float]:
        """An anchor of the look, in the picture."""
        x, y = self.local(name)
        return self.x + (self.look.width - x if self.mirror else x) * self.scale, self.top + y * self.scale

    def attached(self, anchor: tuple[float, float], x: float, y: float) -> Spot:
        """The same with a point of its look, in the look's units, at (x, y)."""
        return replace(self, x=x - anchor[0] * self.scale, base=y + (self.look.height - anchor[1]) * self.scale)

    def moved(self, factor: float, dx: float, dy: float) -> Spot:
        """Scaled around (0, 0), then moved."""
        string = self.string
        if string is not None:
            string = (
                string[0] * factor + dx,
                string[1] * factor + dy,
                string[2] * factor + dx,
                string[3] * factor + dy,
            )
        return replace(
            self, x=self.x * factor + dx, base=self.base * factor + dy, scale=self.scale * factor, string=string
        )

    def turned(self) -> Spot:
        """In a mirror at x = 0."""
        string = None if self.string is None else (-self.string[0], self.string[1], -self.string[2], self.string[3])
        return replace(self, x=-self.right, mirror=not self.mirror, string=string)
