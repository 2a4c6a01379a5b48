"""What pixels cost against latents, exactly, for any size of picture."""

from __future__ import annotations

from dataclasses import dataclass

from .film import jump, said, scrubber

SIZES = tuple(range(64, 2049, 64))  # pixels a side
OPENS_AT = 512
BYTES = 2  # of a number in half precision


@dataclass(frozen=True)
class Space:
    """Where a model works: pixels a value along a side, and channels."""

    name: str
    factor: int
    channels: int

    def values(self, size: int) -> int:
        """Numbers of a square picture so many pixels a side."""
        return self.channels * (size // self.factor) ** 2

    def attention_bytes(self, size: int) -> int:
        """Of one head's attention of every place to every place, in half precision."""
        return BYTES * (size // self.factor) ** 4


PIXELS = Space("pixels", 1, 3)
SPACES = (
    PIXELS,
    Space("latent, f = 4, 3 channels", 4, 3),
    Space("latent, f = 8, 4 channels", 8, 4),
    Space("latent, f = 16, 16 channels", 16, 16),
)


def cost_html() -> str:
    """The table for every size, under one slider."""
    at = SIZES.index(OPENS_AT)
    rows = []
    for space in SPACES:
        memory, grid, numbers = (
            said(column, at, "td")
            for column in (
                [byte_words(space.attention_bytes(size)) for size in SIZES],
                [f"{size // space.factor} x {size // space.factor}" for size in SIZES],
                [f"{space.values(size):,}" for size in SIZES],
            )
        )
        fewer = PIXELS.values(OPENS_AT) / space.values(OPENS_AT)
        less = PIXELS.attention_bytes(OPENS_AT) // space.attention_bytes(OPENS_AT)
        # What it is about stands first: a phone shows no more without scrolling.
        rows.append(f"<tr><td>{space.name}</td>{memory}<td>{less:,} x</td>{grid}{numbers}<td>{fewer:g} x</td></tr>")
    names = ("works on", "memory of attention", "less attention", "grid", "numbers", "fewer numbers")
    head = "".join(f"<th>{name}</th>" for name in names)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    region = f'<div class="wide" tabindex="0" role="region" aria-label="cost by size">{table}</div>'
    words = [f"{size} x {size} pixels" for size in SIZES]
    largest = jump(len(SIZES) - 1, f"Try this: {SIZES[-1]} pixels")
    return f'<div class="ae">{scrubber(region, words, "size of the picture", at, largest)}</div>'


def byte_words(count: int) -> str:
    """As people say it: 33554432 -> "33.6 MB"."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.3g} {units[0]}" if value < 1000 else f"{value:,.0f} {units[0]}"
