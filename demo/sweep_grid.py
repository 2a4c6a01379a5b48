"""A sweep as people look at it: a labelled grid on the page, a contact sheet, a zip to keep."""

from __future__ import annotations

import csv
import html
import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from evaluation.condition import condition_label, shown
from evaluation.generation.axes import WORDING, Condition
from ldm_core.images import png_text, to_pil
from ldm_core.recipe import Recipe

from .data_url import data_url
from .sweep_axes import SEED

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
    link: str = ""  # to its settings in the first tab


@dataclass(frozen=True)
class Table:
    """Where pictures stand: what of their settings goes across, all else down."""

    across: str
    seeds: int = 1  # how many

    def column(self, condition: Condition, seed: int) -> str:
        """The name of a picture's column."""
        return _parts(condition, seed).get(self.across, "")

    def row(self, condition: Condition, seed: int) -> str:
        """The name of its row. A seed that all have in common is not said where something else is."""
        parts = _parts(condition, seed)
        parts.pop(self.across, None)
        if self.seeds == 1 and len(parts) > 1:
            del parts[SEED]
        return ", ".join(parts.values())


def table_of(cells: Sequence[SweepCell], across: str = "") -> Table:
    """With the last of what was swept across, where that is not said."""
    values = cells[0].condition.values
    return Table(across or (values[-1][0] if values else SEED), len({cell.seed for cell in cells}))


def _parts(condition: Condition, seed: int) -> dict[str, str]:
    return {name: condition_label({name: value}) for name, value in condition.values} | {SEED: f"seed {seed}"}


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


def grid_html(
    cells: list[SweepCell],
    to_come: Sequence[tuple[Condition, int]] = (),
    preview: bool = False,
    across: str = "",
    explained: Mapping[str, str] | None = None,
) -> str:
    """Columns of what is swept across, rows of all else, empty where a picture is still to come; what was measured stands
    below each, and what that is below all.

    A preview's pictures are packed tight, so that on a slow line the next ones do not wait behind them.
    """
    table, places = table_of(cells, across), [*((cell.condition, cell.seed) for cell in cells), *to_come]
    columns = list(dict.fromkeys(table.column(*place) for place in places))
    found = {(table.row(cell.condition, cell.seed), table.column(cell.condition, cell.seed)): cell for cell in cells}
    rows = []
    for row in dict.fromkeys(table.row(*place) for place in places):
        named = (
            f'<tr class="row"><th colspan="{len(columns)}" scope="rowgroup">{html.escape(row)}</th></tr>' if row else ""
        )
        row_cells = (found.get((row, column)) for column in columns)
        rows.append(
            f"{named}<tr>{''.join('<td></td>' if one is None else _figure(one, preview) for one in row_cells)}</tr>"
        )
    said = {name: words for name, words in (explained or {}).items() if any(name in cell.scores for cell in cells)}
    terms = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(words)}</dd>" for name, words in said.items())
    return (
        '<div class="sweep" tabindex="0" role="region" aria-label="pictures of the sweep">'
        '<p class="scrolls">The grid is wider than the screen: scroll it sideways.</p>'
        f'<table style="--columns: {len(columns)}"><thead><tr>{"".join(map(_head, columns))}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{f'<dl>{terms}</dl>' if terms else ''}</div>"
    )


def _head(label: str) -> str:
    cut = label if len(label) <= LABEL_CHARACTERS else f"{label[: LABEL_CHARACTERS - 1]}…"
    title = "" if cut == label else f' title="{html.escape(label)}"'
    return f"<th{title}>{html.escape(cut)}</th>"


def _figure(cell: SweepCell, preview: bool) -> str:
    """A finished picture is a button that enlarges it (enlarge.js)."""
    kind, options = ("webp", {"quality": 75, "method": 0}) if preview else ("png", {"compress_level": 1})
    source = data_url(cell.picture, kind, **options)
    swept = (f"{axis.replace('_', ' ')} {shown(value)}" for axis, value in cell.condition.values if axis != WORDING)
    words = html.escape(", ".join([cell.prompt or "no prompt", *swept, f"seed {cell.seed}"]))
    image = f'<img alt="{words}" src="{source}" onload="{WIDE}">'
    if preview:
        return f"<td>{image}</td>"
    notes = "".join(f'<div class="score">{html.escape(name)} {value:.3g}</div>' for name, value in cell.scores.items())
    return f'<td><button type="button" class="cell" data-link="{html.escape(cell.link)}">{image}</button>{notes}</td>'


def contact_sheet(cells: list[SweepCell], across: str = "") -> Image.Image:
    """All pictures in one, labelled along both sides."""
    table, font = table_of(cells, across), ImageFont.load_default(13)
    places = [(table.row(cell.condition, cell.seed), table.column(cell.condition, cell.seed)) for cell in cells]
    rows, columns = (list(dict.fromkeys(place[side] for place in places)) for side in (0, 1))
    tops, lefts = (
        [_fitting(label.removeprefix("seed "), font) for label in rows],
        [_fitting(label, font) for label in columns],
    )
    width, height = cells[0].picture.size
    column = max(width, *(int(font.getlength(label)) + GAP for label in lefts)) + GAP
    margin = max(MARGIN, *(int(font.getlength(label)) + 3 * GAP for label in tops))
    sheet = Image.new("RGB", (margin + len(columns) * column, LABEL + GAP + len(rows) * (height + GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, label in enumerate(lefts):
        draw.text((margin + (index + 0.5) * column, LABEL / 2), label, fill="black", font=font, anchor="mm")
    for index, label in enumerate(tops):
        middle = LABEL + GAP + index * (height + GAP) + height / 2
        draw.text((margin - 10, middle), label, fill="black", font=font, anchor="rm")
    for (row, place), cell in zip(places, cells):
        left = margin + columns.index(place) * column + (column - width) // 2
        sheet.paste(cell.picture, (left, LABEL + GAP + rows.index(row) * (height + GAP)))
    return sheet


def _fitting(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The label in one line, cut where it is wider than a column may be."""
    line = " ".join(label.split())
    if font.getlength(line) <= WIDEST_LABEL:
        return line
    fits = (end for end in range(len(line), 0, -1) if font.getlength(f"{line[:end]}...") <= WIDEST_LABEL)
    return f"{line[: next(fits)]}..."


def write_zip(path: Path, cells: list[SweepCell], prompt: str, across: str = "") -> None:
    """The pictures with their recipes inside and beside, a table of the scores, and the contact sheet."""
    names = _file_names(cells, _slug(prompt, 60) or "sweep")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, cell in zip(names, cells):
            archive.writestr(f"{name}.png", _png(cell.picture, cell.recipe.to_png_text() if cell.recipe else {}))
            if cell.recipe:
                archive.writestr(f"{name}.json", cell.recipe.to_json())
        archive.writestr("contact-sheet.png", _png(contact_sheet(cells, across), {}))
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
