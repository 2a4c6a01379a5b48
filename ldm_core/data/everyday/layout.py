"""Where everything of a scene stands in the picture, so that nothing a caption can name is hidden.

Related things make a group. A group is put together in units in which a man is 1.7 tall, then fitted into the part of
the picture that its place and its neighbours leave it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np

from .kinds import ENTRIES
from .shapes import Kind, Look, Part, mirrored
from .world import SKY_KINDS, Scene, Thing

HORIZON = 0.56
SIZE_ALONE = {"small": 0.44, "medium": 0.80, "big": 1.0}
SIZE_AMONG = {"small": 0.62, "medium": 1.0, "big": 1.34}


@dataclass(frozen=True)
class Spot:
    """One of a thing as it stands: its look's box from x (left) to x + width * scale, its feet at base (y down)."""

    thing: int
    kind: Kind
    look: Look
    x: float
    base: float
    scale: float
    mirror: bool = False
    parts: tuple[Part, ...] = ()
    shadow: bool = True
    string: tuple[float, float, float, float] | None = None  # a kite's: from and to

    @property
    def top(self) -> float:
        return self.base - self.look.height * self.scale

    @property
    def right(self) -> float:
        return self.x + self.look.width * self.scale

    def placed(self, points: np.ndarray) -> np.ndarray:
        """An outline of the look in the picture."""
        if self.mirror:
            points = mirrored(points, self.look.width)
        return points * self.scale + (self.x, self.top)

    def anchor(self, name: str) -> tuple[float, float]:
        """An anchor of the look, in the picture."""
        x, y = self.look.anchors[name]
        return self.x + (self.look.width - x if self.mirror else x) * self.scale, self.top + y * self.scale


def arrange(scene: Scene) -> list[Spot]:
    """All spots of a scene, from far to near."""
    groups = _groups(scene)
    ground = [_Group(scene, members, "ground") for members in groups if not _flies(scene, members)]
    sky = [_Group(scene, members, "sky") for members in groups if _flies(scene, members)]
    for group in ground:
        _fit_ground(scene, group, ground, sky)
    for group in sky:
        _fit_sky(scene, group, ground, sky)
    near = sorted(ground, key=lambda group: group.base)
    return [spot for group in (*sky, *near) for spot in group.spots]


def _groups(scene: Scene) -> list[list[int]]:
    """The indices of the scene's things, related ones together; what is above another is by itself."""
    groups: list[list[int]] = []
    for index, thing in enumerate(scene.things):
        if thing.relation not in (None, "above") and thing.other is not None and thing.other != index:
            home = next((group for group in groups if thing.other in group), None)
            if home is not None:
                home.append(index)
                continue
        groups.append([index])
    return groups


def _flies(scene: Scene, members: list[int]) -> bool:
    return all(scene.things[index].kind in SKY_KINDS for index in members)


