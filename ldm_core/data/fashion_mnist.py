"""Fashion-MNIST (Xiao et al. 2017, MIT licence): 70 000 grey pictures of clothes, 28 x 28, in ten classes.

From a folder that holds the four official files, or downloaded once where there is a network; checked by MD5 either way.
"""

from __future__ import annotations

import gzip
import hashlib
import operator
import os
import random
import re
import struct
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np

from ..files import write_whole
from .chance import pick

LABELS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_SYNONYMS = (
    ("a t-shirt", "a top", "a tee"),
    ("trousers", "a pair of trousers", "pants"),
    ("a pullover", "a sweater", "a jumper"),
    ("a dress", "a gown"),
    ("a coat", "a jacket"),
    ("a sandal", "a summer sandal"),
    ("a shirt", "a blouse"),
    ("a sneaker", "a trainer", "a running shoe"),
    ("a bag", "a handbag"),
    ("an ankle boot", "a boot"),
)
_NAMES = (
    ("t-shirt", "t-shirts", "top", "tee"),
    ("trouser", "trousers", "pants"),
    ("pullover", "pullovers", "sweater", "jumper"),
    ("dress", "dresses", "gown"),
    ("coat", "coats", "jacket"),
    ("sandal", "sandals"),
    ("shirt", "shirts", "blouse"),
    ("sneaker", "sneakers", "trainer", "trainers", "running shoe", "running shoes"),
    ("bag", "bags", "handbag", "handbags"),
    ("boot", "boots"),
)
_FRAMES = ("a photo of {}", "a photo of {}", "a picture of {}", "{}")
URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FILES = {
    ("train", "images"): ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
    ("train", "labels"): ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
    ("test", "images"): ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
    ("test", "labels"): ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
}
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fashion_mnist"


def load(split: str, folder: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 28, 28) and labels uint8 (N,) of `train` or `test`; from the folder, or the cache, or the net."""
    if split not in ("train", "test"):
        raise ValueError(f"split must be train or test, got {split!r}")
    images, labels = (read_idx(_file(split, part, folder)) for part in ("images", "labels"))
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise ValueError(
            f"Fashion-MNIST {split}: images {images.shape} and labels {labels.shape} do not belong together"
        )
    return images, labels


def read_idx(data: bytes) -> np.ndarray:
    """The array of an unsigned-byte IDX file: magic 0x08 and rank, big-endian sides, then the values."""
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise ValueError("not an IDX file of unsigned bytes: its first bytes must be 00 00 08")
    rank = data[3]
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank]) if len(data) >= 4 + 4 * rank else (1,)
    values = np.frombuffer(data, np.uint8, offset=min(len(data), 4 + 4 * rank))
    if values.size != int(np.prod(shape)):
        raise ValueError(f"IDX file cut short: {values.size} values for the shape {shape}")
    return values.reshape(shape)


def _file(split: str, part: str, folder: Path | None) -> bytes:
    name, md5 = FILES[split, part]
    path = (folder or CACHE) / name
    if not path.exists():
        if folder is not None:
            raise ValueError(f"--data {folder} has no {name}")
        _download(name, path)
    data = path.read_bytes()
    if hashlib.md5(data).hexdigest() != md5:
        raise ValueError(f"{path} is not the official file (its MD5 is not {md5}); delete it and try again")
    return gzip.decompress(data)


def _download(name: str, path: Path) -> None:
    try:
        with urllib.request.urlopen(URL + name, timeout=60) as response:
            write_whole(path, response.read())
    except (urllib.error.URLError, TimeoutError) as error:
        raise ValueError(
            f"{name} cannot be downloaded ({error}); give the folder of the four files with --data"
        ) from None


def pad(images: np.ndarray, size: int = 32) -> np.ndarray:
    """Images (N, 28, 28) in the middle of black squares (N, size, size): 32 halves evenly, 28 does not."""
    extra = size - images.shape[1]
    if extra < 0:
        raise ValueError(f"size must be at least {images.shape[1]}, got {size}")
    return np.pad(images, ((0, 0), (extra // 2, extra - extra // 2), (extra // 2, extra - extra // 2)))


def caption(label: int, seed: int) -> str:
    """One way to say a label, the same for the same seed: "a photo of an ankle boot"."""
    rng = random.Random(operator.index(seed))
    frame = pick(rng, _FRAMES)
    return frame.format(pick(rng, _SYNONYMS[label]))


def parse(text: str) -> int | None:
    """The label that a text names, in the words of the captions or close to them; None where it names none, or two."""
    plain = f" {' '.join(re.findall(r'[a-z-]+', text.lower().replace('t shirt', 't-shirt').replace('tee shirt', 't-shirt')))} "
    named = {label for label, words in enumerate(_NAMES) if any(f" {word} " in plain for word in words)}
    return named.pop() if len(named) == 1 else None
