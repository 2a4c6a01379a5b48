"""Furniture and small things. A lamp's colour is that of its shade, a bed's of its blanket, a cake's of its icing."""

from __future__ import annotations

from ..shapes import B, E, Kind, Look, P, Part, R, S, arch

BENCH = Look(132, 72, (
    R(8, 4, 124, 13, 3, "c"), R(8, 17, 124, 26, 3, "c"), R(8, 30, 124, 38, 3, "c-"), R(16, 2, 23, 50, 2, "#4a4a52"),
    R(109, 2, 116, 50, 2, "#4a4a52"),
    R(2, 44, 130, 53, 3, "c+"), R(2, 53, 130, 57, 2, "c--"), R(14, 56, 22, 72, 2, "#4a4a52"),
    R(110, 56, 118, 72, 2, "#4a4a52"),
), {"seat": (66, 46), "top": (66, 47), "top_width": (96, 0)})
PLAIN_BENCH = Look(124, 44, (
    R(14, 12, 24, 44, 2, "c--"), R(100, 12, 110, 44, 2, "c--"), R(18, 27, 106, 33, 2, "c--"),
    P("10 2 114 2 122 12 2 12", "c+"), R(2, 10, 122, 18, 3, "c"),
), {"seat": (62, 8), "top": (62, 8), "top_width": (92, 0)})
CHAIR = Look(68, 104, (
    R(12, 2, 56, 15, 5, "c"), R(12, 4, 19, 62, 3, "c-"), R(49, 4, 56, 62, 3, "c-"), R(12, 22, 56, 32, 2, "c"),
    R(12, 39, 56, 49, 2, "c"),
    R(14, 66, 20, 94, 2, "c--"), R(48, 66, 54, 94, 2, "c--"),
    P("12 56 56 56 64 68 4 68", "c+"), R(4, 67, 64, 73, 2, "c--"), R(5, 72, 12, 104, 2, "c"),
    R(56, 72, 63, 104, 2, "c-"),
), {"seat": (34, 62), "top": (34, 65), "top_width": (30, 0)})
ARMCHAIR = Look(100, 96, (
    B("16 62 16 22 24 6 50 2 76 6 84 22 84 62", "c"), B("26 58 26 26 32 15 50 12 68 15 74 26 74 58", "c+"),
    R(18, 54, 82, 84, 4, "c-"), R(20, 50, 80, 66, 7, "c"), B("2 84 2 48 6 40 14 38 22 42 24 50 24 86 6 88", "c"),
    B("98 84 98 48 94 40 86 38 78 42 76 50 76 86 94 88", "c-"),
    R(8, 86, 16, 96, 2, "#5a4030"), R(84, 86, 92, 96, 2, "#5a4030"),
), {"seat": (50, 56), "top": (50, 56), "top_width": (40, 0)}, poses=("standing", "for sitters"))
TABLE = Look(140, 74, (
    R(26, 18, 34, 60, 2, "c--"), R(106, 18, 114, 60, 2, "c--"), R(12, 14, 128, 25, 2, "c-"),
    P("18 2 122 2 138 13 2 13", "c+"), R(2, 12, 138, 18, 2, "c"), R(8, 18, 18, 74, 2, "c"),
    R(122, 18, 132, 74, 2, "c-"),
), {"top": (70, 8), "top_width": (112, 0)})
ROUND_TABLE = Look(120, 76, (
    P("54 14 66 14 66 60 80 72 92 76 28 76 40 72 54 60", "c-"), P("62 14 66 14 66 60 80 72 92 76 62 76", "c--"),
    E(60, 13, 58, 12, "c--"), E(60, 10.5, 58, 10.5, "c+"),
), {"top": (60, 11), "top_width": (84, 0)})
BED = Look(160, 92, (
    R(2, 4, 14, 92, 4, "#8a5c38"), R(146, 34, 158, 92, 4, "#7a4e2e"), R(8, 48, 152, 74, 3, "#7a4e2e"),
    R(10, 38, 150, 62, 8, "#f4f1ea"),
    B("14 42 14 30 22 25 40 25 48 30 48 42 40 46 22 46", "#ffffff"),
    B("16 42 48 40 48 46 22 47", "#dcdfe8", inside=True),
    B("50 40 60 36 100 35 140 36 150 40 150 66 146 78 130 76 112 79 94 76 76 79 60 76 54 78 50 66", "c"),
    B("50 40 60 36 72 35.6 70 50 68 79 56 78 50 66", "c+", inside=True),
    S("56 66 80 68 104 66 128 68 148 66", 2.4, "c-", inside=True),
), {"top": (96, 38), "top_width": (84, 0), "seat": (98, 40)})
PLAIN_BED = Look(150, 104, (
    B("20 70 20 22 32 8 75 3 118 8 130 22 130 70", "#9a6a42"),
    B("30 60 30 26 40 15 75 11 110 15 120 26 120 60", "#b07c50"),
    B("18 58 24 48 60 46 90 46 126 48 132 58 132 80 18 80", "#f4f1ea"),
    B("30 56 30 44 38 40 62 40 70 44 70 56 62 59 38 59", "#ffffff"),
    B("80 56 80 44 88 40 112 40 120 44 120 56 112 59 88 59", "#ffffff"),
    R(30, 53, 120, 60, 3, "#dcdfe8", inside=True),
    B("8 96 12 70 20 62 75 59 130 62 138 70 142 96 136 100 75 101 14 100", "c"),
    B("20 62 75 59 130 62 134 66 136 72 75 69 14 72 16 66", "c+", inside=True),
    B("8 86 75 90 142 86 142 104 8 104", "c-", inside=True), R(12, 98, 22, 104, 1, "#6a4630"),
    R(128, 98, 138, 104, 1, "#6a4630"),
), {"top": (75, 74), "top_width": (90, 0), "seat": (75, 74)})
FLOOR_LAMP = Look(60, 150, (
    E(30, 145, 19, 5, "#4a4650"), R(27.4, 40, 32.6, 145, 1, "#6a6672"), E(30, 47, 7, 6, "#fff2b8", flat=True),
    P("18 4 42 4 58 46 2 46", "c"), P("18 4 26 4 18 46 2 46", "c+", inside=True),
    R(2, 42, 58, 48, 1, "c!", inside=True, flat=True),
))
TABLE_LAMP = Look(72, 92, (
    B("26 88 22 74 26 62 33 52 33 40 39 40 39 52 46 62 50 74 46 88", "#c8a25c"), R(20, 85, 52, 92, 3, "#8a6a38"),
    P("22 3 50 3 70 46 2 46", "c"), P("22 3 32 3 22 46 2 46", "c+", inside=True),
    R(2, 41, 70, 46, 0, "c!", inside=True, flat=True),
), poses=("standing", "on top"))
STREET_LAMP = Look(64, 170, (
    R(20, 156, 44, 170, 3, "#3e424c"), R(28.4, 48, 35.6, 160, 1, "#4a4f5a"), R(24, 92, 40, 98, 2, "#3e424c"),
    P("14 18 50 18 44 50 20 50", "#fff0b0"), P("14 18 26 18 28 50 20 50", "#ffffff", inside=True, alpha=0.6),
    P("32 -1 46 10 56 20 8 20 18 10", "c"), P("32 -1 18 10 8 20 22 20", "c+", inside=True),
    R(17, 48, 47, 54, 1, "c-"), E(32, 2, 3.4, 3.4, "c"),
), poses=("street",))


