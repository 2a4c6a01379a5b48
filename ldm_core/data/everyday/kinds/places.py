"""Buildings and plants. The colour is that of a house's walls, a castle's stone or a flower's petals."""

from __future__ import annotations

from ..shapes import B, E, Kind, Look, P, Part, R, S

PANE, FRAME, DOOR = "glass", "#f6f0e2", "#7a4a2e"


def _window(x: float, y: float, width: float, height: float) -> list[Part]:
    return [R(x - 2.6, y - 2.6, x + width + 2.6, y + height + 2.6, 1, FRAME), R(x, y, x + width, y + height, 0, PANE),
            R(x + width / 2 - 1.1, y, x + width / 2 + 1.1, y + height, 0, FRAME, flat=True),
            R(x - 4, y + height + 1.6, x + width + 4, y + height + 5, 1, FRAME)]


COTTAGE = Look(128, 108, (
    R(88, 8, 101, 42, 1, "#a8694e"), R(86, 6, 103, 12, 1, "#8a523c"),
    R(14, 46, 114, 108, 0, "c"), R(14, 46, 114, 55, 0, "c--", inside=True), R(78, 46, 114, 108, 0, "c-", inside=True),
    P("2 50 26 12 102 12 126 50", "roof"), P("2 50 5 45 123 45 126 50", "roof-"),
    S("16 38 112 38", 1.8, "roof-", flat=True), S("22 28 106 28", 1.8, "roof-", flat=True),
    *_window(26, 66, 19, 18), *_window(84, 66, 19, 18), R(55, 66, 75, 108, 2, FRAME),
    R(57.5, 69, 72.5, 108, 1, DOOR), E(69.4, 90, 1.7, 1.7, "#f0c850", flat=True),
), {"top": (58, 13), "top_width": (40, 0)})
TALL_HOUSE = Look(100, 134, (
    R(66, 12, 78, 46, 1, "#a8694e"), R(64, 10, 80, 16, 1, "#8a523c"),
    P("12 52 50 10 88 52 88 134 12 134", "c"), P("60 20 88 52 88 134 60 134", "c-", inside=True),
    P("50 2 98 54 90 60 50 16 10 60 2 54", "roof"), P("50 2 98 54 90 60 50 16", "roof-"),
    E(50, 42, 7.4, 7.4, FRAME), E(50, 42, 5, 5, PANE), *_window(22, 66, 17, 18), *_window(61, 66, 17, 18),
    *_window(22, 102, 17, 16),
    R(58, 98, 80, 134, 2, FRAME), R(60.5, 101, 77.5, 134, 1, DOOR), E(73.6, 118, 1.8, 1.8, "#f0c850", flat=True),
), {"top": (50, 3), "top_width": (4, 0)})
BARN_HOUSE = Look(150, 96, (
    P("96 40 130 40 144 62 144 96 84 96 84 60", "c-"),
    P("88 60 100 30 134 30 148 62 90 62", "roof-"),
    P("10 50 46 14 82 50 82 96 10 96", "c"), P("46 14 82 50 82 96 64 96 64 30", "c-", inside=True),
    P("46 6 90 52 84 57 46 18 8 57 2 52", "roof"),
    *_window(37, 44, 18, 15), R(34, 68, 58, 96, 2, FRAME), R(36.6, 71, 55.4, 96, 1, DOOR),
    E(52, 84, 1.7, 1.7, "#f0c850", flat=True), *_window(101, 70, 22, 13),
), {"top": (112, 30), "top_width": (20, 0)})


def _battlements(x0: float, x1: float, y: float, n: int, paint: str) -> list[Part]:
    step = (x1 - x0) / (2 * n - 1)
    return [R(x0 + 2 * k * step, y - step * 1.1, x0 + (2 * k + 1) * step, y + 1, 0, paint) for k in range(n)]


def _flag(x: float, y: float) -> list[Part]:
    return [
        S(f"{x} {y} {x} {y + 16}", 2.4, "#6a5140", smooth=False),
        P(f"{x} {y} {x + 15} {y + 5} {x} {y + 10}", "#d8404a"),
    ]


