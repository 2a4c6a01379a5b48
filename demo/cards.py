"""Model cards, the README.md of a model's folder, as HTML that brings nothing along: no markup of its own, no picture from
elsewhere, no link but to the web."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from PIL import Image

from evaluation.report.strips import webp_url
from ldm_core.registry import AUTOENCODERS, MODELS, WEIGHTS

from .runs import without_paths
from .session import Session

FILE = "README.md"
SAMPLES = ("samples.png", "samples.webp")
LONGEST = 200_000  # characters of a card that are read
SIDE = 768  # pixels of a picture in it
WEB = ("http://", "https://")


def cards(session: Session) -> dict[str, Path | None]:
    """Every model and autoencoder on the page that is here, with its card's file; None where its folder has none."""
    found = {spec.name: _card_in(Path(spec.source)) for spec in session.specs.values()}
    embedded = [name for name, spec in (MODELS | AUTOENCODERS).items() if spec.embedded]
    return found | {name: _card_in(WEIGHTS / name) for name in embedded}


def _card_in(folder: Path) -> Path | None:
    path = folder / FILE
    return path if path.is_file() else None


def card_html(path: Path | None) -> str:
    """A card."""
    if path is None:
        return '<div class="card"><p>No card lies beside this model\'s weights.</p></div>'
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[:LONGEST]
    except OSError:
        return '<div class="card"><p>This model\'s card cannot be read.</p></div>'
    rendered = _renderer(path.parent).render(without_paths(_without_front_matter(text)))
    return f'<div class="card">{_samples(path.parent)}{rendered}</div>'


def _samples(folder: Path) -> str:
    """What the model makes, where a picture of it lies beside the card."""
    found = next(filter(Path.is_file, (folder / name for name in SAMPLES)), None)
    return "" if found is None else _picture_html(folder, found.name, f"samples of {folder.name}")


def _without_front_matter(text: str) -> str:
    """The lines between --- at the beginning are the hub's."""
    if text.startswith("---\n") and (end := text.find("\n---\n", 4)) >= 0:
        return text[end + 5 :]
    return text


def _renderer(folder: Path) -> MarkdownIt:
    """CommonMark with tables, what could do harm taken out where it is parsed."""
    made = MarkdownIt("commonmark", {"html": True}).enable("table")
    rules = {
        "html_block": _nothing,
        "html_inline": _nothing,
        "image": lambda tokens, at, options, env: _picture(folder, tokens[at]),
        "link_open": _link,
        "link_close": lambda tokens, at, options, env: env["links"].pop(),
        "heading_open": lambda tokens, at, options, env: f"<{_lower(tokens[at].tag)}>",
        "heading_close": lambda tokens, at, options, env: f"</{_lower(tokens[at].tag)}>",
        "table_open": lambda tokens, at, options, env: (
            '<div class="wide" tabindex="0" role="region" aria-label="table"><table>'
        ),
        "table_close": lambda tokens, at, options, env: "</table></div>",
    }
    made.renderer.rules |= rules  # type: ignore[attr-defined]  # of the HTML renderer, which is the usual one
    return made


def _nothing(tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    return ""


def _link(tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """A link to the web; of any other, which would lead to a file of the server, the words alone."""
    target = str(tokens[at].attrs.get("href", ""))
    outward = target.lower().startswith(WEB)
    env.setdefault("links", []).append("</a>" if outward else "</span>")
    return f'<a href="{html.escape(target)}" rel="noopener noreferrer" target="_blank">' if outward else "<span>"


def _picture(folder: Path, token: Token) -> str:
    """A picture that lies beside the card, within the page; of any other its words."""
    return _picture_html(folder, str(token.attrs.get("src", "")), token.content)


def _picture_html(folder: Path, name: str, words: str) -> str:
    path, said = (folder / name).resolve(), html.escape(words)
    try:
        if path.is_relative_to(folder.resolve()) and path.is_file():
            with Image.open(path) as picture:
                return f'<img src="{webp_url(picture, SIDE)}" alt="{said}">'
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        pass
    return said


def _lower(tag: str) -> str:
    """A heading's tag below those of the page."""
    return f"h{min(6, int(tag[1]) + 2)}"
