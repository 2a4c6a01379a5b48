"""Files written whole or not at all: beside their place first, then put there, so that no kill leaves half a file. And the
folder of the user's cache that those go to which can be made again, and how texts in files name the home folder."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder(*parts: str) -> Path:
    """A folder of ours in the user's cache; it need not be there yet."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "ldm-eval", *parts)


def without_home(text: str) -> str:
    """A text with the user's home folder written ~, so that a table that is passed on does not tell whose machine it was."""
    home = str(Path.home())
    return re.sub(rf"{re.escape(home)}(?=[/\\]|\b)", "~", text) if len(home) > 1 else text


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A new path beside `path` to write to within the block; at its end it takes the place of `path`.

    Where the block fails nothing is left and `path` is as it was. Errors name `path`, as `naming` says.
    """
    # Processes of several machines, whose numbers may be alike, write to one folder.
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.partial")
    try:
        with naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)  # there only if writing failed


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError in the block that does not say which file it was about (a full disk, an encoder that cannot write, a file
    that stands for a moment only) names `path`."""
    try:
        yield
    except OSError as error:
        words = error.strerror or str(error)
        if error.errno is None and str(path) not in words:
            raise OSError(f"{path}: {words}") from None
        if error.errno is not None and (error.filename is None or str(error.filename).endswith(".partial")):
            raise OSError(error.errno, words, str(path)) from None
        raise


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a text (UTF-8) or bytes to a file whole or not at all."""
    with whole_file(path) as partial:
        partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
