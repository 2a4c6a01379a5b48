"""Arrays out of pickled files (.pkl, and torch's .pt) without running any code that such a file may hold.

A pickle is a program that names what to call. Here it may name what builds arrays, numbers and plain containers, and
nothing else; and those are stood in for by functions that never allocate more than the file holds.
"""

from __future__ import annotations

import codecs
import io
import pickle
import re
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

MOST_BYTES = 2 << 30  # of a pickled file


def read_pickle(path: Path) -> Any:
    """What a pickled file holds: dictionaries, lists, arrays, numbers, text. ValueError or UnpicklingError otherwise."""
    _bounded(path.stat().st_size)
    return _Arrays(io.BytesIO(path.read_bytes())).load()


def read_torch(path: Path) -> Any:
    """What torch.save wrote, in its present form (a zip), with tensors as arrays."""
    with zipfile.ZipFile(path) as archive:  # the older form allocates what it declares
        _bounded(sum(info.file_size for info in archive.infolist()))
        (program,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        return _Tensors(archive, program).load()


def _bounded(size: int) -> None:
    if size > MOST_BYTES:
        raise ValueError(f"it declares {size} bytes, more than the {MOST_BYTES} that are read")


def _array(kind: type, shape: tuple, code: bytes) -> np.ndarray:
    """In place of numpy's `_reconstruct`, which allocates the shape that a file says; its state comes after."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError("it holds something other than arrays and numbers")
    return np.zeros(0, np.int8)


def _type(code: str, align: bool = False, copy: bool = True) -> np.dtype:
    """In place of numpy's `dtype`: a plain number's, and a copy, for its byte order is set afterwards."""
    if not isinstance(code, str) or not re.fullmatch(r"[fiu][1248]|b1", code):
        raise pickle.UnpicklingError(f"it holds values of the type {str(code)[:40]}, which are no numbers")
    return np.dtype(code, False, True)


def _number(dtype: np.dtype, data: bytes) -> np.generic:
    if not isinstance(dtype, np.dtype) or not isinstance(data, bytes) or len(data) != dtype.itemsize:
        raise pickle.UnpicklingError("it holds a damaged number")
    return np.frombuffer(data, dtype)[0]


def _of_buffer(data: Any, dtype: np.dtype, shape: tuple, order: str) -> np.ndarray:
    """In place of numpy's `_frombuffer`, of pickle's protocol 5."""
    return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C")


def _latin(text: str, encoding: str = "latin1") -> bytes:
    """Bytes as pickle's protocol 2 spells them."""
    if codecs.lookup(encoding).name != "iso8859-1":
        raise pickle.UnpicklingError(f"it names the codec {encoding[:40]}")
    return text.encode("latin1")


ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _type,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _latin,
}
for _core in ("core", "_core"):  # numpy 1 and numpy 2
    ADMITTED[f"numpy.{_core}.multiarray", "_reconstruct"] = _array
    ADMITTED[f"numpy.{_core}.multiarray", "scalar"] = _number
    ADMITTED[f"numpy.{_core}.numeric", "_frombuffer"] = _of_buffer


PLAIN = [(3, order, None, None, None, -1, -1, 0) for order in "<>|="]  # states of a number's type
# torch's storages by their names, and the numbers in them
STORAGES = {"Half": "f2", "Float": "f4", "Double": "f8", "Byte": "u1", "Short": "i2", "Int": "i4", "Long": "i8"}


# The unpickler in C makes room for as many memoised objects as a file names; the one in Python does not.
_Unpickler: Any = pickle._Unpickler


class _Arrays(_Unpickler):
    """Anything in a pickle but arrays, numbers, text and plain containers is refused by its name."""

    dispatch: ClassVar[dict[int, Any]] = dict(_Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no array; nothing of it was run"[:200])
        return ADMITTED[module, name]

    def load_build(self) -> None:
        """The state of an array, or the byte order of its type; no other object has one."""
        state, made = self.stack.pop(), self.stack[-1]
        if isinstance(made, np.dtype):
            if state not in PLAIN:
                raise pickle.UnpicklingError("it holds a type that is no plain number's")
        elif type(made) is not np.ndarray:
            raise pickle.UnpicklingError("it sets the state of something that is no array")
        made.__setstate__(state)

    def load_bytearray8(self) -> None:
        """Pickle's own makes room for the length that a file says before it reads."""
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


class _Tensors(_Arrays):
    """The same of a file of torch's: tensors become arrays that look into what is stored."""

    def __init__(self, archive: zipfile.ZipFile, program: str):
        super().__init__(io.BytesIO(archive.read(program)))
        self.archive, self.root = archive, program.removesuffix("data.pkl")
        order = f"{self.root}byteorder"
        self.order = ">" if order in archive.namelist() and archive.read(order) == b"big" else "<"

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name.removesuffix("Storage") in STORAGES:
            return STORAGES[name.removesuffix("Storage")]
        return super().find_class(module, name)

    def persistent_load(self, identity: tuple) -> np.ndarray:
        """A storage: ("storage", its type, its number in the zip, device, count)."""
        _, code, key, _, count = identity
        return np.frombuffer(self.archive.read(f"{self.root}data/{key}"), self.order + code)[:count]


def _tensor(storage: np.ndarray, offset: int, size: tuple, stride: tuple, *more: Any) -> np.ndarray:
    """A view of a storage, within it."""
    if not size:
        return storage[offset : offset + 1].reshape(())
    last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
    if min(offset, *size, *stride) < 0 or (min(size) > 0 and last >= len(storage)):
        raise pickle.UnpicklingError("it holds a tensor larger than what is stored of it")
    strides = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides, writeable=False)