def _slit(x: float, y: float, w: float = 4.0) -> Part:
    return B(f"{x - w} {y + 12} {x - w} {y + 2} {x} {y - 4} {x + w} {y + 2} {x + w} {y + 12}", "#4c4652")


CASTLE = Look(140, 128, (
    *_flag(70, 2), R(50, 30, 90, 128, 0, "c-"), P("46 34 70 12 94 34", "roof"), P("70 12 94 34 78 34", "roof-"),
    _slit(70, 48),
    R(26, 68, 114, 128, 0, "c"), *_battlements(26, 114, 68, 6, "c"), R(26, 74, 114, 78, 0, "c-", inside=True),
    R(6, 48, 36, 128, 0, "c+"), R(24, 48, 36, 128, 0, "c-", inside=True), *_battlements(3, 39, 48, 3, "c+"),
    R(3, 46, 39, 53, 0, "c"), _slit(20, 64), _slit(20, 92),
    R(104, 48, 134, 128, 0, "c"), R(122, 48, 134, 128, 0, "c--", inside=True), *_battlements(101, 137, 48, 3, "c"),
    R(101, 46, 137, 53, 0, "c-"), _slit(118, 64), _slit(118, 92),
    B("54 128 54 100 60 88 70 83 80 88 86 100 86 128", "c--"),
    B("58 128 58 102 63 92 70 88 77 92 82 102 82 128", DOOR), S("70 90 70 127", 2, "#5a3420", flat=True),
))
TOWERS = Look(112, 138, (
    *_flag(30, 0), *_flag(88, 14),
    R(34, 62, 80, 138, 0, "c"), *_battlements(36, 78, 62, 4, "c"), _slit(57, 78), _slit(45, 80, 3), _slit(69, 80, 3),
    R(14, 46, 46, 138, 0, "c"), R(34, 46, 46, 138, 0, "c-", inside=True), P("8 48 30 10 52 48", "roof"),
    P("30 10 52 48 36 48", "roof-"), R(10, 46, 50, 52, 0, "c-"), _slit(30, 62), _slit(30, 98),
    R(74, 58, 104, 138, 0, "c"), R(92, 58, 104, 138, 0, "c--", inside=True), P("68 60 89 26 110 60", "roof"),
    P("89 26 110 60 95 60", "roof-"), R(70, 58, 108, 64, 0, "c-"), _slit(89, 74), _slit(89, 106),
    B("46 138 46 116 52 107 59 104 66 107 72 116 72 138", "c--"),
    B("49.6 138 49.6 118 54 110 59 108 64 110 68.4 118 68.4 138", DOOR),
))

PINE = Look(92, 128, (
    R(40, 104, 53, 128, 2, "#7a5234"),
    P("46 56 88 110 66 107 46 112 26 107 4 110", "leaf-"), P("46 56 26 107 4 110", "leaf"),
    P("46 56 46 112 26 107", "leaf"),
    P("46 30 78 80 62 78 46 82 30 78 14 80", "leaf-"), P("46 30 46 82 30 78 14 80", "leaf"),
    P("46 2 68 50 57 48 46 52 35 48 24 50", "leaf-"), P("46 2 46 52 35 48 24 50", "leaf+"),
))
TALL_PINE = Look(76, 140, (
    R(33, 116, 43, 140, 2, "#7a5234"),
    *(part for top, low, half in ((66, 122, 35), (46, 98, 30), (26, 74, 24), (2, 50, 17)) for part in (
        B(f"38 {top} {38 + half * 0.5} {(top + low) / 2} {38 + half} {low} {38 + half * 0.4} {low + 1} 38 {low + 5} "
        f"{38 - half * 0.4} {low + 1} {38 - half} {low} {38 - half * 0.5} {(top + low) / 2}",
        "leaf-"),
        B(f"38 {top} 39 {(top + low) / 2} 38 {low + 4} {38 - half * 0.4} {low + 0.6} {38 - half * 0.96} {low - 0.4} "
        f"{38 - half * 0.5} {(top + low) / 2}",
        "leaf"))),
))


