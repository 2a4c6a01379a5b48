"""Files written whole or not at all: beside their place first, then put there, so that no kill leaves half a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A new path beside `path` to write to within the block; at its end it takes the place of `path`.

    Where the block fails nothing is left and `path` is as it was. An OSError that does not say which file it was about
    (a full disk) names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
    finally:
        partial.unlink(missing_ok=True)  # there only if writing failed


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a text (UTF-8) or bytes to a file whole or not at all."""
    with whole_file(path) as partial:
        partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
