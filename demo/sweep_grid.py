"""A guidance sweep as people look at it: a labelled grid on the page, a contact sheet, a zip to keep."""

from __future__ import annotations

import csv
import html
import io
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ldm_core.images import png_text, to_pil
from ldm_core.recipe import Recipe

from .data_url import data_url

LABEL, GAP = 22, 6  # pixels of the contact sheet


@dataclass(frozen=True)
class SweepCell:
    """One picture of a sweep, with what is known about it."""

    guidance_scale: float
    seed: int
    picture: Image.Image
    scores: dict[str, float] = field(default_factory=dict)
    recipe: Recipe | None = None


def saturation(picture: Image.Image) -> float:
    """Mean HSV saturation, 0 to 1: too much guidance shows in it first."""
    return float(np.asarray(picture.convert("HSV"))[..., 1].mean() / 255)


def distance(picture: Image.Image, other: Image.Image) -> float:
    """Root mean square difference of two pictures of one size, in levels of 255."""
    first, second = (np.asarray(image.convert("RGB"), np.float64) for image in (picture, other))
    return float(np.sqrt(np.square(first - second).mean()))


def grid_html(cells: list[SweepCell], prompt: str, preview: bool = False) -> str:
    """Seeds down, scales across; every picture with its scale and what was measured below it.

    A preview's pictures are packed tight, so that on a slow line the next ones do not wait behind them.
    """
    scales = list(dict.fromkeys(cell.guidance_scale for cell in cells))
    rows = []
    for seed in dict.fromkeys(cell.seed for cell in cells):
        row = {cell.guidance_scale: cell for cell in cells if cell.seed == seed}
        rows.append(f"<tr><th>seed {seed}</th>{''.join(_figure(row[scale], prompt, preview) for scale in scales)}</tr>")
    head = "".join(f"<th>w = {scale:g}</th>" for scale in scales)
    return (
        f'<div class="sweep"><table><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _figure(cell: SweepCell, prompt: str, preview: bool) -> str:
    kind, options = ("webp", {"quality": 75, "method": 0}) if preview else ("png", {"compress_level": 1})
    source = data_url(cell.picture, kind, **options)
    words = html.escape(f"{prompt}, guidance scale {cell.guidance_scale:g}, seed {cell.seed}")
    notes = "".join(f"<div>{html.escape(name)} {value:.3g}</div>" for name, value in cell.scores.items())
    return f'<td><img alt="{words}" title="{words}" src="{source}">{notes}</td>'


def contact_sheet(cells: list[SweepCell]) -> Image.Image:
    """All pictures in one, labelled along both sides."""
    scales = list(dict.fromkeys(cell.guidance_scale for cell in cells))
    seeds = list(dict.fromkeys(cell.seed for cell in cells))
    width, height = cells[0].picture.size
    margin = 110
    sheet = Image.new("RGB", (margin + len(scales) * (width + GAP), LABEL + GAP + len(seeds) * (height + GAP)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for index, scale in enumerate(scales):
        middle = margin + index * (width + GAP) + width / 2
        draw.text((middle, LABEL / 2), f"w = {scale:g}", fill="black", font=font, anchor="mm")
    for index, seed in enumerate(seeds):
        middle = LABEL + GAP + index * (height + GAP) + height / 2
        draw.text((margin - 10, middle), f"{seed}", fill="black", font=font, anchor="rm")
    for cell in cells:
        left = margin + scales.index(cell.guidance_scale) * (width + GAP)
        top = LABEL + GAP + seeds.index(cell.seed) * (height + GAP)
        sheet.paste(cell.picture, (left, top))
    return sheet


def write_zip(path: Path, cells: list[SweepCell], prompt: str) -> None:
    """The pictures with their recipes inside and beside, a table of the scores, and the contact sheet."""
    stem = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:60].rstrip("-") or "sweep"
    names = [f"{stem}_w{cell.guidance_scale:g}_seed{cell.seed}" for cell in cells]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, cell in zip(names, cells):
            archive.writestr(f"{name}.png", _png(cell.picture, cell.recipe.to_png_text() if cell.recipe else {}))
            if cell.recipe:
                archive.writestr(f"{name}.json", cell.recipe.to_json())
        archive.writestr("contact-sheet.png", _png(contact_sheet(cells), {}))
        archive.writestr("scores.csv", _table(names, cells))


def _png(picture: Image.Image, text: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", pnginfo=png_text(text))
    return buffer.getvalue()


def _table(names: list[str], cells: list[SweepCell]) -> str:
    buffer = io.StringIO()
    scores = list(dict.fromkeys(name for cell in cells for name in cell.scores))
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["file", "guidance_scale", "seed", *scores])
    for name, cell in zip(names, cells):
        row = [cell.scores.get(score, "") for score in scores]
        table.writerow([f"{name}.png", f"{cell.guidance_scale:g}", cell.seed, *row])
    return buffer.getvalue()


def cells_of(images: Iterable[Tensor], scales: list[float], seeds: list[int]) -> list[SweepCell]:
    """Cells without scores for images (scales x seeds, 3, H, W), scale by scale."""
    places = [(scale, seed) for scale in scales for seed in seeds]
    return [SweepCell(scale, seed, to_pil(image)) for (scale, seed), image in zip(places, images)]