def _frond(x: float, y: float, dx: float, dy: float, drop: float, paint: str) -> Part:
    mx, my = x + dx * 0.5, y + dy * 0.5 - abs(dx) * 0.22
    return B(
        f"{x} {y - 3} {mx} {my - 5} {x + dx * 0.82} {y + dy * 0.7 - 3} {x + dx} {y + dy + drop} "
        f"{x + dx * 0.72} {y + dy * 0.7 + 6} {mx} {my + 7} {x} {y + 3}",
        paint,
    )


def _palm(lean: float, low: float) -> tuple[Part, ...]:
    x, y = 56 + lean, 40.0
    trunk = [S(f"{56 - lean * 0.6} {low - 4} {56 - lean * 0.2} {low * 0.66} {x} {y}", 12, "#a8794a", end=7)]
    rings = [
        S(
            f"{56 - lean * (0.5 - k * 0.22) - 3.6} {low - 14 - k * 16} {56 - lean * (0.5 - k * 0.22) + 3.6} "
            f"{low - 14 - k * 16}",
            2.6,
            "#8a6038",
            flat=True,
        )
        for k in range(5)
    ]
    back = [_frond(x, y, dx, dy, 4, "leaf--") for dx, dy in ((-34, 18), (34, 20), (12, -30), (-16, -28))]
    front = [
        _frond(x, y, dx, dy, 6, paint)
        for dx, dy, paint in (
            (-50, 2, "leaf-"),
            (-38, -18, "leaf"),
            (48, 4, "leaf-"),
            (38, -18, "leaf"),
            (2, 22, "leaf"),
        )
    ]
    return (*trunk, *rings, *back, *front, E(x - 5, y + 5, 4.6, 4.6, "#7c5028"), E(x + 5, y + 6, 4.6, 4.6, "#8c5c30"))


_CROWN = ((28, 52, 24), (82, 52, 25), (40, 30, 24), (70, 28, 25), (56, 50, 30), (42, 66, 18), (72, 66, 18))
OAK = Look(110, 132, (
    S("56 128 56 70", 15, "#7a5234", end=12), P("46 132 50 112 62 112 68 132", "#7a5234"),
    S("56 92 42 76", 7, "#6a4428"), S("57 92 72 74", 7, "#6a4428"),
    *(E(x, y + 2, r, r, "leaf-") for x, y, r in _CROWN),
    *(E(x - 2, y - 2.5, r * 0.86, r * 0.86, "leaf") for x, y, r in _CROWN), E(56, 44, 30, 24, "leaf"),
    E(42, 28, 14, 10, "leaf+", alpha=0.8), E(72, 42, 10, 7, "leaf+", alpha=0.7), E(28, 50, 10, 7, "leaf+", alpha=0.7),
))
ROUND_OAK = Look(96, 128, (
    S("48 124 48 66", 13, "#7a5234", end=10), P("40 128 43 108 53 108 57 128", "#7a5234"),
    B("48 2 70 8 88 26 94 48 86 70 66 82 48 84 30 82 10 70 2 48 8 26 26 8", "leaf-"),
    B("46 3 66 9 80 26 84 46 76 66 58 76 44 77 28 76 10 66 4 46 10 26 26 9", "leaf", inside=True),
    E(36, 28, 18, 13, "leaf+", alpha=0.75), E(60, 52, 13, 9, "leaf+", alpha=0.5),
))


def _bloom(x: float, y: float, r: float) -> list[Part]:
    petals = [
        E(x + dx * r, y + dy * r, r * 0.66, r * 0.66, "c" if k % 2 else "c+")
        for k, (dx, dy) in enumerate(((0, -0.8), (0.76, -0.25), (0.47, 0.65), (-0.47, 0.65), (-0.76, -0.25)))
    ]
    return [*petals, E(x, y, r * 0.46, r * 0.46, "heart")]


