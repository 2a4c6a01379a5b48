"""Pictures that go with the prompts of a run: start images, masks, control images.

The n-th prompt of the file takes the n-th picture of the folder, in the order of their names; a single picture serves every
prompt. Too few are refused, and too many where every prompt of the file is drawn. A picture of another size is brought to the
run's: enlarged or shrunk until it covers it, the middle taken.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from ldm_core.data.photos import open_photo, photo_files
from ldm_core.images import from_pil

from ..paths import portable
from ..prompts import Prompt

KEPT = 256  # pictures in memory


def by_prompt(flag: str, source: Path, prompts: Sequence[Prompt], limited: bool) -> dict[int, Path]:
    """The picture of each prompt by its place in its file; ValueError in one line where pictures are lacking, or too many
    although no --limit leaves prompts out."""
    files = _files(flag, source)
    if len(files) == 1:
        return {prompt.id: files[0] for prompt in prompts}
    needed = max(prompt.id for prompt in prompts) + 1
    if len(files) < needed or (len(files) > needed and not limited):
        raise ValueError(
            f"{flag} {portable(source)} holds {len(files)} pictures and there are {needed} prompts: the n-th prompt takes the "
            "n-th picture by name; give as many, or one for all"
        )
    return {prompt.id: files[prompt.id] for prompt in prompts}


def _files(flag: str, source: Path) -> list[Path]:
    try:
        return [source] if source.is_file() else photo_files(source)
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from None


@functools.cache
def files_sha256(flag: str, source: Path) -> str:
    """Of the files' contents, in the order of their names."""
    digests = (hashlib.sha256(path.read_bytes()).digest() for path in _files(flag, source))
    return hashlib.sha256(b"".join(digests)).hexdigest()


@functools.lru_cache(maxsize=KEPT)
def fitted(path: Path, height: int, width: int) -> Tensor:
    """A picture (3, H, W) in [0, 1] of that size, in 8 bits: as it is where it has it, else covering it, its middle."""
    picture = open_photo(path)
    if picture.size != (width, height):
        scale = max(width / picture.width, height / picture.height)
        sides = (max(width, round(picture.width * scale)), max(height, round(picture.height * scale)))
        picture = picture.resize(sides, Image.Resampling.BICUBIC)
        left, top = (sides[0] - width) // 2, (sides[1] - height) // 2
        picture = picture.crop((left, top, left + width, top + height))
    return from_pil(picture)
