"""Files of statistics as other programs write them, read without running any code that a file may hold.

    .npz    mu, sigma (pytorch-fid, EDM, ours); arr_0, images uint8 (n, H, W, 3), and sFID's mu_s, sigma_s (ADM)
    .pt     {mu, sigma}, or features (n, d) (torch-fidelity's cache)
    .pkl    {metric: {mu, sigma}, num_images} (EDM2)

A pickle may name nothing but arrays and numbers. Sizes are read off headers, and bounded, before anything is allocated.
"""

from __future__ import annotations

import codecs
import io
import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.lib import format as npy

SUFFIXES = (".npz", ".pt", ".pkl")
MOST_DIMENSIONS = 16_384  # of features: a covariance of 2 GB
MOST_BYTES = 8 << 30  # of an array in memory, and of a pickled file
MOST_IMAGE_BYTES = 128 << 30  # of arr_0, which is never in memory as a whole
MOST_SIDE = 8192  # pixels of an image in arr_0
IMAGES_AT_ONCE = 32
# Whose statistics each key of EDM2's files holds, by the features' number: its files do not say more.
METRIC_OF_DIMENSION = {2048: "fid", 1024: "fd_dinov2"}


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
        zipfile.zlib.error,  # type: ignore[attr-defined]
    ) as error:
        words = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
        raise ValueError(f"--reference {path} is no file of statistics: {words[:300]}") from None


def check_statistics(mean: Any, covariance: Any, features: Any) -> None:
    """ValueError unless these are a mean (d,) with its covariance (d, d), and features (n, d); each may be None."""
    for name, values in (("mu", mean), ("sigma", covariance), ("features", features)):
        if values is not None and not np.isfinite(values).all():
            raise ValueError(f"{name} holds values that are not finite (NaN or infinity)")
    if mean is not None:
        if mean.ndim != 1 or not mean.size or covariance is None or covariance.shape != (mean.size, mean.size):
            shape = None if covariance is None else covariance.shape
            raise ValueError(f"mu {mean.shape} and sigma {shape} do not belong together")
        _check_covariance(covariance)
    if features is not None:
        if features.ndim != 2:
            raise ValueError(f"features must be (n, d), got {features.shape}")
        if mean is not None and features.shape[1] != mean.size:
            raise ValueError(f"features of width {features.shape[1]} beside mu of {mean.size} do not belong together")


def _check_covariance(covariance: np.ndarray) -> None:
    """ValueError where no distribution has this covariance, as far as that is seen without its eigenvalues."""
    variances = covariance.diagonal()
    if (variances < 0).any():
        raise ValueError(f"sigma has a negative variance, {variances.min():.3g}")
    largest = variances.max()
    if np.abs(covariance - covariance.T).max() > 1e-5 * largest:
        raise ValueError("sigma is not symmetric")
    spreads = np.sqrt(variances)
    if (np.abs(covariance) > np.outer(spreads, spreads) + 1e-5 * largest).any():
        raise ValueError("sigma holds a covariance larger than its variances allow")


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
    return Stored(path, *_doubles(mean, covariance), _floats(features), protocol, protocol.get("n"), images)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an .npy stream, read up to its first value; ValueError where it is of objects."""
    version = npy.read_magic(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f".npy version {version} is not read")
    shape, fortran, dtype = read(stream)
    if fortran and len(shape) > 1:
        shape = (*shape, -1)  # marked for _array, refused elsewhere
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not read")
    return shape, dtype


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """One array of an archive, no larger than its member says it is, nor than what may be in memory."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as stream:
        shape, dtype = _header(stream)
        fortran = shape[-1:] == (-1,)
        shape = shape[:-1] if fortran else shape
        size = dtype.itemsize * int(np.prod([int(side) for side in shape], dtype=object))
        if size > min(info.file_size, MOST_BYTES) or max(shape[-1:], default=0) > max(MOST_DIMENSIONS, 0):
            raise ValueError(
                f"{name} declares the shape {shape}, {size} bytes; its part of the file has {info.file_size}"
            )
        values = np.frombuffer(stream.read(size), dtype)
    return values.reshape(shape, order="F" if fortran else "C")


def _protocol(archive: zipfile.ZipFile) -> dict:
    """How our own files say they came about: JSON with the number of images `n`."""
    text = _array(archive, "protocol")
    if text.dtype.kind != "U" or text.size != 1:
        raise ValueError("protocol is no text")
    protocol = json.loads(str(text.reshape(())))
    n = protocol.get("n") if isinstance(protocol, dict) else None
    if isinstance(n, bool) or not isinstance(n, int) or n < 2:
        raise ValueError("protocol does not say the number of images n, 2 or more")
    return protocol


def _image_shape(archive: zipfile.ZipFile) -> tuple[int, int, int]:
    """Number, height and width of the images in arr_0."""
    info = archive.getinfo("arr_0.npy")
    with archive.open(info) as stream:
        shape, dtype = _header(stream)
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or not all(1 <= side <= MOST_SIDE for side in shape[1:3]):
        raise ValueError(f"arr_0 must be images, uint8 (n, H, W, 3), got {dtype} {shape}")
    size = int(np.prod([int(side) for side in shape], dtype=object))
    if shape[0] < 2 or size > min(info.file_size, MOST_IMAGE_BYTES):
        raise ValueError(f"arr_0 declares the shape {shape}, {size} bytes; its part of the file has {info.file_size}")
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


