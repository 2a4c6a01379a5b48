"""People: man, woman, child, in five poses. A person is 100 units tall; the colour is that of the clothes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..shapes import B, E, Kind, Look, P, Part, R, S, moved

Arm = tuple[str, tuple[float, float]]  # the line of a sleeve, and where the hand is
Head = Callable[[float, float, float], list[Part]]  # around (x, y), turned so far to the right
Body = Callable[[list[Part], bool], tuple[Part, ...]]  # with this head, holding something or not
EYE, CHEEK, SHOE = "#2b2530", "#e8766a", "#3a3038"
SKINS = ("#f6cfae", "#e8b48c", "#c68a5e", "#8a5a3c", "#f3c5a0")
HAIRS = ("#d0963f", "#6b4226", "#241f24", "#2c2020", "#9a4a24", "#241f24", "#1e1a1e", "#3b2a22", "#7a4a28", "#c98f3e")
TROUSERS = ("#46536e", "#5b5148", "#37424f", "#6d6a72", "#4d4a66")
_LOOKS = zip(SKINS + SKINS[::-1], HAIRS, TROUSERS * 2)
SLOTS = tuple({"skin": skin, "hair": hair, "legs": legs} for skin, hair, legs in _LOOKS)


def _face(turn: float) -> list[Part]:
    """Eyes, cheeks and a smile around (0, 0), looking ahead or (turn > 0) to the right."""
    face = [
        E(-3.9, 0, 1.35, 1.7, EYE, flat=True), E(3.9, 0, 1.35, 1.7, EYE, flat=True),
        E(-5.6, 3.6, 1.9, 1.2, CHEEK, alpha=0.35, flat=True), E(5.6, 3.6, 1.9, 1.2, CHEEK, alpha=0.35, flat=True),
        S("-2.6 4.6 0 6 2.6 4.6", 1.3, "#a8463e", flat=True),
    ]
    return moved(face, turn, 1)


def _man_head(x: float, y: float, turn: float = 0.0) -> list[Part]:
    head = [
        R(-3.6, 6, 3.6, 16, 2, "skin-"), E(-9.3, 1.5, 1.9, 2.6, "skin-"), E(9.3, 1.5, 1.9, 2.6, "skin-"),
        E(0, 0, 9.3, 11, "skin"),
        B("-9.8 -1 -9.6 -9 -3 -13.4 5 -13 10 -8 9.8 -1 7.6 -5.6 1 -6.4 -7 -5.8", "hair"),
    ]
    return moved([*head, *_face(turn)], x, y)


def _woman_head(x: float, y: float, turn: float = 0.0) -> list[Part]:
    head = [
        B("0 -13.6 9.6 -9.4 11.6 4 12.4 18 6 20 -6 20 -12.4 18 -11.6 4 -9.6 -9.4", "hair-"),
        R(-3.2, 6, 3.2, 16, 2, "skin-"), E(0, 0, 9, 10.8, "skin"),
        B("-10 3 -10.4 -6 -4 -13.6 4 -13.6 10.4 -6 10 3 8 -4 2 -8 -4 -5.4 -8.4 -2", "hair"),
    ]
    return moved([*head, *_face(turn)], x, y)


def _child_head(x: float, y: float, turn: float = 0.0) -> list[Part]:
    head = [
        R(-3.4, 9, 3.4, 18, 2, "skin-"), E(-12, 2, 2.3, 3, "skin-"), E(12, 2, 2.3, 3, "skin-"),
        E(0, 0, 12, 13, "skin"),
        B("-12.6 -1 -12 -9 -5 -15.4 1 -17.6 8 -14.4 12.6 -8 12.4 -1 8.6 -7 3 -6 -2 -8.4 -8.4 -6", "hair"),
    ]
    return moved([*head, *moved(_face(turn), 0, 1)], x, y)


def _girl_head(x: float, y: float, turn: float = 0.0) -> list[Part]:
    head = [
        B("-11 2 -17 0 -20 8 -18 18 -13 14", "hair-"), B("11 2 17 0 20 8 18 18 13 14", "hair-"),
        R(-3.4, 9, 3.4, 18, 2, "skin-"), E(0, -1, 13, 14, "hair-"), E(0, 0, 12, 13, "skin"),
        B("-12.8 3 -13 -6 -7 -14.6 0 -16.4 7 -14.6 13 -6 12.8 3 9.6 -5 3 -8.6 -4 -6.4 -9.4 -3", "hair"),
        E(-13.4, 3, 2.8, 2.8, "c"), E(13.4, 3, 2.8, 2.8, "c"),
    ]
    return moved([*head, *moved(_face(turn), 0, 1)], x, y)


def _shoes(left: float, right: float, y: float) -> list[Part]:
    return [B(f"{left - 5} {y} {left - 4} {y - 4.4} {left + 1} {y - 5} {left + 4} {y - 3} {left + 4} {y}", SHOE),
            B(f"{right + 5} {y} {right + 4} {y - 4.4} {right - 1} {y - 5} {right - 4} {y - 3} {right - 4} {y}",
            SHOE)]


def _arm(arm: Arm, paint: str = "c-", width: float = 7.4) -> list[Part]:
    path, (x, y) = arm
    return [E(x, y, 3.5, 3.5, "skin"), S(path, width, paint, end=width - 1.4)]


def _torso(top: float, low: float, half: float) -> Part:
    """A jumper from the shoulders (top) to the hips (low), to `half` on both sides of the middle."""
    side = ((-half, top + 4), (4 - half, top), (half - 4, top), (half, top + 4), (half - 1, low - 6), (half - 1.4, low))
    rest = ((1.4 - half, low), (1 - half, low - 6))
    return B(" ".join(f"{23 + x} {y}" for x, y in (*side, *rest)), "c")


_LEFT_ARM: Arm = ("12.6 33 8.2 44 8.6 56", (8.7, 59.5))
_RIGHT_ARM: Arm = ("33.4 33 37.8 44 37.4 56", (37.3, 59.5))
_RAISED_ARM: Arm = ("33.4 33 40 41 43 33", (43.4, 30))


def _standing(head: list[Part], holding: bool, stride: float = 0.0) -> tuple[Part, ...]:
    right = _RAISED_ARM if holding else _RIGHT_ARM
    legs = [S(f"18 60 {17.6 - stride} 93", 9.4, "legs-", end=7.6), S(f"28 60 {28.4 + stride} 93", 9.4, "legs", end=7.6)]
    return (*legs, *_shoes(17.2 - stride, 28.8 + stride, 100), *_arm(_LEFT_ARM), _torso(28, 64, 12.6),
            R(11.8, 61.5, 34.2, 65, 1.5, "legs--"), *_arm(right, "c+" if holding else "c-"), *head)


def _dressed(head: list[Part], holding: bool) -> tuple[Part, ...]:
    right = _RAISED_ARM if holding else _RIGHT_ARM
    legs = [S("19 74 18.6 94", 5.6, "skin-", end=4.6), S("27 74 27.4 94", 5.6, "skin", end=4.6)]
    dress = B("13 31 18 28 28 28 33 31 31.4 46 35 60 39 79 31 81.6 23 82 15 81.6 7 79 11 60 14.6 46", "c")
    belt = S("14.4 50 23 52 31.6 50", 2.6, "c--")
    return (*legs, *_shoes(18.2, 27.8, 99.5), *_arm(_LEFT_ARM, "c-", 6.2), dress, belt,
            *_arm(right, "c+" if holding else "c-", 6.2), *head)


def _child(head: list[Part], holding: bool) -> tuple[Part, ...]:
    right = ("32 44 38.6 51 41 43", (41.4, 40)) if holding else ("32 44 36.4 53 36 63", (36, 66))
    legs = [S("18.4 80 18 94", 6.4, "skin-", end=5.4), S("27.6 80 28 94", 6.4, "skin", end=5.4)]
    shorts = P("12.6 68 33.4 68 34 84 24 84 23 78 22 84 12 84", "legs")
    shirt = B("12 44 16 40 30 40 34 44 34 62 33.4 72 12.6 72 12 62", "c")
    return (*legs, *_shoes(17.4, 28.6, 100), shorts, *_arm(("14 44 9.6 53 10 63", (10, 66))), shirt,
            R(12.2, 54, 33.8, 59, 0, "c!", inside=True), *_arm(right, "c+" if holding else "c-"), *head)


def _girl(head: list[Part], holding: bool) -> tuple[Part, ...]:
    right = ("32 44 38.6 51 41 43", (41.4, 40)) if holding else ("32 44 36.4 53 36 63", (36, 66))
    legs = [S("18.6 82 18 94", 6, "skin-", end=5), S("27.4 82 28 94", 6, "skin", end=5)]
    dress = B("14 43 18 40 28 40 32 43 31 55 34 68 38.6 82 30 85 23 85.4 16 85 7.4 82 12 68 15 55", "c")
    return (*legs, *_shoes(17.6, 28.4, 99.5), *_arm(("14 44 9.6 53 10 63", (10, 66))), dress,
            S("14.6 58 23 60 31.4 58", 2.6, "c!"), *_arm(right, "c+" if holding else "c-"), *head)


def _sitting(head: list[Part], top: float, skirt: bool) -> tuple[Part, ...]:
    """Seen from in front on a chair or a bench: knees towards us, feet on the ground."""
    cloth = "c" if skirt else "legs"
    shin = "skin" if skirt else "legs-"
    shins = [S("16.4 69 15.8 92", 7.6, shin, end=6), S("29.6 69 30.2 92", 7.6, shin, end=6)]
    return (*shins, *_shoes(15.4, 30.6, 98), *_arm((f"12.6 {top + 5} 8 46 12 58", (14, 61))), _torso(top, 64, 12.4),
            B("10.6 64 11.6 59 17 58.6 23 60 29 58.6 34.4 59 35.4 64 34.4 72 27 74 23 70 19 74 11.6 72", cloth),
            *_arm((f"33.4 {top + 5} 38 46 34 58", (32, 61))), *head)


def _riding(head: list[Part], top: float, skirt: bool) -> tuple[Part, ...]:
    """Seen from the side, facing right: one leg over the seat, arms ahead."""
    leg = "legs" if not skirt else "c"
    return (S(f"26 {top + 6} 36 {top + 15} 44 {top + 17}", 6.6, "c--", end=5.6), E(45.6, top + 17.4, 3.2, 3.2, "skin-"),
            B(f"15 {top + 3} 20 {top} 28 {top} 32 {top + 4} 31 50 30 65 17 66 14.4 56", "c"),
            S("22 62 33 68 37 74", 11, leg, end=8.4),
            S("36.6 73 37 81 35.6 88", 8, "legs-" if not skirt else "skin", end=6.4),
            B("32 94 32.6 89 38 88.4 41 90.6 45 92 45 95", SHOE),
            S(f"22 {top + 6} 29 {top + 17} 41 {top + 19}", 7, "c-", end=5.8), E(43, top + 19, 3.4, 3.4, "skin"),
            *head)


def _looks(head: Head, top: float, middle: float, bodies: Sequence[Body], skirt: bool) -> tuple[Look, ...]:
    """A person standing (in each of the bodies), holding, sitting and riding; `top` is where the shoulders are."""
    looks = [Look(46, 100, body(head(23, middle, 0.0), False), poses=("standing",)) for body in bodies]
    hand = {"hand": (43.4, 30.0 if top < 35 else 40.0)}
    looks.append(Look(48, 100, bodies[0](head(23, middle, 0.0), True), hand, poses=("holding",)))
    looks.append(Look(46, 98, _sitting(head(23, middle, 0.0), top, skirt), {"seat": (23, 66)}, poses=("sitting",)))
    looks.append(Look(50, 95, _riding(head(24, middle, 2.0), top, skirt), {"seat": (22, 66)}, poses=("riding",)))
    return tuple(looks)


def _walking(head: list[Part], holding: bool) -> tuple[Part, ...]:
    return _standing(head, holding, 5.0)


_BOY, _GIRL = _looks(_child_head, 40, 22, (_child,), False), _looks(_girl_head, 40, 22, (_girl,), True)
KINDS = (
    Kind("man", 1.7, _looks(_man_head, 28, 14.5, (_standing, _walking), False), slots=SLOTS),
    Kind("woman", 1.65, _looks(_woman_head, 28, 14.5, (_dressed, _walking), True), slots=SLOTS),
    Kind("child", 1.25, _BOY + _GIRL, names=("boy",) * len(_BOY) + ("girl",) * len(_GIRL), slots=SLOTS),
)
