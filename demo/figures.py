"""Pictures within the page: their sources and captions, and a PSNR in words."""

from __future__ import annotations

import html
import math

from PIL import Image

from .data_url import data_url


def picture_source(picture: Image.Image) -> str:
    """A picture as a data URL, without loss."""
    return data_url(picture, "webp", lossless=True, method=0)


def enlarged(picture: Image.Image, factor: int) -> Image.Image:
    """With that many pixels for each, all alike."""
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def figure(source: str, words: str, described: str = "") -> str:
    """A picture over its caption; `described` where its alternative text has more to say. Neither is HTML yet."""
    alt, caption = html.escape(described or words), html.escape(words)
    return f'<figure><img src="{source}" alt="{alt}"><figcaption>{caption}</figcaption></figure>'


def decibels(value: float) -> str:
    """A PSNR, which has no end where nothing was lost."""
    return "identical" if math.isinf(value) else f"{value:.2f}"
