"""Sheets of the everyday world to look at: every kind in every look, and random scenes with their captions.

python -m ldm_core.data.sheet --out sheets
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from .. import command
from ..checks import check_whole
from .everyday import COLOURED_KINDS, COLOURS, KINDS, caption, draw, look_names, random_scene
from .everyday.canvas import Canvas
from .everyday.drawing import draw_look
from .everyday.kinds import ENTRIES

LABEL = 14  # pixels of a line of text
INK, PAPER = (40, 40, 48), (250, 249, 246)


def kinds_sheet(size: int = 192, columns: int = 8) -> Image.Image:
    """Every kind in every look, labelled, each look in another of the ten colours."""
    cells: list[tuple[np.ndarray, str]] = []
    for kind in KINDS:
        for number, look in enumerate(ENTRIES[kind].looks):
            colour = COLOURS[(len(cells) * 3 + number) % len(COLOURS)]
            canvas = Canvas(size)
            canvas.rows([(0, (214, 234, 248)), (0.75, (240, 246, 250)), (0.76, (214, 222, 200)), (1, (196, 208, 180))])
            draw_look(canvas, kind, look, colour)
            named = colour if kind in COLOURED_KINDS else ""
            cells.append((canvas.to_uint8(), f"{kind} {number + 1} ({', '.join(look.poses)}) {named}"))
    return _tiled(cells, columns)


def scenes_sheet(seed: int = 0, size: int = 256, count: int = 64, columns: int = 8) -> Image.Image:
    """Random scenes of the seeds from `seed` on, each with a caption below."""
    scenes = [random_scene(number) for number in range(seed, seed + count)]
    said = [caption(scene, seed + k, looks=look_names(scene)) for k, scene in enumerate(scenes)]
    return _tiled([(draw(scene, size), text) for scene, text in zip(scenes, said)], columns)


def _tiled(cells: list[tuple[np.ndarray, str]], columns: int) -> Image.Image:
    size = cells[0][0].shape[0]
    lines, rows = 3, -(-len(cells) // columns)
    step = size + lines * LABEL + 6
    sheet = Image.new("RGB", (columns * (size + 4), rows * step), PAPER)
    pen = ImageDraw.Draw(sheet)
    for k, (picture, text) in enumerate(cells):
        x, y = k % columns * (size + 4), k // columns * step
        sheet.paste(Image.fromarray(picture), (x, y))
        for number, line in enumerate(_broken(text, size // 6)[:lines]):
            pen.text((x + 2, y + size + 2 + number * LABEL), line, fill=INK)
    return sheet


def _broken(text: str, width: int) -> list[str]:
    """Text in lines of at most so many letters."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("ldm_core.data.sheet", __doc__)
    parser.add_argument("--out", type=Path, default=Path("sheets"), metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--size", type=int, default=256, metavar="PIXELS", help="of a scene, 64 to 512; default: 256")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first scene, >= 0; default: 0")
    return command.carry_out(parser, argv, work)


def work(options: argparse.Namespace) -> int:
    """The exit code."""
    if not 64 <= options.size <= 512:
        raise ValueError(f"--size must be from 64 to 512 pixels, got {options.size}")
    check_whole("--seed", options.seed, 0, math.inf)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--out {options.out} cannot be made a folder: {error.strerror}") from None
    for name, sheet in (("kinds", kinds_sheet()), ("scenes", scenes_sheet(options.seed, options.size))):
        sheet.save(options.out / f"{name}.png")
        print(options.out / f"{name}.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