class _Group:
    """Related things put together around (0, 0), y = 0 being the ground they stand on."""

    def __init__(self, scene: Scene, members: list[int], row: str):
        first = scene.things[members[0]]
        self.scene, self.members, self.row = scene, members, row
        self.place, self.size = first.place, first.size
        self.rng = random.Random(f"{scene.layout} {first.place} {first.kind} {row}")
        self.spots = self._single(members[0])
        for index in members[1:]:
            self._join(index)
        if self.rng.random() < 0.5:
            self._mirror()
        self.base = 0.0

    @property
    def kinds(self) -> list[str]:
        return [self.scene.things[index].kind for index in self.members]

    @property
    def count(self) -> int:
        return len(self.spots)

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of everything in it."""
        return (min(s.x for s in self.spots), min(s.top for s in self.spots), max(s.right for s in self.spots), max(s.base for s in self.spots))  # fmt: skip

    def move(self, factor: float, dx: float, dy: float) -> None:
        """Scale around (0, 0), then move."""
        self.spots = [_scaled(spot, factor, dx, dy) for spot in self.spots]

    def _look(self, thing: Thing, pose: str | None) -> Look:
        kind = ENTRIES[thing.kind]
        looks = [look for look in kind.looks if pose is None or pose in look.poses]
        if thing.kind == "lamp" and pose == "standing":
            street = self.scene.ground != "room"
            looks = [look for look in kind.looks if ("street" in look.poses) == street and (street or "small" not in look.poses)]
        return (looks or list(kind.looks))[int(self.rng.random() * len(looks or kind.looks))]

    def _spot(self, index: int, pose: str | None, shadow: bool = True) -> Spot:
        thing = self.scene.things[index]
        kind, look = ENTRIES[thing.kind], self._look(thing, pose)
        tallest = max(other.height for other in kind.looks if set(other.poses) & set(look.poses))
        del tallest
        return Spot(index, kind, look, 0.0, 0.0, kind.tall / _reference(kind), parts=look.parts + look.front, shadow=shadow)

    def _single(self, index: int) -> list[Spot]:
        thing = self.scene.things[index]
        pose = "flying" if self.row == "sky" else "standing"
        model = self._spot(index, pose)
        model = replace(model, x=-model.look.width * model.scale / 2)
        if thing.count == 1:
            return [model]
        return self._copies(model, thing.count or 1)

    def _copies(self, model: Spot, count: int) -> list[Spot]:
        """Two or three of a kind, each whole in view: side by side, or, when they are long, one behind the other."""
        width, height = model.look.width * model.scale, model.look.height * model.scale
        long = width > 1.45 * height
        spots = []
        for k in range(count):
            spot = self._again(model)
            if self.row == "sky":
                dx, dy = (k - (count - 1) / 2) * 1.16 * width, (0.30 if k % 2 else -0.10) * height
                if long:
                    dx, dy = (0.52 * width if k % 2 else -0.30 * width), (k - (count - 1) / 2) * 1.2 * height
            elif long:
                dx, dy = (0.34 if k % 2 else -0.34) * width, (k - (count - 1)) * 1.08 * height
            else:
                dx, dy = (k - (count - 1) / 2) * (1.10 * width), (0.0 if k % 2 else -0.10 * height)
            spots.append(replace(spot, x=-spot.look.width * spot.scale / 2 + dx + 0.05 * width * (self.rng.random() - 0.5), base=dy))
        return sorted(spots, key=lambda spot: spot.base)

    def _again(self, model: Spot) -> Spot:
        """Another of the same: the same look or another of equal form, sometimes mirrored."""
        return replace(model, mirror=self.rng.random() < 0.4)

    def _join(self, index: int) -> None:
        thing = self.scene.things[index]
        base = next(spot for spot in self.spots if spot.thing == thing.other)
        join = {"on": self._on, "riding": self._riding, "holding": self._holding, "in front of": self._in_front, "next to": self._beside}
        join[thing.relation](index, base)

    def _on(self, index: int, base: Spot) -> None:
        """Standing or sitting on a surface, next to each other if there are several."""
        thing, count = self.scene.things[index], self.scene.things[index].count or 1
        sits = thing.kind in ("man", "woman", "child") and "seat" in base.look.anchors
        pose = "sitting" if sits else "small" if thing.kind == "lamp" else "standing"
        model = self._spot(index, pose, shadow=False)
        if base.kind.name in ("table",):
            model = replace(model, scale=model.scale * 1.25)
        x, y = base.anchor("seat" if sits else "top") if "top" in base.look.anchors or sits else base.anchor("seat")
        wide = base.look.anchors.get("top_width", (0, 0))[0] * base.scale
        slack = max(wide - count * model.look.width * model.scale, 0.0)
        for k in range(count):
            dx = (k - (count - 1) / 2) * max(model.look.width * model.scale * 1.12, wide / max(count, 1) * 0.8)
            if count == 1:
                dx = slack * 0.6 * (self.rng.random() - 0.5)
            if sits:
                sx, sy = model.look.anchors["seat"]
                self.spots.append(replace(model, x=x + dx - sx * model.scale, base=y + (model.look.height - sy) * model.scale))
            else:
                self.spots.append(replace(model, x=x + dx - model.look.width * model.scale / 2, base=y + 0.0 * k))

    def _riding(self, index: int, base: Spot) -> None:
        model = self._spot(index, "riding", shadow=False)
        x, y = base.anchor("seat")
        sx, sy = model.look.anchors["seat"]
        self.spots.append(replace(model, x=x - sx * model.scale, base=y + (model.look.height - sy) * model.scale))

    def _holding(self, index: int, held: Spot) -> None:
        """The person stands at the middle; what it holds goes to its hand, a kite above and ahead on its string."""
        person = self._spot(index, "holding")
        person = replace(person, x=-person.look.width * person.scale / 2)
        hand_x, hand_y = person.anchor("hand")
        if held.kind.name == "umbrella":
            held = replace(held, look=held.kind.looks[0], parts=held.kind.looks[0].parts, scale=held.kind.tall / held.kind.looks[0].height)
        scale = held.scale * (0.8 if held.kind.name == "flowers" else 1.0)
        gx, gy = held.look.anchors.get("grip", (held.look.width / 2, held.look.height / 2))
        x, y = hand_x - gx * scale, hand_y - gy * scale
        string = None
        if held.kind.name == "kite":
            x, y = x + 1.25, y - 1.0
            string = (hand_x, hand_y, x + gx * scale, y + gy * scale)
        held = replace(held, x=x, base=y + held.look.height * scale, scale=scale, shadow=False, string=string)
        order = [held, person] if held.kind.name == "umbrella" else [person, held]
        self.spots = order

    def _in_front(self, index: int, back: Spot) -> None:
        """Nearer, before the side of the other, most of which stays in view."""
        front = self._spot(index, "standing")
        width = front.look.width * front.scale
        shown = 0.30 * back.look.width * back.scale  # of the other's width, what the nearer one may cover
        x = back.right - min(shown, 0.9 * width)
        self.spots.append(replace(front, x=x, base=0.10 * back.look.height * back.scale + 0.12))

    def _beside(self, index: int, base: Spot) -> None:
        other = self._spot(index, "standing")
        self.spots.append(replace(other, x=base.right + 0.12, base=0.0))

    def _mirror(self) -> None:
        self.spots = [_turned(spot) for spot in self.spots]


def _reference(kind: Kind) -> float:
    """The height in units that a kind's `tall` is meant for: that of its first look."""
    return kind.looks[0].height


