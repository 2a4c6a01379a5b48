"""Numbers of any kind (numpy's too) within bounds, as Python's; ValueError names the argument, the value and the bounds."""

from __future__ import annotations

import math
from numbers import Integral, Real


def check_real(name: str, value: object, low: float, high: float, more: str = "") -> float:
    """A finite number of any kind (numpy's too) within bounds, as Python's."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or not low <= value <= high:
        bounds = f"a finite number >= {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
        raise ValueError(f"{name} must be {bounds}, got {value!r}{more}")
    return float(value)


def check_whole(name: str, value: object, low: int, high: float) -> int:
    """An integer of any kind within bounds, as Python's."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= value <= high:
        bounds = f">= {low}" if math.isinf(high) else f"from {low} to {high:g}"
        raise ValueError(f"{name} must be an integer {bounds}, got {value!r}")
    return int(value)
