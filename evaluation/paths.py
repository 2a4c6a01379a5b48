"""Paths as files that are passed on may hold them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ldm_core.files import without_home


def portable(path: Path | str) -> str:
    """A path below the working folder as seen from there, else without the home folder; other names as they are."""
    here = Path.cwd()
    if Path(path).is_absolute() and Path(path).is_relative_to(here):
        return Path(path).relative_to(here).as_posix()
    return without_home(str(path))


def name_alone(value: Any) -> Any:
    """A whole path's last name, by which others have it too; anything else as it is."""
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def clean_json(value: Any) -> Any:
    """A JSON value with no home folder in its texts."""
    if isinstance(value, Mapping):
        return {name: clean_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(inner) for inner in value]
    return without_home(value) if isinstance(value, str) else value
