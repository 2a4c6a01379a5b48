"""Guidance scales as people write them: `1,2,4,8`, `1-8(1)` by step, `1-8[4]` by count."""

from __future__ import annotations

import math
import re

_NUMBER = r"\d+(?:\.\d+)?"
_BY_STEP = re.compile(rf"({_NUMBER})\s*-\s*({_NUMBER})\s*\(\s*({_NUMBER})\s*\)")
_BY_COUNT = re.compile(rf"({_NUMBER})\s*-\s*({_NUMBER})\s*\[\s*(\d+)\s*\]")
MAX_SCALES = 64


def parse_scales(text: str) -> tuple[float, ...]:
    """The scales in the order given, repeats dropped. ValueError names the part that is none."""
    scales = [scale for part in text.split(",") for scale in _part(part.strip())]
    if not 1 <= len(scales) <= MAX_SCALES:
        raise ValueError(f"guidance scales must be 1 to {MAX_SCALES} numbers, got {len(scales)} from {text!r}")
    return tuple(dict.fromkeys(scales))


def _part(part: str) -> list[float]:
    if match := _BY_STEP.fullmatch(part):
        low, high, step = map(float, match.groups())
        if step > 0 and low <= high and (high - low) / step < MAX_SCALES:
            return [round(low + index * step, 6) for index in range(int((high - low) / step + 1e-9) + 1)]
    elif match := _BY_COUNT.fullmatch(part):
        low, high, count = float(match[1]), float(match[2]), int(match[3])
        if low <= high and 2 <= count <= MAX_SCALES:
            return [round(low + index * (high - low) / (count - 1), 6) for index in range(count)]
    elif re.fullmatch(_NUMBER, part) and math.isfinite(float(part)):
        return [float(part)]
    raise ValueError(f"guidance scales must look like 1,2,4,8 or 1-8(1) or 1-8[4], all >= 0; got {part!r}")
