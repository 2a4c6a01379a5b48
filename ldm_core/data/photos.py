"""A folder of photographs, as training pictures of one size or as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def photo_files(folder: Path) -> list[Path]:
    """The image files of a folder and all folders below it, in the order of their paths; not what macOS leaves beside
    them, "._NAME"."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder of photographs")
    named = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    files = sorted(path for path in named if not path.name.startswith("._"))
    if not files:
        raise ValueError(f"{folder} holds no photograph ({', '.join(sorted(SUFFIXES))})")
    return files


def open_photo(path: Path) -> Image.Image:
    """A photograph in RGB, turned as its EXIF data say; ValueError names a file that cannot be read."""
    try:
        with Image.open(path) as picture:
            return opaque(ImageOps.exif_transpose(picture))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # a broken PNG chunk is a SyntaxError
        raise ValueError(f"{path} cannot be read as a photograph: {error}") from None


def photo_size(path: Path) -> tuple[int, int]:
    """Width and height of what `open_photo` gives, from the file's header alone; ValueError as there."""
    try:
        with Image.open(path) as picture:
            turned = picture.getexif().get(ExifTags.Base.Orientation, 1) in range(5, 9)
            return (picture.height, picture.width) if turned else picture.size
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as a photograph: {error}") from None


def opaque(picture: Image.Image) -> Image.Image:
    """A picture of any mode in RGB: white behind what is transparent, 16-bit grey brought to 8 bits."""
    if picture.mode.startswith("I"):  # Pillow would cut off everything above 255
        picture = Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def middle_square(picture: Image.Image) -> Image.Image:
    """The largest square in the middle of a picture."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def squares(folder: Path, count: int, size: int) -> Iterator[np.ndarray]:
    """The middles of `count` photographs as uint8 (size, size, 3), spread evenly over the folder's files.

    A large photograph is first made smaller, to a shorter side of twice the size, so that the square shows more than
    a patch of wall. One smaller than the size is passed over: enlarging would teach a model to blur.
    """
    files = photo_files(folder)
    chosen = [files[index] for index in np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int)]
    for path in chosen:
        picture = open_photo(path)
        shrink = min(1.0, 2 * size / min(picture.size))
        if shrink < 1:
            sides = (round(picture.width * shrink), round(picture.height * shrink))
            picture = picture.resize(sides, Image.Resampling.LANCZOS)
        left, top = (picture.width - size) // 2, (picture.height - size) // 2
        if min(left, top) >= 0:
            yield np.asarray(picture.crop((left, top, left + size, top + size)))