def _scaled(spot: Spot, factor: float, dx: float, dy: float) -> Spot:
    string = None if spot.string is None else tuple(v * factor + (dy if k % 2 else dx) for k, v in enumerate(spot.string))
    return replace(spot, x=spot.x * factor + dx, base=spot.base * factor + dy, scale=spot.scale * factor, string=string)


def _turned(spot: Spot) -> Spot:
    string = None if spot.string is None else (-spot.string[0], spot.string[1], -spot.string[2], spot.string[3])
    return replace(spot, x=-spot.right, mirror=not spot.mirror, string=string)


def _cell(group: _Group, others: list[_Group]) -> tuple[float, float]:
    """The middle and the greatest width that a group has in its row."""
    taken = {other.place for other in others if other is not group}
    if not taken:
        return {"left": (0.30, 0.50), "center": (0.5, 0.90), "right": (0.70, 0.50)}[group.place]
    if taken <= {"left", "right"} and group.place in ("left", "right") and group.place not in taken:
        return {"left": (0.25, 0.44), "right": (0.75, 0.44)}[group.place]
    return {"left": (0.185, 0.32), "center": (0.5, 0.29), "right": (0.815, 0.32)}[group.place]


def _fit_ground(scene: Scene, group: _Group, ground: list[_Group], sky: list[_Group]) -> None:
    middle, width = _cell(group, ground)
    above = [other for other in sky if _overlap(middle, width, *_sky_column(other, ground, sky))]
    top = 0.42 if above else 0.10
    if len(ground) == 1 and group.place == "center" and sky and not any(other.place == "center" for other in sky):
        width, top = 0.54, 0.14
    base = _ground_line(scene, group, len(ground))
    left, high, right, low = group.bounds()
    fit = min(width / (right - left), (base - top) / (low - high))
    if len(ground) == 1 and group.place == "center":
        tall = low - high
        natural = min(1.0, max(0.62, (tall / 1.7) ** 0.5)) if group.count == 1 else 1.0
        factor = fit * SIZE_ALONE[group.size or "medium"] * natural
    else:
        factor = min(fit, _natural_height(low - high) / (low - high) * SIZE_AMONG[group.size or "medium"])
    factor *= 0.94 + 0.06 * group.rng.random()
    slack = max(width - (right - left) * factor, 0.0)
    x = middle - (left + right) / 2 * factor + min(slack, 0.08) * (group.rng.random() - 0.5)
    group.base = base - low * factor
    group.move(factor, x, group.base)


