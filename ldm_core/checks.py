"""Numbers and texts within bounds, numbers of any kind (numpy's too) as Python's; ValueError names argument, value and
bounds in one line."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

SHOWN = 80  # characters of a wrong value that a message quotes


def check_real(name: str, value: object, low: float, high: float, more: str = "") -> float:
    """A finite number of any kind (numpy's too) within bounds, as Python's."""
    number = _plain(value)
    if isinstance(number, bool) or not isinstance(number, Real) or not _within(number, low, high):
        bounds = f"from {low:g} to {high:g}"
        if math.isinf(high):
            bounds = "a finite number" + ("" if math.isinf(low) else f" >= {low:g}")
        raise ValueError(f"{name} must be {bounds}, got {shown(value)}{more}")
    return float(number)


def check_whole(name: str, value: object, low: int, high: float) -> int:
    """An integer of any kind within bounds, as Python's."""
    number = _plain(value)
    if isinstance(number, bool) or not isinstance(number, Integral) or not low <= int(number) <= high:
        bounds = f">= {low}" if math.isinf(high) else f"from {low} to {high}"
        raise ValueError(f"{name} must be an integer {bounds}, got {shown(value)}")
    return int(number)


def check_truth(name: str, value: object) -> bool:
    """True or False of any kind (numpy's too), as Python's."""
    truth = _plain(value)
    if not isinstance(truth, bool):
        raise ValueError(f"{name} must be true or false, got {shown(value)}")
    return truth


def check_interval(name: str, value: Any) -> tuple[float, float] | None:
    """A span of time (low, high) with 0 <= low < high <= 1, or None."""
    if value is None:
        return None
    try:
        low, high = (check_real(name, part, 0, 1) for part in value)
        if low < high:
            return low, high
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{name} must be (low, high) with 0 <= low < high <= 1, got {shown(value)}")


def check_text(name: str, value: object) -> str:
    """A text that files can hold: lone halves of surrogate pairs, which JSON may smuggle in, are in no encoding."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, got {shown(value)}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{name} must be text that UTF-8 can hold, got {shown(ascii(value))}") from None
    return str(value)


def shown(value: object) -> str:
    """A wrong value as messages quote it: on one line, its middle left out where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integers of more than 4300 digits
        return "a number of thousands of digits"
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]}...{text[-SHOWN // 4 :]}"


def first_line(error: BaseException) -> str:
    """What a library's error says, on one line; its kind where it says nothing."""
    return next((" ".join(line.split()) for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _plain(value: Any) -> Any:
    """The number within an array or tensor of no dimensions; anything else as it is."""
    alone = getattr(value, "ndim", None) == 0 and hasattr(value, "item")
    return value.item() if alone else value


def _within(number: Real, low: float, high: float) -> bool:
    try:
        return math.isfinite(number) and low <= float(number) <= high
    except OverflowError:  # an integer beyond every float
        return False
