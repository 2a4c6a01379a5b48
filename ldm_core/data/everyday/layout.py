"""Where everything of a scene stands in the picture, so that nothing a caption can name is hidden.

Groups stand in two rows, on the ground and in the sky. Each is fitted into the part of the picture that its place and
its neighbours leave it; one that has the picture for itself is drawn large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .grid import HORIZON, floored, nearest
from .groups import Group, compressed
from .spots import Spot
from .world import SKY_KINDS, Scene

# In steps of the grid: of the largest that there is room for, of the natural one, of the largest in the sky.
SIZE_ALONE = {"small": -4, "medium": -1, "big": 0}
LEAST = 0.14  # of the picture: nothing is smaller than that both ways
SIZE_AMONG = {"small": -2, "medium": 0, "big": 2}
SIZE_IN_SKY = {"small": -3, "medium": -1, "big": 0}
TABLEWARE = ("cup", "pizza", "cake")


def arrange(scene: Scene) -> list[Spot]:
    """All spots of a scene, from far to near."""
    members = _related(scene)
    flying = [all(scene.things[index].kind in SKY_KINDS for index in group) for group in members]
    ground = [Group(scene, group, "ground") for group, flies in zip(members, flying) if not flies]
    sky = [Group(scene, group, "sky") for group, flies in zip(members, flying) if flies]
    shrink = min((_shrink(group, ground) for group in ground), default=1.0)
    for group in ground:
        _fit_ground(scene, group, ground, sky, shrink)
    for group in sky:
        _fit_sky(scene, group, ground, sky)
    return [spot for group in (*sky, *sorted(ground, key=lambda group: group.base)) for spot in group.spots]


def look_names(scene: Scene) -> list[str]:
    """What each thing is drawn as, where words differ ("girl", "sailboat", "slice"), otherwise "": for its caption."""
    names = [""] * len(scene.things)
    for spot in arrange(scene):
        names[spot.thing] = spot.kind.name_of(spot.look)
    return names


def middles(scene: Scene) -> list[float]:
    """Where the middle of each thing is across, of several the mean, in [0, 1] from left to right: for its caption."""
    found: list[list[float]] = [[] for _ in scene.things]
    for spot in arrange(scene):
        found[spot.thing].append(spot.x + spot.width / 2)
    return [sum(each) / len(each) for each in found]


def _related(scene: Scene) -> list[list[int]]:
    """The indices of the scene's things, related ones together; what is above another is by itself."""
    groups: list[list[int]] = [[index] for index in range(len(scene.things))]
    for index, thing in enumerate(scene.things):
        if thing.relation in (None, "above") or thing.other is None or thing.other == index:
            continue
        mine = next(group for group in groups if index in group)
        theirs = next(group for group in groups if thing.other in group)
        if mine is not theirs:
            groups.remove(mine)
            theirs += mine
    return groups


def _fit_ground(scene: Scene, group: Group, ground: Sequence[Group], sky: Sequence[Group], shrink: float) -> None:
    """Scale a group of the lower row and put it on its ground, below what is in the sky above it."""
    alone = len(ground) == 1
    middle, width = _cell(group, ground)
    columns = [_sky_cell(other, ground, sky) for other in sky if other.kinds != ["rainbow"]]
    top = 0.42 if any(abs(middle - x) < (width + wide) / 2 - 0.04 for x, wide in columns) else 0.10
    if alone and group.place == "center" and sky:
        if sky[0].kinds == ["rainbow"]:
            width, top = 0.56, 0.32
        elif all(other.place != "center" for other in sky):
            width, top = 0.54, 0.14
    base = _ground_line(scene, group, len(ground))
    left, high, right, low = group.bounds()
    fit = min(width / (right - left), (base - top) / (low - high))
    if group.rise() > 0:  # the feet of the last row must be on the ground, too
        fit = min(fit, (base - 0.66) / group.rise())
    tall = low - high
    if alone:
        natural = min(1.0, max(0.76, math.sqrt(tall / 1.7))) if len(group.spots) == 1 else 1.0
        factor = floored(fit * natural, SIZE_ALONE[group.size])
    else:
        wanted = nearest(_natural(group) * shrink, SIZE_AMONG[group.size])
        factor = min(floored(fit), max(wanted, nearest(LEAST / max(tall, right - left))))
    slack = max(width - (right - left) * factor, 0.0)
    x = middle - (left + right) / 2 * factor + min(slack, 0.08) * (group.rng.random() - 0.5)
    group.move(factor, x, base - low * factor)
    group.settle(middle - width / 2, middle + width / 2)