def _canopy(x: float, y: float, rx: float, ry: float) -> list[Part]:
    """An open umbrella's cloth above (x, y): a dome with five scallops, light and dark by turns."""
    edge = [x - rx + rx * 0.4 * k for k in range(6)]
    low = "".join(f" {(a + b) / 2} {y - ry * 0.13} {b} {y}" for a, b in zip(edge[::-1], edge[::-1][1:]))
    dome = " ".join(f"{x + (px - x) * rx} {y + (py - y) * ry}" for px, py in arch(x, y, 1.0, 0.9, "c").points[:25])
    folds = [(edge[0], edge[1], "c+"), (edge[2], edge[3], "c+"), (edge[4], edge[5], "c--")]
    return [P(dome + low, "c"), *(_fold(x, y, ry, a, b, paint) for a, b, paint in folds)]


def _fold(x: float, y: float, ry: float, left: float, right: float, paint: str) -> Part:
    """One panel of the cloth, from the tip to between two points of the edge."""
    middle = (left + right) / 2
    bulge = x + 0.1 * (middle - x)
    one, other = bulge + 0.75 * (left - x), bulge + 0.75 * (right - x)
    high, low = y - ry * 0.62, y - ry * 0.1
    return B(f"{x} {y - ry} {one} {high} {left} {y} {middle} {low} {right} {y} {other} {high}", paint, inside=True)


