"""Films: pictures of one length whose frames a slider chooses in the browser, with no word to the server.

The frames of a film lie side by side in one picture, of which the page shows a part; page.js moves them.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence

import numpy as np
from PIL import Image

from .data_url import data_url

WIDEST = 16_000  # pixels: a WebP has 16,383 at the most
SIDE = 256  # pixels of a frame, at the most


def film(frames: Sequence[Image.Image], words: str, exact: bool = False, note: str = "") -> str:
    """A figure of frames of one size; `exact` ones, which are small maps, keep every value and are enlarged in squares."""
    width, height = frames[0].size
    ratio = min(1.0, SIDE / max(width, height), WIDEST / (width * len(frames)))
    shown = [frame.resize((max(1, int(width * ratio)), max(1, int(height * ratio)))) for frame in frames]
    strip = Image.fromarray(np.concatenate([np.asarray(frame.convert("RGB")) for frame in shown], axis=1))
    options = {"lossless": True, "method": 0} if exact else {"quality": 82, "method": 2}
    source, label = data_url(strip, "webp", **options), html.escape(words)
    return (
        f'<figure class="film{" exact" if exact else ""}"><div role="img" aria-label="{label}" '
        f"style=\"--ratio: {width} / {height}; background-image: url('{source}')\"></div>"
        f"<figcaption><b>{label}</b> {html.escape(note)}</figcaption></figure>"
    )


def said(words: Sequence[str], at: int, tag: str = "span") -> str:
    """Words that change with the frame."""
    return f"<{tag} data-words='{html.escape(json.dumps(list(words)))}'>{html.escape(words[at])}</{tag}>"


PLAY = '<button type="button" class="play">Play</button>'


def jump(at: int, words: str) -> str:
    """A button that moves the slider to a frame."""
    return f'<button type="button" class="jump" data-at="{at}">{html.escape(words)}</button>'


def scrubber(body: str, words: Sequence[str], label: str, at: int, button: str = PLAY) -> str:
    """A body of films and changing words over the slider that moves them all, at first at frame `at`; `words` say where the
    slider is."""
    last = len(words) - 1
    return (
        f'<div class="scrub" style="--at: {at}; --last: {max(1, last)}">{body}<div class="bar">{button}'
        f'<input type="range" min="0" max="{last}" value="{at}" aria-label="{html.escape(label)}" '
        f'aria-valuetext="{html.escape(words[at])}">{said(words, at, "output")}</div></div>'
    )
