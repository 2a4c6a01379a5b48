"""Vehicles, seen from the side and facing right. The colour is that of the body, the sail or the envelope."""

from __future__ import annotations

from ..shapes import B, E, Kind, Look, P, Part, R, S, ring

GLASS, TYRE, RIM, LAMP = "#bfe0f2", "#33323a", "#c9ccd4", "#ffe9a0"


def _wheel(x: float, y: float, r: float) -> list[Part]:
    return [E(x, y, r, r, TYRE), E(x, y, r * 0.56, r * 0.56, RIM), E(x, y, r * 0.2, r * 0.2, "#70747e", flat=True)]


SALOON = Look(132, 56, (
    B("26 24 36 5 48 1 76 1 88 5 102 24", "c"), B("34 24 42 8 50 5 61 5 61 24", GLASS),
    B("66 24 66 5 76 5 84 9 95 24", GLASS),
    B("2 40 4 28 16 23 40 22 90 22 116 25 129 31 131 42 127 47 6 47", "c"), R(2, 41, 131, 48, 3, "c--", inside=True),
    S("63.5 24 63.5 42", 1.8, "c--", flat=True),
    R(68, 28, 76, 31, 1.5, "c--", flat=True), B("120 29 129 31 130 37 121 36", LAMP), R(1, 30, 7, 37, 2, "#d8404a"),
    *_wheel(30, 45, 11), *_wheel(102, 45, 11),
), {"top": (62, 2), "top_width": (30, 0)})  # fmt: skip
BEETLE = Look(118, 64, (
    B("4 44 8 30 22 24 32 8 48 2 68 2 84 10 92 25 108 30 115 42 112 51 8 51", "c"),
    B("30 26 38 12 48 8 54 8 54 26", GLASS), B("60 26 60 8 68 8 78 13 85 26", GLASS),
    R(3, 44, 116, 53, 3, "c--", inside=True), S("57 28 57 46", 1.8, "c--", flat=True),
    R(61, 31, 68, 34, 1.5, "c--", flat=True), E(107, 36, 5, 5, LAMP), R(3, 34, 8, 41, 2, "#d8404a"),
    *_wheel(29, 51, 12.4), *_wheel(90, 51, 12.4),
), {"top": (58, 3), "top_width": (28, 0)})  # fmt: skip
BUS = Look(150, 78, (
    R(2, 4, 148, 66, 9, "c"), R(2, 47, 148, 52, 0, "c!", inside=True), R(2, 58, 148, 68, 0, "c--", inside=True),
    *(R(x, 14, x + 19, 37, 3.5, GLASS) for x in (9, 32, 55, 78)), R(124, 14, 148, 42, 3.5, GLASS, inside=True),
    R(103, 14, 119, 61, 3, GLASS), R(110, 14, 112, 61, 0, "c--", flat=True),
    E(144, 55, 3.4, 3.4, LAMP), R(2, 54, 6, 60, 1, "#d8404a"), *_wheel(32, 66, 11.6), *_wheel(118, 66, 11.6),
))  # fmt: skip
DOUBLE_DECKER = Look(124, 100, (
    R(2, 2, 122, 88, 9, "c"), R(2, 44, 122, 49, 0, "c!", inside=True), R(2, 80, 122, 90, 0, "c--", inside=True),
    *(R(x, 12, x + 20, 34, 3.5, GLASS) for x in (9, 33, 57, 81)), R(104, 12, 124, 34, 3.5, GLASS, inside=True),
    *(R(x, 54, x + 20, 72, 3.5, GLASS) for x in (9, 33, 57)), R(81, 54, 96, 84, 3, GLASS),
    R(101, 54, 124, 72, 3.5, GLASS, inside=True),
    E(118, 78, 3.2, 3.2, LAMP), *_wheel(28, 88, 11.4), *_wheel(104, 88, 11.4),
))  # fmt: skip
TRUCK = Look(150, 86, (
    R(2, 4, 98, 68, 4, "c"), R(2, 4, 98, 12, 0, "c+", inside=True),
    *(R(x, 16, x + 3, 60, 0, "c-", flat=True) for x in (22, 46, 70)),
    R(2, 64, 142, 73, 2, "#4a4c56"),
    B("102 66 102 24 106 18 124 18 132 26 139 42 147 48 148 66 144 69 104 69", "c"),
    B("110 42 110 25 123 25 129 31 134 42", GLASS), R(110, 47, 117, 50, 1.5, "c--", flat=True),
    E(144.6, 57, 3.6, 4, LAMP), R(140, 65, 149, 72, 2, "#b8bcc6"), *_wheel(26, 73, 12), *_wheel(56, 73, 12),
    *_wheel(122, 73, 12),
))  # fmt: skip
PICKUP = Look(140, 62, (
    P("4 24 62 24 62 44 4 44", "c-"), B("60 28 64 6 74 3 90 3 100 9 108 26", "c"), B("68 25 71 9 83 9 83 25", GLASS),
    B("88 25 88 9 92 9 101 25", GLASS),
    B("2 48 3 27 8 25 64 25 110 25 130 29 138 36 138 50 134 53 6 53", "c"), R(2, 47, 140, 54, 0, "c--", inside=True),
    S("85 28 85 46", 1.8, "c--", flat=True),
    B("128 31 137 35 137 41 129 40", LAMP), R(2, 32, 7, 39, 1, "#d8404a"), *_wheel(30, 50, 12), *_wheel(110, 50, 12),
))  # fmt: skip


