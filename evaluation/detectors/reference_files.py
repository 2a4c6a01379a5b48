"""Files of statistics as other programs write them, read without running any code that a file may hold.

    .npz    mu, sigma (pytorch-fid, EDM, ours); arr_0, images uint8 (n, H, W, 3), and sFID's mu_s, sigma_s (ADM)
    .pt     {mu, sigma}, or features (n, d) (torch-fidelity's cache)
    .pkl    {metric: {mu, sigma}, num_images} (EDM2)

Sizes are read off headers, and bounded, before anything is allocated; pickles are read as pickled_arrays.py says.
"""

from __future__ import annotations

import json
import math
import pickle
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from .pickled_arrays import MOST_BYTES, read_pickle, read_torch
from .statistics_checks import check_statistics

SUFFIXES = (".npz", ".pt", ".pkl")
MOST_DIMENSIONS = 8192  # of features
MOST_TEXT = 64 << 20  # bytes of a protocol
MOST_IMAGE_BYTES = 128 << 30  # of arr_0, which is never in memory as a whole
MOST_SIDE = 8192  # pixels of an image in arr_0
IMAGES_AT_ONCE = 32


@dataclass(frozen=True)
class Stored:
    """What a file holds: a mean (d,) with a covariance (d, d), features (n, d), images, in any combination."""

    path: Path
    mean: np.ndarray | None = None
    covariance: np.ndarray | None = None
    features: np.ndarray | None = None
    protocol: dict = field(default_factory=dict)
    n: int | None = None  # images that mean and covariance are of, where the file says so
    images: int = 0  # uint8 images in arr_0


def read_stored(path: Path, dimension: int | None = None) -> Stored:
    """A file of statistics, checked; ValueError names the file and what is wrong with it.

    dimension   of the features wanted: which of an EDM2 file's statistics to take
    """
    readers: dict[str, Callable[[Path, int | None], Stored]] = {".npz": _npz, ".pt": _pt, ".pkl": _pkl}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"--reference {path}: the name must end in {', '.join(SUFFIXES)}")
    with _named(path):
        stored = reader(path, dimension)
        check_statistics(stored.mean, stored.covariance, stored.features)
    return stored


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Whatever is wrong with a file is one ValueError that names it."""
    try:
        yield
    except MemoryError:
        raise ValueError(f"--reference {path} is no file of statistics: it declares more than fits memory") from None
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        EOFError,
        RuntimeError,
        RecursionError,
        OverflowError,
        NotImplementedError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        words = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
        raise ValueError(f"--reference {path} is no file of statistics: {words[:300]}") from None


# .npz


def _npz(path: Path, dimension: int | None) -> Stored:
    with zipfile.ZipFile(path) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
        mean, covariance = (_array(archive, name) if name in names else None for name in ("mu", "sigma"))
        features = _array(archive, "features") if "features" in names else None
        protocol = _protocol(archive) if "protocol" in names else {}
        images = _image_shape(archive)[0] if "arr_0" in names else 0
    if mean is None and not images:
        raise ValueError(
            f"it holds neither mu and sigma nor images as arr_0, but {', '.join(sorted(names)) or 'nothing'}"
        )
    if features is not None and features.ndim == 2 and not len(features):
        features = None  # ours, of a reference without features
    return Stored(path, _doubles(mean), _doubles(covariance), _floats(features), protocol, protocol.get("n"), images)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], str, np.dtype]:
    """Shape, order and type of an .npy stream, read up to its first value; ValueError where it is of objects."""
    version = npy.read_magic(stream)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f".npy version {version} is not read")
    shape, fortran, dtype = readers[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read")
    return shape, "F" if fortran else "C", dtype


def _array(archive: zipfile.ZipFile, name: str, most: int = MOST_BYTES) -> np.ndarray:
    """One array of an archive: never more than its member says it holds, nor than `most` bytes."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as stream:
        shape, order, dtype = _header(stream)
        size = math.prod(shape) * dtype.itemsize
        if size > min(info.file_size, most) or max(shape[1:], default=0) > MOST_DIMENSIONS:
            raise ValueError(f"{name} declares the shape {shape}, {size} bytes; the file holds {info.file_size} of it")
        values = np.frombuffer(stream.read(size), dtype)
        stream.read(1)  # only at its end is a member's checksum compared
    return values.reshape(shape, order="F" if order == "F" else "C")