# .pt and .pkl


def _empty(kind: type, shape: tuple, code: bytes) -> np.ndarray:
    """In place of numpy's own `_reconstruct`, which would allocate whatever a file says."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError("it holds something other than arrays and numbers")
    return np.zeros(0, np.int8)


def _scalar(dtype: np.dtype, data: Any) -> np.generic:
    if dtype.hasobject or not isinstance(data, bytes) or len(data) != dtype.itemsize:
        raise pickle.UnpicklingError("it holds a damaged number")
    return np.frombuffer(data, dtype)[0]


def _latin(text: str, encoding: str = "latin1") -> bytes:
    """Bytes as pickle's protocol 2 spells them."""
    if codecs.lookup(encoding).name != "iso8859-1":
        raise pickle.UnpicklingError(f"it names the codec {encoding}")
    return text.encode("latin1")


ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _latin,
    **{
        (f"numpy.{core}.multiarray", name): function
        for core in ("core", "_core")
        for name, function in (("_reconstruct", _empty), ("scalar", _scalar))
    },
}


class _Arrays(pickle._Unpickler):  # type: ignore[name-defined]  # the one in C allocates what a file says
    """Arrays, numbers, text and plain containers; anything else in a pickle is refused by its name, and not run."""

    dispatch = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no array; nothing of it was run")
        return ADMITTED[module, name]

    def load_build(self) -> None:
        """Set the state of an array or of an array's type, and of nothing else."""
        state = self.stack.pop()
        if type(self.stack[-1]) not in (np.ndarray, np.dtype) and not isinstance(self.stack[-1], np.dtype):
            raise pickle.UnpicklingError("it sets the state of something that is no array")
        self.stack[-1].__setstate__(state)

    dispatch[pickle.BUILD[0]] = load_build


def _pkl(path: Path, dimension: int | None) -> Stored:
    _bounded(path, path.stat().st_size)
    content = _Arrays(io.BytesIO(path.read_bytes())).load()
    if not isinstance(content, dict):
        raise ValueError(f"it holds {type(content).__name__}, no statistics")
    if "mu" in content:
        return _of_mapping(path, content, None)
    names = [name for name, value in content.items() if isinstance(value, dict) and "mu" in value]
    fits = [name for name in names if np.shape(content[name]["mu"]) == (dimension,)] or names[:1]
    if not fits:
        raise ValueError(f"it holds no mu and sigma, but {', '.join(map(str, content)) or 'nothing'}"[:200])
    known = METRIC_OF_DIMENSION.get(dimension or 0)
    return _of_mapping(path, content[known if known in fits else fits[0]], content.get("num_images"))


def _pt(path: Path, dimension: int | None) -> Stored:
    with zipfile.ZipFile(path) as archive:  # the older form of torch's files allocates what it declares
        _bounded(path, sum(info.file_size for info in archive.infolist()))
    admitted: list[Any] = [
        (value, ".".join(key)) for key, value in ADMITTED.items() if key[0].startswith(("numpy", "_"))
    ]
    admitted += [type(np.dtype(code)) for code in ("f2", "f4", "f8", "i4", "i8")]
    with torch.serialization.safe_globals(admitted):
        content = torch.load(path, map_location="cpu", weights_only=True)
    if torch.is_tensor(content):
        if content.ndim != 2 or content.numel() * 8 > MOST_BYTES:
            raise ValueError(f"it holds a tensor {tuple(content.shape)}, no features (n, d)")
        return Stored(path, features=_floats(content.numpy()))
    if not isinstance(content, dict) or "mu" not in content:
        raise ValueError("it holds no mu and sigma")
    return _of_mapping(path, content, None)


def _bounded(path: Path, size: int) -> None:
    if size > MOST_BYTES:
        raise ValueError(f"it declares {size} bytes; {MOST_BYTES} are the most that is read")


def _of_mapping(path: Path, content: dict, n: Any) -> Stored:
    """Statistics under the names mu and sigma, as arrays or tensors."""
    mean, covariance = (_bounded_array(content.get(name), name) for name in ("mu", "sigma"))
    if mean is None:
        raise ValueError("mu is missing")
    n = int(n) if isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 2 else None
    return Stored(path, *_doubles(mean, covariance), n=n)


def _bounded_array(values: Any, name: str) -> np.ndarray | None:
    """Values as an array; a tensor may be a small one stretched over a large shape, so shapes are looked at first."""
    if values is None:
        return None
    if not isinstance(values, np.ndarray) and not torch.is_tensor(values):
        raise ValueError(f"{name} is {type(values).__name__}, no array")
    if values.ndim not in (1, 2) or max(values.shape) > MOST_DIMENSIONS:
        raise ValueError(f"{name} has the shape {tuple(values.shape)}")
    return values.numpy() if torch.is_tensor(values) else values


def _doubles(*arrays: np.ndarray | None) -> list[np.ndarray | None]:
    return [None if values is None else _real(values).astype(np.float64) for values in arrays]


def _floats(values: np.ndarray | None) -> np.ndarray | None:
    return None if values is None else _real(values).astype(np.float32)


def _real(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "fiu":
        raise ValueError(f"it holds {values.dtype} where numbers should be")
    return values
