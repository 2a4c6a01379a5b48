"""A sweep as people look at it: a labelled grid on the page, a contact sheet, a zip to keep."""

from __future__ import annotations

import csv
import html
import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from evaluation.condition import shown
from evaluation.generation.axes import Condition
from ldm_core.images import png_text, to_pil
from ldm_core.recipe import Recipe

from .data_url import data_url

LABEL, GAP, MARGIN = 22, 6, 110  # pixels of the contact sheet
WIDEST_LABEL = 220  # pixels
LABEL_CHARACTERS = 40  # on the page
# In the browser: says that a grid scrolls where it does.
WIDE = "(s => s.classList.toggle('scrolling', s.scrollWidth > s.clientWidth))(this.closest('.sweep'))"


@dataclass(frozen=True)
class SweepCell:
    """One picture of a sweep, with what is known about it."""

    condition: Condition
    seed: int
    prompt: str  # what the model was given: in the condition's wording
    picture: Image.Image
    scores: dict[str, float] = field(default_factory=dict)
    recipe: Recipe | None = None


def worded(condition: Condition, prompt: str) -> str:
    """A prompt in a condition's wording."""
    return condition.wording.replace("{}", prompt)


def cells_of(images: Iterable[Tensor], made: Sequence[Condition], seeds: Sequence[int], prompt: str) -> list[SweepCell]:
    """Cells without scores for images (conditions x seeds, 3, H, W), condition by condition."""
    places = [(condition, seed) for condition in made for seed in seeds]
    return [
        SweepCell(condition, seed, worded(condition, prompt), to_pil(image))
        for (condition, seed), image in zip(places, images)
    ]


def grid_html(cells: list[SweepCell], to_come: Sequence[Condition] = (), preview: bool = False) -> str:
    """Seeds down, conditions across, empty where a picture is still to come; what was measured stands below each.

    A preview's pictures are packed tight, so that on a slow line the next ones do not wait behind them.
    """
    made = list(dict.fromkeys([*(cell.condition for cell in cells), *to_come]))
    rows = []
    for seed in dict.fromkeys(cell.seed for cell in cells):
        row = {cell.condition: cell for cell in cells if cell.seed == seed}
        figures = (_figure(row[one], preview) if one in row else "<td></td>" for one in made)
        rows.append(f"<tr><th>seed {seed}</th>{''.join(figures)}</tr>")
    head = "".join(_head(condition.label) for condition in made)
    return (
        '<div class="sweep" tabindex="0" role="region" aria-label="pictures of the sweep">'
        '<p class="scrolls">The grid is wider than the screen: scroll it sideways.</p>'
        f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _head(label: str) -> str:
    cut = label if len(label) <= LABEL_CHARACTERS else f"{label[: LABEL_CHARACTERS - 1]}…"
    title = "" if cut == label else f' title="{html.escape(label)}"'
    return f"<th{title}>{html.escape(cut)}</th>"


def _figure(cell: SweepCell, preview: bool) -> str:
    kind, options = ("webp", {"quality": 75, "method": 0}) if preview else ("png", {"compress_level": 1})
    source = data_url(cell.picture, kind, **options)
    swept = (f"{axis.replace('_', ' ')} {shown(value)}" for axis, value in cell.condition.values)
    words = html.escape(", ".join([cell.prompt, *swept, f"seed {cell.seed}"]))
    notes = "".join(f"<div>{html.escape(name)} {value:.3g}</div>" for name, value in cell.scores.items())
    return f'<td><img alt="{words}" title="{words}" src="{source}" onload="{WIDE}">{notes}</td>'


def contact_sheet(cells: list[SweepCell]) -> Image.Image:
    """All pictures in one, labelled along both sides."""
    made = list(dict.fromkeys(cell.condition for cell in cells))
    seeds = list(dict.fromkeys(cell.seed for cell in cells))
    font = ImageFont.load_default(13)
    labels = [_fitting(condition.label, font) for condition in made]
    width, height = cells[0].picture.size
    column = max(width, *(int(font.getlength(label)) + GAP for label in labels)) + GAP
    sheet = Image.new("RGB", (MARGIN + len(made) * column, LABEL + GAP + len(seeds) * (height + GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, label in enumerate(labels):
        draw.text((MARGIN + (index + 0.5) * column, LABEL / 2), label, fill="black", font=font, anchor="mm")
    for index, seed in enumerate(seeds):
        middle = LABEL + GAP + index * (height + GAP) + height / 2
        draw.text((MARGIN - 10, middle), f"{seed}", fill="black", font=font, anchor="rm")
    for cell in cells:
        left = MARGIN + made.index(cell.condition) * column + (column - width) // 2
        sheet.paste(cell.picture, (left, LABEL + GAP + seeds.index(cell.seed) * (height + GAP)))
    return sheet


def _fitting(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The label in one line, cut where it is wider than a column may be."""
    line = " ".join(label.split())
    if font.getlength(line) <= WIDEST_LABEL:
        return line
    fits = (end for end in range(len(line), 0, -1) if font.getlength(f"{line[:end]}...") <= WIDEST_LABEL)
    return f"{line[: next(fits)]}..."


def write_zip(path: Path, cells: list[SweepCell], prompt: str) -> None:
    """The pictures with their recipes inside and beside, a table of the scores, and the contact sheet."""
    names = _file_names(cells, _slug(prompt, 60) or "sweep")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, cell in zip(names, cells):
            archive.writestr(f"{name}.png", _png(cell.picture, cell.recipe.to_png_text() if cell.recipe else {}))
            if cell.recipe:
                archive.writestr(f"{name}.json", cell.recipe.to_json())
        archive.writestr("contact-sheet.png", _png(contact_sheet(cells), {}))
        archive.writestr("scores.csv", _table(names, cells))


def _file_names(cells: list[SweepCell], stem: str) -> list[str]:
    """a-red-house_w4_seed7; values that look alike as file names are told apart by their place."""
    slugs: dict[Condition, str] = {}
    for condition in dict.fromkeys(cell.condition for cell in cells):
        slug = _slug(condition.label.replace("w = ", "w", 1), 40, r"[^\w.+]+")  # w2, steps-8
        slugs[condition] = slug if slug not in slugs.values() else f"{slug}-{len(slugs) + 1}"
    return [f"{stem}_{slugs[cell.condition]}_seed{cell.seed}" for cell in cells]


def _slug(text: str, longest: int, dropped: str = r"[^a-z0-9]+") -> str:
    return re.sub(dropped, "-", text.lower(), flags=re.ASCII).strip("-")[:longest].rstrip("-")


def _png(picture: Image.Image, text: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", pnginfo=png_text(text))
    return buffer.getvalue()


def _table(names: list[str], cells: list[SweepCell]) -> str:
    buffer = io.StringIO()
    axes = [axis for axis, _ in cells[0].condition.values]
    scores = list(dict.fromkeys(name for cell in cells for name in cell.scores))
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["file", *axes, "seed", *scores])
    for name, cell in zip(names, cells):
        swept = [shown(value) for _, value in cell.condition.values]
        table.writerow([f"{name}.png", *swept, cell.seed, *(cell.scores.get(score, "") for score in scores)])
    return buffer.getvalue()