def _natural(group: Group) -> float:
    """The scale of an ordinary size among others: 0.44 of the picture for a man's height."""
    _, high, _, low = group.bounds()
    return 0.44 * compressed((low - high) / 1.7) / (low - high)


def _shrink(group: Group, ground: Sequence[Group]) -> float:
    """How much smaller than natural a group must be for its cell; the others follow it some of the way."""
    left, _, right, _ = group.bounds()
    return max(0.66, min(1.0, _cell(group, ground)[1] / (right - left) / _natural(group)))


def _cell(group: Group, others: Sequence[Group]) -> tuple[float, float]:
    """The middle and the greatest width that a group has in its row."""
    taken = {other.place for other in others if other is not group}
    if not taken:
        return {"left": (0.30, 0.52), "center": (0.5, 0.90), "right": (0.70, 0.52)}[group.place]
    if len(others) == 2 and any(len(other.members) > 1 for other in others):
        return _uneven_cell(group, next(other for other in others if other is not group))
    if taken <= {"left", "right"} and group.place != "center" and group.place not in taken:
        return {"left": (0.26, 0.44), "right": (0.74, 0.44)}[group.place]
    return {"left": (0.18, 0.315), "center": (0.5, 0.30), "right": (0.82, 0.315)}[group.place]


def _uneven_cell(group: Group, other: Group) -> tuple[float, float]:
    """Of two groups, the one of several things has more than half of the picture."""
    wide = len(group.members) > 1
    if "center" in (group.place, other.place):
        side = group.place if group.place != "center" else other.place
        middle, width = (0.57, 0.52) if group.place == "center" else (0.15, 0.28)
        if (len(other.members) > 1 and wide) or (group.place != "center" and wide):
            middle, width = (0.54, 0.34) if group.place == "center" else (0.19, 0.36)
        return (middle if side == "left" else 1 - middle), width
    middle, width = (0.31, 0.56) if wide else (0.16, 0.30)
    return (middle if group.place == "left" else 1 - middle), width


def _ground_line(scene: Scene, group: Group, count: int) -> float:
    """Where a group's feet are: boats on the water, the rest near, small things a little farther away."""
    jitter = 0.03 * group.rng.random()
    if group.kinds[0] == "boat":
        return (0.69 if scene.ground == "beach" else 0.80 if count == 1 else 0.745) + jitter * 0.5
    if scene.ground == "room" and all(kind in TABLEWARE for kind in group.kinds):
        return 0.85 + jitter
    return (0.875 if group.size == "small" else 0.915) + jitter


def _sky_cell(group: Group, ground: Sequence[Group], sky: Sequence[Group]) -> tuple[float, float]:
    """The middle and the greatest width that a group has in the upper row."""
    if not ground:
        return _cell(group, sky)
    light = group.kinds[0] in ("sun", "moon")
    if len(sky) == 1 and len(group.spots) > 1:
        return {"left": (0.27, 0.46), "center": (0.5, 0.8), "right": (0.73, 0.46)}[group.place]
    outer = 0.14 if light else 0.185
    return {"left": outer, "center": 0.5, "right": 1 - outer}[group.place], 0.22 if light else 0.32


def _fit_sky(scene: Scene, group: Group, ground: Sequence[Group], sky: Sequence[Group]) -> None:
    """Scale a group of the upper row and put it into the sky; a rainbow stands behind the horizon."""
    left, high, right, low = group.bounds()
    if group.kinds == ["rainbow"]:
        base = HORIZON - (0.13 if scene.ground == "street" else 0.02)
        factor = floored(min((0.76 + 0.12 * group.rng.random()) / (right - left), (base - 0.05) / (low - high)))
        group.move(factor, 0.5 - (left + right) / 2 * factor, base - low * factor)
        return
    light = group.kinds[0] in ("sun", "moon")
    middle, width = _sky_cell(group, ground, sky)
    top, bottom = (0.05, 0.37) if ground else (0.08, 0.64)
    if light:  # above the mountains, and above town houses
        bottom = 0.29 if scene.mountains or scene.ground == "street" else 0.37
    fit = min(width / (right - left), (bottom - top) / (low - high))
    factor = floored(fit, SIZE_IN_SKY[group.size] if not ground or group.size == "small" else 0)
    if light:
        factor = min(factor, floored((0.30 if not ground and len(sky) == 1 else 0.22) / (low - high)))
    spare = max(bottom - top - (low - high) * factor, 0.0)
    y = top + spare * (0.2 + 0.6 * group.rng.random()) - high * factor
    x = middle - (left + right) / 2 * factor + 0.03 * (group.rng.random() - 0.5)
    group.move(factor, x, y)
    group.settle(middle - width / 2, middle + width / 2)