def _natural_height(tall: float) -> float:
    """How high in the picture something of a height in metres is: differences are there, but smaller than in life."""
    return 0.40 * _power(tall / 1.7)


def _power(value: float) -> float:
    """About value ** 0.56, of square roots alone, which are the same on every machine."""
    root = float(np.sqrt(np.float64(value)))
    return 0.75 * root + 0.25 * float(np.sqrt(np.float64(value * root)))


def _ground_line(scene: Scene, group: _Group, count: int) -> float:
    """Where a group's feet are: boats on the water, the rest near, small things a little farther away."""
    jitter = 0.03 * group.rng.random()
    if group.kinds[0] == "boat":
        return (0.685 if scene.ground == "beach" else 0.78 if count == 1 else 0.735) + jitter * 0.5
    if group.size == "small":
        return 0.86 + jitter
    return 0.915 + jitter


def _overlap(one: float, one_width: float, other: float, other_width: float) -> bool:
    return abs(one - other) < (one_width + other_width) / 2 - 0.04


def _sky_column(group: _Group, ground: list[_Group], sky: list[_Group]) -> tuple[float, float]:
    """The middle and the width of a group's part of the sky."""
    if not ground:
        return _cell(group, sky)
    if group.kinds == ["rainbow"]:
        return 0.5, 0.96
    lights = group.kinds[0] in ("sun", "moon")
    outer = 0.14 if lights else 0.185
    middle = {"left": outer, "center": 0.5, "right": 1 - outer}[group.place]
    width = 0.22 if lights else 0.30
    if len(sky) == 1 and group.count > 1:
        middle, width = {"left": (0.27, 0.46), "center": (0.5, 0.8), "right": (0.73, 0.46)}[group.place]
    return middle, width


def _fit_sky(scene: Scene, group: _Group, ground: list[_Group], sky: list[_Group]) -> None:
    middle, width = _sky_column(group, ground, sky)
    top, bottom = (0.05, 0.37) if ground else (0.08, 0.62)
    left, high, right, low = group.bounds()
    fit = min(width / (right - left), (bottom - top) / (low - high))
    small = group.kinds[0] in ("sun", "moon")
    size = {"small": 0.5, "medium": 0.86, "big": 1.0}[group.size or "medium"]
    if ground or len(sky) > 1:
        size = {"small": 0.62, "medium": 1.0, "big": 1.0}[group.size or "medium"]
    factor = min(fit * size, 0.24 / (low - high) if small else 9.0) * (0.92 + 0.08 * group.rng.random())
    height = (low - high) * factor
    spare = max(bottom - top - height, 0.0)
    y = top + spare * (0.2 + 0.6 * group.rng.random()) - high * factor
    x = middle - (left + right) / 2 * factor + 0.03 * (group.rng.random() - 0.5)
    group.base = y
    group.move(factor, x, y)