def _spoked(x: float, y: float) -> list[Part]:
    return [ring(x, y, 24, 19, TYRE), S(f"{x - 19} {y} {x + 19} {y}", 1.6, "#8f949e", flat=True),
    S(f"{x} {y - 19} {x} {y + 19}", 1.6, "#8f949e", flat=True),
            S(f"{x - 13.5} {y - 13.5} {x + 13.5} {y + 13.5}", 1.6, "#8f949e", flat=True),
            S(f"{x + 13.5} {y - 13.5} {x - 13.5} {y + 13.5}", 1.6, "#8f949e", flat=True),
            E(x, y, 3.6, 3.6, "#5a5e68")]  # fmt: skip


BICYCLE = Look(132, 86, (
    *_spoked(26, 61), *_spoked(104, 61),
    S("26 61 46 28", 5, "c-", smooth=False), S("26 61 60 62", 5, "c-", smooth=False),
    S("60 62 44 24", 5.6, "c", smooth=False), S("60 62 92 26", 5.6, "c", smooth=False),
    S("46 30 92 28", 5.6, "c", smooth=False),
    S("104 61 90 20 88 13", 5.6, "c", smooth=False), S("80 9 90 11 98 14 97 20", 4.6, "#3a3a42"),
    B("32 22 44 19 55 21 52 26 42 27 34 27", "#3a3a42"),
    E(60, 62, 6.4, 6.4, "#5a5e68"), S("60 62 68 74", 4, "#5a5e68"), R(63, 73, 76, 77, 1.5, "#3a3a42"),
), {"seat": (46, 21)})  # fmt: skip
CITY_BICYCLE = Look(132, 90, (
    *(Part(part.points + (0, 4), part.paint, flat=part.flat) for x in (26, 104) for part in _spoked(x, 61)),
    S("26 65 60 66", 5, "c-", smooth=False), S("26 65 45 38", 5, "c-", smooth=False),
    S("60 66 43 26", 5.6, "c", smooth=False), S("60 66 74 56 88 34 90 24", 6.6, "c"),
    S("104 65 91 26 86 10", 5.6, "c", smooth=False), S("74 12 82 8 88 9", 4.8, "#3a3a42"),
    P("94 16 120 16 116 38 97 38", "#b07c46"), R(92, 13, 122, 19, 2, "#8f6034"),
    B("30 24 42 21 54 23 51 28 41 29 32 29", "#6a4630"), S("4 54 14 40 32 38 44 48", 4.6, "c--"),
    E(60, 66, 6.4, 6.4, "#5a5e68"), S("60 66 54 78", 4, "#5a5e68"), R(48, 77, 61, 81, 1.5, "#3a3a42"),
), {"seat": (44, 23)})  # fmt: skip
TRAIN = Look(176, 78, (
    R(0, 72, 176, 75, 0, "#6b5a4c"), *(R(x, 75, x + 8, 78, 0, "#8a7460", flat=True) for x in range(4, 176, 17)),
    R(2, 18, 72, 64, 4, "c-"), R(-1, 14, 75, 21, 3, "#55525c"),
    *(R(x, 27, x + 15, 44, 3, GLASS) for x in (8, 29, 50)), R(2, 50, 72, 55, 0, "c!", inside=True, flat=True),
    R(70, 58, 86, 63, 0, "#4a4a52"),
    R(82, 8, 116, 64, 4, "c"), R(78, 4, 120, 12, 3, "#55525c"), R(89, 19, 109, 38, 3, GLASS),
    R(112, 30, 164, 62, 9, "c"), R(124, 26, 129, 64, 0, "c--", flat=True), R(142, 26, 147, 64, 0, "c--", flat=True),
    P("146 32 144 8 158 8 156 32", "#3a3a42"), R(141, 4, 161, 11, 2, "#3a3a42"), E(128, 29, 7, 6, "#e8b83c"),
    E(163, 40, 4.6, 5, LAMP),
    P("160 62 166 62 175 72 158 72", "#c8343c"), R(80, 58, 164, 65, 2, "#3a3a42"),
    *(part for x in (17, 57) for part in _wheel(x, 65, 8)), *(part for x in (95, 119) for part in _wheel(x, 62, 11)),
    *_wheel(147, 65, 8),
    S("95 63 119 63", 3, "#c8343c"), E(156, -4, 0.1, 0.1, "#ffffff"),
))  # fmt: skip
EXPRESS = Look(190, 58, (
    R(0, 52, 190, 55, 0, "#6b5a4c"), *(R(x, 55, x + 8, 58, 0, "#8a7460", flat=True) for x in range(4, 190, 17)),
    R(1, 8, 84, 46, 5, "c"), R(1, 38, 84, 48, 0, "c--", inside=True),
    R(1, 31, 84, 36, 0, "c!", inside=True, flat=True), *(R(x, 14, x + 13, 27, 3, GLASS) for x in (8, 27, 46, 65)),
    R(83, 34, 92, 44, 0, "#4a4a52"),
    B("91 46 91 11 97 8 140 8 160 13 176 26 188 38 186 46 180 48 93 48", "c"),
    R(90, 38, 190, 49, 0, "c--", inside=True), R(90, 31, 190, 36, 0, "c!", inside=True, flat=True),
    *(R(x, 14, x + 13, 27, 3, GLASS) for x in (97, 116, 135)), B("154 15 164 18 176 28 156 28", GLASS),
    E(181, 38, 3.4, 3, LAMP),
    *(part for x in (16, 68, 108, 160) for part in _wheel(x, 47, 6.6)),
))  # fmt: skip
AIRLINER = Look(150, 74, (
    P("84 38 112 4 122 4 108 38", "c--"), P("14 32 6 6 18 6 34 30", "c"),
    B("6 34 20 28 60 27 110 27 132 29 146 36 147 42 136 47 106 50 50 50 22 44", "c"),
    B("6 34 22 44 50 50 106 50 136 47 147 42 120 44 60 44 24 38", "c-", inside=True),
    P("24 36 2 42 2 47 34 42", "c-"), B("130 32 140 34 143 38 132 38", GLASS),
    *(E(x, 36.4, 2.6, 2.9, GLASS, flat=True) for x in range(44, 124, 11)),
    P("68 42 98 42 62 70 50 70", "c-"), P("68 42 82 42 52 66 50 66", "c+"), R(72, 54, 88, 61, 3.5, "#5a5e6a"),
), poses=("flying",))  # fmt: skip
PROPELLER = Look(126, 74, (
    R(40, 4, 104, 11, 3.5, "c-"), S("58 10 62 32", 3, "#5a5048"), S("88 10 86 32", 3, "#5a5048"),
    P("6 24 2 6 16 8 26 28", "c"),
    B("4 26 26 28 52 26 66 22 96 22 110 28 114 38 108 48 84 53 54 50 24 40 6 33", "c"),
    B("24 40 54 50 84 53 108 48 114 40 90 44 54 42", "c-", inside=True),
    B("64 24 70 14 82 14 88 24", GLASS), P("28 34 6 36 6 41 34 40", "c--"), R(46, 40, 108, 47.5, 3.7, "c+"),
    E(114, 38, 5, 7, "#5a5e6a"), S("118.6 14 118.6 62", 4.4, "#6a5140", smooth=False),
    E(118.6, 38, 3.4, 4, "#e8b83c"),
    S("66 50 62 62", 3, "#5a5048"), S("88 50 92 62", 3, "#5a5048"), E(62, 65, 7, 7, TYRE), E(62, 65, 3, 3, RIM),
    E(92, 65, 7, 7, TYRE), E(92, 65, 3, 3, RIM),
), poses=("flying",))  # fmt: skip
SAILBOAT = Look(110, 128, (
    S("52 2 52 104", 4, "#6a4a30", smooth=False), B("56 6 72 34 88 62 98 86 78 90 56 91", "c"),
    P("56 70 92 74 98 86 78 90 56 91", "c-", inside=True), B("48 22 36 48 22 72 12 88 30 91 48 91", "c+"),
    B("4 102 30 106 70 106 106 99 100 114 88 124 26 124 12 115", "hull"),
    B("4 102 30 106 70 106 106 99 105 104 70 111 30 111 5 106", "#f6efe0"),
    S("-2 126 14 124 30 127 46 124 62 127 78 124 94 127 112 125", 3.6, "#e8f4fb", alpha=0.85, flat=True),
))  # fmt: skip
FISHING_BOAT = Look(132, 100, (
    S("58 6 58 60", 3.6, "#6a4a30", smooth=False), P("60 8 60 26 82 17", "#e8b83c"), R(34, 38, 80, 74, 4, "#f6f0e4"),
    R(30, 33, 84, 41, 3, "c--"), R(40, 47, 53, 60, 2.5, GLASS), R(60, 47, 73, 60, 2.5, GLASS),
    B("2 62 30 70 84 70 130 58 124 78 110 95 24 95 10 82", "c"),
    B("2 62 30 70 84 70 130 58 128 66 84 77 30 77 4 69", "c!"),
    B("10 84 66 88 122 80 110 97 24 97", "c--", inside=True),
    S("-2 97 16 95 34 98 52 95 70 98 88 95 106 98 134 96", 3.6, "#e8f4fb", alpha=0.85, flat=True),
))  # fmt: skip