UMBRELLA = Look(104, 100, (
    S("52 20 52 88 53 95 60 96 63 90", 4.4, "#6a4a34"), *_canopy(52, 48, 50, 44), S("52 8 52 2", 4, "#6a4a34"),
), {"grip": (52, 84)}, poses=("standing", "held"))
PARASOL = Look(120, 118, (
    R(57.4, 20, 62.6, 118, 1, "#b08a58"), *_canopy(60, 50, 57, 44), E(60, 6, 3.6, 3.6, "#b08a58"),
), poses=("standing",))


def _ball(stripe: bool) -> tuple[Part, ...]:
    marks = (
        [B("-4 40 20 30 40 28 60 30 84 40 84 52 60 43 40 41 20 43 -4 52", "c!", inside=True)]
        if stripe
        else [
            B("40 -4 52 -4 66 18 66 58 52 84 40 84 54 58 54 20", "c!", inside=True),
            B("-2 20 14 26 22 42 14 58 -2 64", "c!", inside=True),
            E(40, 6, 7, 4, "#ffffff", inside=True),
        ]
    )
    return (E(40, 40, 38, 38, "c"), *marks, E(27, 23, 10, 8, "#ffffff", alpha=0.55, inside=True, flat=True))


CUP = Look(96, 78, (
    E(46, 72, 44, 6, "#e8e2da"), E(46, 70.6, 40, 4.6, "#ffffff"), S("66 30 86 28 88 46 66 54", 7.4, "c-"),
    B("12 18 14 46 24 64 34 69 58 69 68 64 78 46 80 18", "c"),
    B("62 18 80 18 78 46 68 64 56 69 62 46", "c-", inside=True), E(46, 18, 34, 9, "c+"),
    E(46, 19, 29, 6.6, "#6b3e26"), E(40, 18, 9, 2.4, "#8f5a3a", flat=True),
), {"grip": (20, 60)})
MUG = Look(82, 78, (
    S("52 24 74 24 76 52 52 58", 8.4, "c-"), R(6, 10, 58, 77, 8, "c"), R(42, 8, 58, 78, 0, "c-", inside=True),
    R(6, 40, 58, 52, 0, "c!", inside=True), E(32, 11, 26, 7.4, "c+"), E(32, 12, 21.6, 5.2, "#6b3e26"),
), {"grip": (12, 66)})
PIZZA = Look(128, 62, (
    E(64, 36, 63, 24, "#e2e4ea"), E(64, 33, 60, 22.4, "#ffffff"), E(64, 30, 56, 21, "#b87436"),
    E(64, 27.6, 56, 20.4, "#dc9c50"), E(64, 27.4, 48.6, 16.4, "#f6cc58"),
    *(E(x, y, 8.4, 4.6, "#c83c30") for x, y in ((40, 22), (64, 16.6), (88, 22), (50, 33), (80, 34))),
    *(E(x, y, 5, 2.4, "#4c9440", flat=True) for x, y in ((54, 25.6), (75, 26), (64, 38), (31, 29), (98, 30))),
))
SLICE = Look(116, 100, (
    E(58, 54, 57, 45, "#d4d8e0"), E(58, 51, 57, 45, "#ffffff"), E(58, 51, 44, 34, "#e9ebf0"),
    P("18 30 98 30 60 92", "#c88a3e"), P("20 26 96 26 60 86", "#f6cc58"),
    S("18 24 38 15 78 15 98 24", 13, "#d08c44"), E(44, 37, 9.4, 7.4, "#c83c30"), E(74, 39, 9.4, 7.4, "#c83c30"),
    E(59, 60, 8.6, 7, "#c83c30"),
    E(59, 42, 4.6, 3.2, "#4c9440", flat=True), E(50, 51, 4.2, 3.2, "#4c9440", flat=True),
    E(70, 53, 4.2, 3.2, "#4c9440", flat=True),
))
CAKE = Look(108, 98, (
    E(54, 90, 53, 7.6, "#d4d8e0"), E(54, 88.4, 50, 6, "#ffffff"), R(10, 44, 98, 88, 9, "#f2d8a0"),
    R(10, 62, 98, 70, 0, "c-", inside=True, flat=True), E(54, 44, 44, 11, "c+"),
    B("10 42 54 34 98 42 98 56 92 62 86 55 78 54 72 66 64 56 56 55 48 64 40 56 32 55 24 67 17 56 12 58", "c"),
    E(54, 43, 43, 10, "c+"),
    *(part for x in (32, 54, 76) for part in (R(x - 2.8, 18, x + 2.8, 43, 1, "candle"),
    B(f"{x} 4 {x + 4} 12 {x} 18 {x - 4} 12", "#ffb428", flat=True))),
))
CAKE_SLICE = Look(96, 84, (
    E(48, 77, 47, 7, "#d4d8e0"), E(48, 75.4, 44, 5.4, "#ffffff"), P("8 36 70 24 92 40 92 72 8 74", "#f2d8a0"),
    P("8 51 92 53 92 60 8 59", "c-", flat=True), P("6 30 70 14 94 34 94 44 6 42", "c"), P("6 30 70 14 94 34", "c+"),
    E(60, 19, 8.4, 7.6, "#d82c3c"), S("60 12 64 5", 2.4, "#4c9440"),
))

