"""Related things put together: a rider on its horse, cups on their table, three sheep.

A group is made around (0, 0) in units in which a man is 1.7 tall; y = 0 is the ground it stands on, up is negative.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace

from ..chance import pick
from .grid import GRID, on_line
from .kinds import ENTRIES
from .shapes import Look
from .spots import Spot
from .world import PEOPLE, Scene, Thing

LONG = 1.45  # what is so many times as wide as tall is put one behind the other, not side by side
_HELD_SCALE = {"flowers": 0.72, "ball": 0.85, "cup": 1.15}
ON_TABLE = 1.3  # small things on a table are drawn larger than life, to be seen


def compressed(value: float) -> float:
    """About value ** 0.56, of square roots alone: large things are larger than small ones, but less so than in life."""
    root = math.sqrt(value)
    return 0.75 * root + 0.25 * math.sqrt(value * root)


def _rank(spot: Spot) -> tuple[bool, float]:
    """What stands on the ground goes before what it carries, the nearer before the farther."""
    return spot.shadow, spot.base


class Group:
    """The spots of related things; `members` are their indices in the scene, the first is the one that others join."""

    def __init__(self, scene: Scene, members: list[int], row: str):
        first = scene.things[members[0]]
        self.scene, self.members, self.row = scene, members, row
        self.place, self.size = first.place or "center", first.size or "medium"
        self.rng = random.Random(f"{scene.layout} {first.place} {first.kind} {row}")
        relations = {scene.things[index].relation for index in members[1:]}
        self.evened = bool(relations & {"next to", "in front of"})  # side by side, the small are not too small to see
        self.spots = self._copies(members[0])
        for index in members[1:]:
            self._join(index)
        if self.rng.random() < 0.5:
            self.spots = [spot.turned() for spot in self.spots]
        self.base = 0.0

    @property
    def kinds(self) -> list[str]:
        return [self.scene.things[index].kind for index in self.members]

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of everything in it."""
        spots = self.spots
        return (
            min(s.x for s in spots),
            min(s.top for s in spots),
            max(s.right for s in spots),
            max(s.base for s in spots),
        )

    def rise(self) -> float:
        """How far back its last row stands: the height of the ground that it takes."""
        standing = [spot.base for spot in self.spots if spot.shadow]
        return max(standing) - min(standing) if standing else 0.0

    def move(self, factor: float, dx: float, dy: float) -> None:
        """Scale around (0, 0), then move."""
        self.base = dy
        self.spots = [spot.moved(factor, dx, dy) for spot in self.spots]

    def settle(self, least: float, most: float) -> None:
        """Onto the lines of the grid, moved as little as can be: the nearest of what stands onto whole ones, so that all stays
        between `least` and `most` across where it can; the rest at multiples of half a cell from it."""
        bodies: dict[int, list[Spot]] = {}
        for spot in self.spots:
            bodies.setdefault(spot.body, []).append(spot)
        feet = {body: max(spots, key=_rank) for body, spots in bodies.items()}
        first = max(feet.values(), key=_rank)
        x, base = self._line(first, least, most), on_line(first.base)
        self.base += base - first.base
        steps = {}
        for body, spot in feet.items():
            across, down = on_line(spot.x - first.x, 2), on_line(spot.base - first.base, 2)
            steps[body] = (x + across - spot.x, base + down - spot.base)
        self.spots = [spot.moved(1.0, *steps[spot.body]) for spot in self.spots]

    def _line(self, first: Spot, least: float, most: float) -> float:
        """The line for a spot's left side, near to where it is, that keeps the group between two others."""
        left, _, right, _ = self.bounds()

        def outside(x: float) -> float:
            return max(least - left - (x - first.x), right + (x - first.x) - most, 0.0)

        return min((line / GRID for line in range(GRID)), key=lambda x: (outside(x), abs(x - first.x)))

    def _spot(self, index: int, pose: str, shadow: bool = True) -> Spot:
        thing = self.scene.things[index]
        kind, look = ENTRIES[thing.kind], self._look(thing, pose)
        tall = 1.7 * compressed(kind.tall / 1.7) if self.evened else kind.tall
        return Spot(index, kind, look, 0.0, 0.0, tall / kind.looks[0].height, shadow=shadow)

    def _look(self, thing: Thing, pose: str) -> Look:
        """One of the kind's looks for a pose, or, if it has none for it, any that stands by itself."""
        looks = ENTRIES[thing.kind].looks
        if thing.kind == "lamp" and pose == "standing" and self.scene.ground != "room":
            pose = "street"
        fitting = [look for look in looks if pose in look.poses] or [look for look in looks if "standing" in look.poses]
        fitting = fitting or list(looks)
        return pick(self.rng, fitting)

    def _copies(self, index: int) -> list[Spot]:
        """One to three of a kind, each whole in view."""
        thing = self.scene.things[index]
        model = self._spot(index, "flying" if self.row == "sky" else "standing")
        count = thing.count or 1
        if count == 1:
            return [replace(model, x=-model.width / 2)]
        steps = self._steps(model, count)
        spots = []
        for body, (dx, dy) in enumerate(steps):
            shift = (dx - 0.5) * model.width
            spots.append(replace(model, x=shift, base=dy * model.height, mirror=self.rng.random() < 0.4, body=body))
        return sorted(spots, key=lambda spot: spot.base)

    def _steps(self, model: Spot, count: int) -> tuple[tuple[float, float], ...]:
        """Where copies stand, in their own widths and heights."""
        long = model.width > LONG * model.height
        if self.row == "sky":
            if long:
                return ((-0.3, -0.65), (0.45, 0.65)) if count == 2 else ((-0.3, -1.2), (0.45, 0.0), (-0.2, 1.2))
            return ((-0.58, -0.15), (0.58, 0.2)) if count == 2 else ((-1.16, 0.1), (0.0, -0.3), (1.16, 0.25))
        if long and self.scene.ground != "room":
            return ((0.28, -1.05), (-0.28, 0.0)) if count == 2 else ((-0.55, -1.05), (0.55, -1.05), (0.0, 0.0))
        if count == 2:
            return ((-0.56, -0.06), (0.56, 0.0))
        return ((-1.12, -0.06), (0.0, 0.0), (1.12, -0.06))

    def _join(self, index: int) -> None:
        thing = self.scene.things[index]
        base = next((spot for spot in self.spots if spot.thing == thing.other), self.spots[0])
        joins = {"on": self._on, "riding": self._ride, "holding": self._hold, "in front of": self._in_front}
        joins.get(thing.relation or "", self._beside)(index, base)

    def _on(self, index: int, base: Spot) -> None:
        """Sitting (people) or standing on a surface, side by side if there are several."""
        thing = self.scene.things[index]
        sits = thing.kind in PEOPLE and "seat" in base.look.anchors
        if sits:
            base = self._widened(base)
        count, anchors = thing.count or 1, base.look.anchors
        model = replace(self._spot(index, "sitting" if sits else "on top", shadow=False), body=base.body)
        if base.kind.name == "table" and thing.kind not in ("lamp", "cat"):
            model = replace(model, scale=model.scale * ON_TABLE)
        if not sits:  # a bird on a castle is still to be seen
            model = replace(model, scale=model.scale * max(1.0, 0.30 * base.height / model.height))
        x, y = base.anchor("seat" if sits or ("top" not in anchors and "seat" in anchors) else "top")
        wide = anchors.get("top_width", (0.0, 0.0))[0] * base.scale
        step = max(model.width * 1.12, 0.8 * wide / count)
        shift = 0.6 * max(wide - model.width, 0.0) * (self.rng.random() - 0.5) if count == 1 and not sits else 0.0
        foot = model.local("seat") if sits else (model.look.width / 2, model.look.height)
        for k in range(count):
            self.spots.append(model.attached(foot, x + shift + (k - (count - 1) / 2) * step, y))

    def _widened(self, seat: Spot) -> Spot:
        """A chair for a person: a look that can be seen behind who sits on it, and a little larger."""
        looks = [look for look in seat.kind.looks if "for sitters" in look.poses]
        if not looks:
            return seat
        wide = replace(seat, look=looks[0], scale=1.2 * seat.kind.tall / looks[0].height)
        wide = replace(wide, x=-wide.width / 2)
        self.spots = [wide if spot is seat else spot for spot in self.spots]
        return wide

    def _ride(self, index: int, base: Spot) -> None:
        rider = replace(self._spot(index, "riding", shadow=False), body=base.body)
        self.spots.append(rider.attached(rider.local("seat"), *base.anchor("seat")))

    def _hold(self, index: int, held: Spot) -> None:
        """The person stands at the middle; what it holds goes to its hand, a kite above and ahead on its string."""
        person = self._spot(index, "holding")
        person = replace(person, x=-person.width / 2)
        hand_x, hand_y = person.anchor("hand")
        held = replace(self._spot(held.thing, "held"), shadow=False)
        grip = held.local("grip")
        if held.kind.name == "kite":
            held = held.attached(grip, hand_x + 1.25, hand_y - 1.0)
            held = replace(held, string=(hand_x, hand_y, hand_x + 1.25, hand_y - 1.0))
        else:
            held = replace(held, scale=_HELD_SCALE.get(held.kind.name, 1.0) * held.scale)
            held = held.attached(grip, hand_x, hand_y)
        self.spots = [held, person] if held.kind.name == "umbrella" else [person, held]

    def _in_front(self, index: int, back: Spot) -> None:
        """Nearer, before one side of the other, most of which stays in view."""
        front = self._spot(index, "standing")
        covered = min(0.28 * back.width, 0.9 * front.width)
        self.spots.append(replace(front, x=back.right - covered, base=0.08 * back.height + 0.10, body=len(self.spots)))

    def _beside(self, index: int, base: Spot) -> None:
        right = max(spot.right for spot in self.spots)
        self.spots.append(replace(self._spot(index, "standing"), x=right + 0.12, body=len(self.spots)))