def _balloon(stripes: bool) -> tuple[Part, ...]:
    envelope = B("46 2 70 8 87 27 89 50 76 74 60 92 46 96 32 92 16 74 3 50 5 27 22 8", "c")
    bands = [
        B("46 2 57 8 64 27 64 50 57 76 52 96 40 96 35 76 28 50 28 27 35 8", "c!", inside=True),
        B("46 2 50 8 53 27 53 50 50 76 48 96 44 96 42 76 39 50 39 27 42 8", "c", inside=True),
    ]
    belt = [P("0 34 16 42 31 34 46 42 61 34 76 42 92 34 92 50 76 58 61 50 46 58 31 50 16 58 0 50", "c!", inside=True)]
    shine = [E(28, 30, 9, 16, "#ffffff", inside=True, alpha=0.28, flat=True)]
    ropes = [S("34 92 39 110", 2.4, "#6a5140", smooth=False), S("58 92 53 110", 2.4, "#6a5140", smooth=False)]
    return (
        *ropes,
        envelope,
        *(bands if stripes else belt),
        *shine,
        R(36, 108, 56, 124, 4, "#9a6a3c"),
        R(35, 107, 57, 112, 2, "#7c5230"),
    )


KITE = Look(80, 120, (
    S("40 72 48 84 36 96 46 108 40 118", 2.6, "#6a5140"), P("40 84 50 80 50 90", "c-"), P("40 84 30 88 34 78", "c-"),
    P("42 102 52 98 51 108", "c-"), P("42 102 32 106 35 96", "c-"),
    P("40 2 76 32 40 76 4 32", "c"), P("40 2 40 32 4 32", "c+"), P("40 32 76 32 40 76", "c-"),
    S("40 2 40 76", 2.4, "#7a5a3c", smooth=False), S("4 32 76 32", 2.4, "#7a5a3c", smooth=False),
), {"grip": (40, 40)}, poses=("flying",))  # fmt: skip
DELTA_KITE = Look(104, 92, (
    S("40 58 28 70 36 80 24 90", 3.4, "c!"), S("64 58 76 70 68 80 80 90", 3.4, "c!"),
    P("52 2 102 52 66 56 52 64 38 56 2 52", "c"), P("52 2 38 56 2 52", "c+"), P("52 2 66 56 102 52", "c-"),
    P("52 2 60 60 52 64 44 60", "c!"),
), {"grip": (52, 40)}, poses=("flying",))  # fmt: skip

KINDS = (
    Kind("car", 1.35, (SALOON, BEETLE), names=("saloon", "beetle")),
    Kind("bus", 2.2, (BUS, DOUBLE_DECKER), names=("single-decker", "double-decker")),
    Kind("truck", 2.1, (TRUCK, PICKUP), names=("lorry", "pickup")),
    Kind("bicycle", 1.15, (BICYCLE, CITY_BICYCLE)),
    Kind("train", 2.2, (TRAIN, EXPRESS), names=("steam train", "express train"), shadow=0.0),
    Kind("airplane", 1.5, (AIRLINER, PROPELLER), names=("airliner", "propeller plane"), shadow=0.0),
    Kind(
        "boat",
        2.4,
        (SAILBOAT, FISHING_BOAT),
        names=("sailboat", "fishing boat"),
        shadow=0.0,
        slots=({"hull": "#8a5530"}, {"hull": "#6b4a38"}, {"hull": "#b0764a"}),
    ),
    Kind(
        "balloon",
        3.0,
        (Look(92, 126, _balloon(True), poses=("flying",)), Look(92, 126, _balloon(False), poses=("flying",))),
        shadow=0.0,
    ),
    Kind("kite", 1.2, (KITE, DELTA_KITE), shadow=0.0),
)