_RAYS = ((1, 0), (0.8, 0.6), (0.6, 0.8), (0, 1), (-0.6, 0.8), (-0.8, 0.6),
         (-1, 0), (-0.8, -0.6), (-0.6, -0.8), (0, -1), (0.6, -0.8), (0.8, -0.6))


def _ray(c: float, s: float) -> Part:
    """One of the sun's rays, in the direction (c, s)."""
    foot = (50 + 34 * c, 50 + 34 * s)
    tip, one, other = (50 + 50 * c, 50 + 50 * s), (foot[0] - 9 * s, foot[1] + 9 * c), (foot[0] + 9 * s, foot[1] - 9 * c)
    return P(" ".join(f"{x} {y}" for x, y in (tip, one, other)), "#ffc53a", flat=True)


SUN = Look(100, 100, (
    *(_ray(c, s) for c, s in _RAYS), E(50, 50, 34, 34, "#ffd84e"), E(46, 45, 24, 24, "#ffe682", alpha=0.6, flat=True),
), poses=("flying",))
PLAIN_SUN = Look(
    100, 100, (E(50, 50, 46, 46, "#ffd84e"), E(45, 44, 33, 33, "#ffe682", alpha=0.6, flat=True)), poses=("flying",)
)
MOON = Look(100, 100, (E(50, 50, 46, 46, "#f6f0d4"), E(36, 38, 10, 9, "#ddd6b8", inside=True, flat=True),
    E(64, 60, 13, 12, "#ddd6b8", inside=True, flat=True), E(62, 28, 6, 6, "#ddd6b8", inside=True, flat=True),
    E(34, 68, 6, 6, "#ddd6b8", inside=True, flat=True)), poses=("flying",))
CRESCENT = Look(
    84, 100, (B("54 3 22 10 4 36 6 66 26 92 56 98 78 86 56 82 40 66 36 46 42 24", "#f6f0d4"),), poses=("flying",)
)


_BANDS = ("#e8444c", "#f6943a", "#fadc4a", "#52b85a", "#4a86e0", "#9458c8")
RAINBOW = Look(200, 100,
tuple(arch(100, 100, 100 - 7 * k, 92.6 - 7 * k, paint, flat=True, alpha=0.9) for k, paint in enumerate(_BANDS)),
    poses=("flying",))


KINDS = (
    Kind("bench", 0.95, (BENCH, PLAIN_BENCH)),
    Kind("chair", 1.15, (CHAIR, ARMCHAIR), names=("chair", "armchair")),
    Kind("table", 0.85, (TABLE, ROUND_TABLE), names=("table", "round table")),
    Kind("bed", 1.15, (BED, PLAIN_BED), names=("single bed", "double bed")),
    Kind(
        "lamp",
        1.7,
        (FLOOR_LAMP, TABLE_LAMP, STREET_LAMP),
        names=("floor lamp", "table lamp", "street lamp"),
        shadow=0.7,
    ),
    Kind("umbrella", 1.25, (UMBRELLA, PARASOL), names=("umbrella", "parasol"), shadow=0.6),
    Kind("ball", 0.5, (Look(80, 80, _ball(True), {"grip": (20, 62)}), Look(80, 80, _ball(False), {"grip": (20, 62)}))),
    Kind("cup", 0.42, (CUP, MUG), names=("cup", "mug")),
    Kind("pizza", 0.34, (PIZZA, SLICE), names=("whole", "slice")),
    Kind(
        "cake",
        0.55,
        (CAKE, CAKE_SLICE),
        names=("whole", "slice"),
        slots=({"candle": "#5aa0e0"}, {"candle": "#f07a9a"}, {"candle": "#f4f0e6"}),
    ),
    Kind("sun", 1.0, (SUN, PLAIN_SUN), shadow=0.0),
    Kind("moon", 1.0, (MOON, CRESCENT), names=("full moon", "crescent moon"), shadow=0.0),
    Kind("rainbow", 1.5, (RAINBOW,), shadow=0.0),
)
