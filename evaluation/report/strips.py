"""Pictures in rows and columns as an SVG figure, the pictures within; text stays text."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence

from PIL import Image

from .charts import LETTERS

GAP = 4  # pixels between pictures


def webp_url(picture: Image.Image, side: int, quality: int = 85) -> str:
    """A picture no larger than `side` along either side, as a data URL."""
    small = picture.convert("RGB")
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, format="WEBP", quality=quality)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def strips(title: str, rows: Mapping[str, Sequence[Image.Image]], columns: Sequence[str], side: int = 64) -> str:
    """An <svg> of pictures: a named row of them each, a name above each column; ValueError where a row has not as many."""
    for name, pictures in rows.items():
        if len(pictures) != len(columns):
            raise ValueError(f"row {name!r} must have {len(columns)} pictures, a column each, got {len(pictures)}")
    left = 16 + int(5.8 * max(map(len, rows)))
    width, height = left + len(columns) * (side + GAP), 48 + len(rows) * (side + GAP)
    parts = [f'<text x="8" y="16" class="title">{html.escape(title)}</text>']
    for place, name in enumerate(columns):
        x = left + place * (side + GAP) + side / 2
        parts.append(f'<text x="{x:.1f}" y="38" text-anchor="middle" class="quiet">{html.escape(name)}</text>')
    for line, (name, pictures) in enumerate(rows.items()):
        top = 44 + line * (side + GAP)
        parts.append(f'<text x="8" y="{top + side / 2 + LETTERS / 2:.1f}">{html.escape(name)}</text>')
        for place, picture in enumerate(pictures):
            where = f'x="{left + place * (side + GAP)}" y="{top}" width="{side}" height="{side}"'
            parts.append(f'<image {where} href="{webp_url(picture, side)}"/>')
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(title)}">{"".join(parts)}</svg>'
