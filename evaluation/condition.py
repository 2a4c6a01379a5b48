"""Conditions in words, for tables, labels and file names. Imports nothing heavy, so that --help is instant."""

from __future__ import annotations

from collections.abc import Mapping

SHORT = {"guidance_scale": "w"}  # an axis that has a name of one letter in the field


def condition_label(values: Mapping[str, object]) -> str:
    """A condition, by its value on each axis: "w = 2, steps = 8"."""
    return ", ".join(f"{SHORT.get(axis, axis)} = {shown(value)}" for axis, value in values.items())


def shown(value: object) -> str:
    """A value as people read it, and never two that differ as one: 1, 7.5, 1.0000001, euler."""
    if isinstance(value, float):  # numpy's too
        return f"{value:g}" if float(f"{value:g}") == value or value != value else repr(float(value))
    return str(value)