def _tulip(x: float, y: float, r: float) -> list[Part]:
    return [B(f"{x} {y - r} {x + r * 0.5} {y - r * 0.5} {x + r} {y - r} {x + r} {y + r * 0.4} {x} {y + r} {x - r} "
    f"{y + r * 0.4} {x - r} {y - r} {x - r * 0.5} {y - r * 0.5}", "c"),
            P(f"{x - r * 0.5} {y - r * 0.3} {x} {y - r * 1.15} {x + r * 0.5} {y - r * 0.3} {x} {y + r * 0.6}", "c+")]


_STEMS = ((24, 34), (52, 20), (80, 32), (38, 56), (68, 58))
FLOWERS = Look(104, 92, (
    *(S(f"{x} {y} {x * 0.6 + 21} 72 {x * 0.35 + 34} 92", 3.6, "#3c8a3e") for x, y in _STEMS),
    B("40 90 22 82 8 66 24 66 40 78", "#4ea04a"), B("64 90 82 82 96 66 80 66 64 78", "#3c8a3e"),
    *(part for x, y in _STEMS for part in _bloom(x, y, 14)),
), {"grip": (34, 82)})
TULIPS = Look(104, 92, (
    *(S(f"{x} {y} {x * 0.8 + 10} 70 {x * 0.7 + 15} 91", 3.6, "#3c8a3e") for x,
    y in ((18, 30), (38, 18), (60, 26), (84, 22))),
    *(B(f"{x} 91 {x - 10} 72 {x - 9} 56 {x - 1} 72", "#4ea04a") for x in (30, 58)),
    *(B(f"{x} 91 {x + 10} 72 {x + 9} 54 {x + 1} 72", "#3c8a3e") for x in (46, 76)),
    *(part for x, y in ((18, 28), (38, 16), (60, 26), (84, 20)) for part in _tulip(x, y, 11.5)),
), {"grip": (34, 82)})

VASE = Look(76, 96, (
    *(S(f"{x} {y} {x * 0.5 + 19} 52 38 62", 3.4, "#3c8a3e") for x,
    y in ((15, 20), (38, 14), (61, 20), (27, 34), (50, 34))),
    B("30 60 16 52 10 40 24 44 36 58", "#4ea04a"), B("46 60 60 52 66 40 52 44 40 58", "#3c8a3e"),
    B("26 56 50 56 47 64 56 76 54 90 48 96 28 96 22 90 20 76 29 64", "#dfe6ee"),
    B("40 56 50 56 47 64 56 76 54 90 48 96 40 96", "#b9c4d4", inside=True),
    *(part for x, y in ((15, 20), (61, 20), (27, 34), (50, 34), (38, 14)) for part in _bloom(x, y, 11.4)),
), poses=("on top",))

ROOFS = tuple({"roof": roof} for roof in ("#9c4a38", "#7c4436", "#5c5666", "#84503a"))
KINDS = (
    Kind("house", 3.0, (COTTAGE, TALL_HOUSE, BARN_HOUSE), names=("cottage", "tall house", "farmhouse"), slots=ROOFS),
    Kind(
        "castle",
        4.0,
        (CASTLE, TOWERS),
        slots=({"roof": "#4a6a9a"}, {"roof": "#8a4a4a"}, {"roof": "#5c5674"}),
        natural="#b4b2b4",
    ),
    Kind("pine", 3.0, (PINE, TALL_PINE), shadow=0.7, slots=({"leaf": "#2c7a4a"}, {"leaf": "#266c50"})),
    Kind(
        "palm",
        3.0,
        (Look(112, 132, _palm(8, 132)), Look(112, 126, _palm(-10, 126))),
        shadow=0.4,
        slots=({"leaf": "#3e9c48"}, {"leaf": "#4ea850"}),
    ),
    Kind(
        "oak", 3.0, (OAK, ROUND_OAK), shadow=0.6, slots=({"leaf": "#5c9e3c"}, {"leaf": "#4c9040"}, {"leaf": "#6ca83e"})
    ),
    Kind(
        "flowers",
        0.75,
        (FLOWERS, TULIPS, VASE),
        names=("daisies", "tulips", "vase"),
        shadow=0.5,
        slots=({"heart": "#f6c840"},),
    ),
)
