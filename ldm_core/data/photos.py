"""A folder of photographs, as training pictures of one size or as they are.

Whatever cameras, scanners and editors write around sound pixels is read as what it is; see pixels.py for the values.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from .pixels import opaque

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif"),
    *(".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".heic", ".heif"),  # not read, and said so: to pass them over would shorten a phone's folder without a word
}
# What a file may be, whatever its name; formats that run other programs, or have no mark of their own, are not among them.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "AVIF", "JPEG2000", "PPM")
BESIDE = {"__MACOSX", "@eaDir"}  # folders of archives and file servers: previews and resource forks
PNG_MARK = b"\x89PNG\r\n\x1a\n"
PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
END = b"\0\0\0\0IEND\xaeB`\x82"
DAMAGED = "its pixels are damaged: a checksum is wrong"
TURNING_CHUNK = b"eXIf"
ORIENTATION = 0x0112  # of EXIF
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def photo_files(folder: Path) -> list[Path]:
    """The image files of a folder and all folders below it, in the order of their paths; nothing that is hidden."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder of photographs")
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    files = sorted(path for path in found if not _hidden(path.relative_to(folder)) and path.is_file())
    if not files:
        raise ValueError(f"{folder} holds no photograph ({', '.join(sorted(SUFFIXES))})")
    return files


def _hidden(path: Path) -> bool:
    """Whether a path below a folder is not for its user: macOS puts "._a.jpg" beside a.jpg, and no picture in it."""
    return any(part.startswith(".") or part in BESIDE for part in path.parts)


def open_photo(path: Path) -> Image.Image:
    """A photograph in RGB, turned as its EXIF data say, of several frames the first; known by its content, not its name.

    ValueError in one line names a file whose pixels cannot be read.
    """
    try:
        return _read(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read as a photograph: {_why(path, error)}") from None
    except Exception as error:  # noqa: BLE001  # the library raises what it likes over damaged bytes
        words = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} cannot be read as a photograph: {words[:200]}") from None


class Header(NamedTuple):
    """What a photograph's file says of its pixels before they are read."""

    kind: str  # of FORMATS
    size: tuple[int, int]  # width and height, not yet turned
    mode: str  # Pillow's
    transparent: bool
    orientation: int  # EXIF's, 1 to 8


def photo_header(path: Path) -> Header:
    """A photograph's header; nothing is decoded, so a small file that declares gigabytes costs nothing.

    ValueError in one line as of `open_photo`; Pillow's DecompressionBombError beyond its own bound.
    """
    try:
        return _header(path)
    except Image.DecompressionBombError:
        raise
    except OSError as error:
        raise ValueError(f"{path} cannot be read as a photograph: {_why(path, error)}") from None
    except Exception as error:  # noqa: BLE001  # as above
        words = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} cannot be read as a photograph: {words[:200]}") from None


def _header(path: Path) -> Header:
    try:
        opened = Image.open(path, formats=FORMATS)
    except (ValueError, OSError, SyntaxError):
        pixels = pixels_of_png(path)
        if pixels is None:
            raise
        opened = Image.open(io.BytesIO(pixels), formats=("PNG",))
    with opened as picture:
        transparent = picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info
        return Header(picture.format or "", picture.size, picture.mode, transparent, _orientation(picture))


def photo_size(path: Path) -> tuple[int, int]:
    """Width and height of what `open_photo` gives, from the file's header alone where that is sound; ValueError as there."""
    try:
        header = photo_header(path)
    except (ValueError, Image.DecompressionBombError):
        return open_photo(path).size
    if header.kind == "TIFF":  # its turn is known only when it is read
        return open_photo(path).size
    return header.size[::-1] if header.orientation in range(5, 9) else header.size


def _read(path: Path) -> Image.Image:
    try:
        with Image.open(path, formats=FORMATS) as picture:
            picture.load()
            if picture.format == "PNG" and pixels_of_png(path) is None:
                raise OSError(DAMAGED)
            return _turned(opaque(picture), _orientation(picture))
    except (ValueError, OSError, SyntaxError):
        pixels = pixels_of_png(path)
        if pixels is None:
            raise
        with Image.open(io.BytesIO(pixels), formats=("PNG",)) as picture:
            return _turned(opaque(picture), _orientation(picture))


def _orientation(picture: Image.Image) -> int:
    """The camera's, 1 to 8; 1 where EXIF data are absent or damaged, which no pixel is the worse for."""
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # noqa: BLE001  # as above
        return 1


def _turned(picture: Image.Image, orientation: int) -> Image.Image:
    return picture.transpose(TURNS[orientation]) if orientation in TURNS else picture


def pixels_of_png(path: Path) -> bytes | None:
    """A PNG without what stands beside its pixels: notes too long for Pillow, or damaged. None where it is no PNG, or where a
    checksum of its pixels is wrong, which Pillow does not always see."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        data = PNG_MARK + file.read() if file.read(8) == PNG_MARK else b""
    kept, place = [PNG_MARK], 8
    while place + 12 <= len(data):
        (length,), kind = struct.unpack(">I", data[place : place + 4]), data[place + 4 : place + 8]
        chunk, place = data[place : place + 12 + length], place + 12 + length
        sound = len(chunk) == 12 + length and zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
        if kind in PIXEL_CHUNKS and not sound:
            return None
        if kind in PIXEL_CHUNKS or (kind == TURNING_CHUNK and sound):
            kept.append(chunk)
        if kind == b"IEND":
            return b"".join(kept)
    return b"".join([*kept, END]) if len(kept) > 1 and place == len(data) else None


def _why(path: Path, error: OSError) -> str:
    """In words: what Pillow does not know, or what the file system says."""
    if not isinstance(error, UnidentifiedImageError):
        return error.strerror or str(error)
    with path.open("rb") as file:
        start = file.read(12)
    if not start:
        return "it is empty"
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"):
        return "it is HEIC, which is not read here; export it as JPEG or PNG"
    if start[:4] in (b"II*\0", b"MM\0*"):
        return "a TIFF of a kind that is not read here; save it as PNG, or as TIFF of 8 bits a channel"
    return f"it is damaged, or none of {', '.join(FORMATS)}"


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
