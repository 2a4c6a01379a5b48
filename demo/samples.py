"""Pictures to try where a tab takes one: photographs of a folder that the start names, else the two that ship, a test card, and
drawings."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image, ImageOps

from ldm_core.data import everyday
from ldm_core.data.photos import open_photo, photo_files
from ldm_core.data.test_card import test_card

from . import controls
from .data_url import data_url
from .session import Session

MOST = 3  # photographs
SHIPPED = Path(__file__).parent / "photographs"  # CC0: README.md beside them
NAME = 24  # characters of a file's name that a button shows
SEEDS = (100_000_011, 100_000_040)  # of scenes that nothing was trained on
SIDE = 512  # pixels, the longer side's: more would make the tab that opens with one slow to come


def photographs_of(folder: str) -> tuple[Path, ...]:
    """The first photographs of a folder by name, each of which can be read; none where no folder is named.

    ValueError in one line where it is no folder, holds none, or one cannot be read.
    """
    if not folder:
        return ()
    try:
        found = tuple(photo_files(Path(folder))[:MOST])
        for path in found:
            open_photo(path)
    except ValueError as error:
        raise ValueError(f"--photographs (LDM_PHOTOGRAPHS): {error}") from None
    return found


def samples(session: Session) -> dict[str, str]:
    """The files of all samples by their names, photographs first; written once, without what a camera noted in them."""
    found: dict[str, str] = {}
    for path in session.photographs or photo_files(SHIPPED):
        kept = session.scratch.lasting(f"photograph-{len(found)}.png")
        if not kept.exists():
            picture = open_photo(path)
            picture.thumbnail((min(SIDE, session.limits.photo_side),) * 2, Image.Resampling.LANCZOS)
            Image.fromarray(np.asarray(picture)).save(kept)
        found[_name(path, found)] = str(kept)
    drawn = {"test card": None} | {f"drawing {index + 1}": seed for index, seed in enumerate(SEEDS)}
    for name, seed in drawn.items():
        kept = session.scratch.lasting(f"{name}.png")
        if not kept.exists():
            pixels = test_card() if seed is None else everyday.draw(everyday.random_scene(seed), SIDE)
            Image.fromarray(pixels).save(kept)
        found[name] = str(kept)
    return found


def _name(path: Path, taken: dict[str, str]) -> str:
    """What a photograph's button says: its file's name, or a number where that is another's."""
    name = path.stem.replace("_", " ").replace("-", " ").strip()[:NAME]
    return name if name and name not in taken else f"photograph {len(taken) + 1}"


def sample_row(session: Session, box: gr.Image) -> None:
    """A button for each sample, its picture on it; a click puts it into an input, which has an elem_id."""
    found = samples(session)
    styles = thumbnails(f"{box.elem_id}-sample", list(found.values()))
    gr.HTML(f"<p>Samples: a click takes one</p><style>{styles}</style>", padding=False, elem_classes="samples-head")
    with gr.Row(elem_classes="samples"):
        for index, (name, path) in enumerate(found.items()):
            taking = gr.Button(name, size="sm", min_width=80, elem_id=f"{box.elem_id}-sample-{index}")
            taking.click(functools.partial(str, path), None, box, **controls.QUIET)


def thumbnails(prefix: str, paths: Sequence[str]) -> str:
    """A style for each sample's button, PREFIX-0 and so on: its picture, within the page itself."""
    rules = []
    for index, path in enumerate(paths):
        with Image.open(path) as picture:
            small = ImageOps.fit(picture.convert("RGB"), (72, 72), Image.Resampling.LANCZOS)
        rules.append(f"#{prefix}-{index} {{ background-image: url({data_url(small, 'webp', quality=85)}); }}")
    return " ".join(rules)