def _protocol(archive: zipfile.ZipFile) -> dict:
    """How our own files say they came about: JSON with the number of images `n`."""
    text = _array(archive, "protocol", MOST_TEXT)
    if text.dtype.kind != "U" or text.size != 1:
        raise ValueError("protocol is no text")
    protocol = json.loads(str(text.reshape(())))
    n = protocol.get("n", 0) if isinstance(protocol, dict) else 0
    if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 2):  # None: nobody knows
        raise ValueError("protocol does not say the number of images n, 2 or more")
    return protocol


def _image_shape(archive: zipfile.ZipFile) -> tuple[int, int, int]:
    """Number, height and width of the images in arr_0."""
    info = archive.getinfo("arr_0.npy")
    with archive.open(info) as stream:
        shape, order, dtype = _header(stream)
    sides = all(1 <= side <= MOST_SIDE for side in shape[1:3])
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or not sides or order == "F":
        raise ValueError(f"arr_0 must be images, uint8 (n, H, W, 3), got {dtype} {shape}")
    size = math.prod(shape)
    if shape[0] < 2 or size > min(info.file_size, MOST_IMAGE_BYTES):
        raise ValueError(f"arr_0 declares the shape {shape}, {size} bytes; the file holds {info.file_size} of it")
    return shape[0], shape[1], shape[2]


def stored_images(path: Path) -> Iterator[np.ndarray]:
    """The images of an .npz's arr_0 in order, uint8 (up to IMAGES_AT_ONCE, H, W, 3), never all in memory."""
    with _named(path), zipfile.ZipFile(path) as archive:
        count, height, width = _image_shape(archive)
        with archive.open("arr_0.npy") as stream:
            _header(stream)
            for start in range(0, count, IMAGES_AT_ONCE):
                here = min(IMAGES_AT_ONCE, count - start)
                data = stream.read(here * height * width * 3)
                yield np.frombuffer(data, np.uint8).reshape(here, height, width, 3)
            stream.read(1)


def _pkl(path: Path, dimension: int | None) -> Stored:
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise ValueError(f"it holds {type(content).__name__}, no statistics")
    if "mu" in content:
        return _of_mapping(path, content, None)
    names = [name for name, value in content.items() if isinstance(value, dict) and "mu" in value]
    fits = [name for name in names if np.shape(content[name]["mu"]) == (dimension,)] or names[:1]
    if not fits:
        raise ValueError(f"it holds no mu and sigma, but {', '.join(map(str, content)) or 'nothing'}"[:200])
    return _of_mapping(path, content[fits[0]], content.get("num_images"))


def _pt(path: Path, dimension: int | None) -> Stored:
    content = read_torch(path)
    if isinstance(content, np.ndarray):
        if content.ndim != 2 or content.size * 8 > MOST_BYTES:  # it may be a small one stretched over a large shape
            raise ValueError(f"it holds a tensor {content.shape}, no features (n, d)")
        return Stored(path, features=_floats(content))
    if not isinstance(content, dict) or "mu" not in content:
        raise ValueError("it holds no mu and sigma")
    return _of_mapping(path, content, None)


def _of_mapping(path: Path, content: dict, n: Any) -> Stored:
    """Statistics under the names mu and sigma, as arrays."""
    mean, covariance = (_bounded_array(content.get(name), name) for name in ("mu", "sigma"))
    if mean is None:
        raise ValueError("mu is missing")
    n = int(n) if isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 2 else None
    return Stored(path, _doubles(mean), _doubles(covariance), n=n)


def _bounded_array(values: Any, name: str) -> np.ndarray | None:
    """Values as an array; a tensor may be a small one stretched over a large shape, so shapes are looked at first."""
    if values is None:
        return None
    if not isinstance(values, np.ndarray):
        raise ValueError(f"{name} is {type(values).__name__}, no array")
    if values.ndim not in (1, 2) or max(values.shape) > MOST_DIMENSIONS:
        raise ValueError(f"{name} has the shape {values.shape}")
    return values


def _doubles(values: np.ndarray | None) -> np.ndarray | None:
    return None if values is None else _real(values).astype(np.float64)


def _floats(values: np.ndarray | None) -> np.ndarray | None:
    return None if values is None else _real(values).astype(np.float32)


def _real(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "fiu":
        raise ValueError(f"it holds {values.dtype} where numbers should be")
    return values
