"""Every image through a detector once: feature extraction, and its scores against its caption; kept in files."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from ldm_core.data.photos import open_photo, photo_size
from ldm_core.files import whole_file
from ldm_core.images import from_uint8, load_png

from ..image_set import ImageSet
from ..processes import Processes
from .detector import Detector

BATCH = 32  # images
PORTION = 8 * BATCH  # taken at a time, and what a kill can cost
FLAT = 2  # grey levels between the lightest and the darkest pixel
Extracted = tuple[np.ndarray, dict[str, float]]  # of one image: its features and its scores
SpentLog = Callable[[str, int, float, float], None]  # (part of the set, images, seconds, those within the network)


def flat_images(files: Sequence[Path]) -> list[Path]:
    """Those that are of one colour all over: a model or a safety filter has failed there."""
    with ThreadPoolExecutor(4) as readers:
        flat = readers.map(lambda path: int(np.ptp(load_png(path), axis=(0, 1)).max()) <= FLAT, files)
        return [path for path, is_flat in zip(files, flat) if is_flat]


def cache_file(folder: Path, part: str, name: str, who: str) -> Path:
    """Where a folder of features keeps what a detector of an identity extracted of a part of a set."""
    return folder / f"{part}-{name}-{who[:12]}.npz"


def identity(sha256: str, resize: str) -> str:
    """What decides the features of an image: the weights, and how images are brought to their size."""
    return hashlib.sha256(f"{sha256} {resize}".encode()).hexdigest()


def parts(images: ImageSet) -> Iterator[tuple[str, np.ndarray]]:
    """The set in parts that have a cache each, with their masks: the folders of a run, else all images as one."""
    if not images.named_by_content:
        yield "images", np.ones(len(images), bool)
        return
    folders = np.array([path.parent.name for path in images.paths])
    for folder in dict.fromkeys(folders):
        yield str(folder), folders == folder


def extract(
    images: ImageSet,
    cache: Path,
    name: str,
    detector: Detector,
    processes: Processes | None = None,
    log: SpentLog | None = None,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Features (len(images), d), and a row an image with the detector's scores.

    What was extracted before is kept in the folder `cache`, so a longer set costs only what is new. Of several processes
    each takes portion after portion, and the first gathers; only its result is whole.
    """
    processes = processes or Processes()
    features = np.zeros((len(images), detector.dimension), np.float32)
    scores: list[dict[str, float]] = [{}] * len(images)
    for part, chosen in parts(images):
        file = cache_file(cache, part, name, identity(detector.sha256, detector.resize))
        found = _extract_part(images.part(chosen), part, file, detector, processes, log)
        for index, (values, row) in zip(np.flatnonzero(chosen), found):
            features[index], scores[index] = values, row
    return features, pd.DataFrame(scores)


def _extract_part(
    images: ImageSet, part: str, cache: Path, detector: Detector, processes: Processes, log: SpentLog | None
) -> list[Extracted]:
    who, keys = identity(detector.sha256, detector.resize), images.keys
    if processes.first:
        _gather(cache, who)  # what a killed run had extracted
    kept, given = read_cache(cache, who), set(getattr(detector, "scores", ()))
    # What was extracted before the detector gave a score is extracted again.
    known = set(processes.broadcast(sorted(key for key, (_, scores) in kept.items() if given <= set(scores))))
    absent = sorted({key: row for row, key in enumerate(keys) if key not in known}.values())
    for place in processes.draw(math.ceil(len(absent) / PORTION)):
        began, rows = time.perf_counter(), absent[place * PORTION : (place + 1) * PORTION]
        # The portion's own: with all images in hand each time, the work would grow with the square of their number.
        extracted, network_seconds = _run(images.part(rows), [keys[row] for row in rows], detector)
        _write_cache(cache.with_suffix(f".{processes.rank}-{place}.part"), who, extracted)
        if log is not None:
            log(part, len(rows), time.perf_counter() - began, network_seconds)
    processes.meet()
    if not processes.first:
        return []
    _gather(cache, who)
    found = read_cache(cache, who)
    return [found[key] for key in keys]


def _run(images: ImageSet, keys: Sequence[str], detector: Detector) -> tuple[dict[str, Extracted], float]:
    """What the detector makes of images, and its own seconds.

    Images of one size go in batches of one shape, the last filled up; of a set of several sizes only full batches do, and
    the rest one by one. So an image's features do not depend on which others are beside it.
    """
    found, seconds, paths = {}, 0.0, images.paths
    captions = [str(told) for told in images.table[detector.reads]] if hasattr(detector, "reads") else images.captions
    for batch, shape in _same_size(paths):
        filled = [*batch, *[batch[-1]] * (shape - len(batch))]
        pixels = [_pixels(paths[row]) for row in batch]
        stacked = from_uint8(np.stack([*pixels, *[pixels[-1]] * (shape - len(batch))]))
        began = time.perf_counter()
        features, scores = detector.extract(stacked, [captions[row] for row in filled])
        seconds += time.perf_counter() - began
        for index, row in enumerate(batch):
            found[keys[row]] = (features[index], {metric: values[index] for metric, values in scores.items()})
    return found, seconds


def _same_size(paths: Sequence[Path]) -> Iterator[tuple[list[int], int]]:
    """Batches of rows whose images have one size, each with the number of images that it is filled up to."""
    sizes: dict[tuple[int, int], list[int]] = {}
    for row, path in enumerate(paths):
        sizes.setdefault(photo_size(path), []).append(row)
    for group in sizes.values():
        full = len(group) if len(sizes) == 1 else len(group) - len(group) % BATCH
        yield from ((group[start : start + BATCH], BATCH) for start in range(0, full, BATCH))
        yield from (([row], 1) for row in group[full:])


def _pixels(path: Path) -> np.ndarray:
    """uint8 (H, W, 3) of a picture file; white behind what is transparent."""
    return np.asarray(open_photo(path))


def _gather(cache: Path, who: str) -> None:
    """Put the parts that processes have left beside a cache into it; one that holds nothing of use is removed."""
    left = sorted(cache.parent.glob(f"{cache.stem}.*.part"))
    known = read_cache(cache, who)
    for part in left:
        known |= read_cache(part, who)
    if left and known:
        _write_cache(cache, who, known)
    elif not known:
        cache.unlink(missing_ok=True)
    for part in left:
        part.unlink()


def read_cache(path: Path, who: str) -> dict[str, Extracted]:
    """What a cache holds by an image's key; empty where there is none, or another detector's, or a damaged one: what it held
    is extracted again. ValueError where a folder stands in its place."""
    if not path.exists():
        return {}
    if path.is_dir():
        raise ValueError(f"{path} is a folder where features are kept; move it away")
    try:
        with np.load(path) as stored:
            if str(stored["detector"]) != who:
                return {}
            files, metrics = stored["files"].tolist(), stored["metrics"].tolist()
            features, scores = np.asarray(stored["features"], np.float32), np.asarray(stored["scores"], np.float64)
    except Exception as error:  # noqa: BLE001  # zip, pickle and numpy raise what they like over damaged bytes
        print(f"damaged, passed over: {path} ({type(error).__name__})")
        return {}
    if features.ndim != 2 or scores.shape != (len(files), len(metrics)) or len(features) != len(files):
        print(f"damaged, passed over: {path} (its arrays do not belong together)")
        return {}
    return dict(zip(files, zip(features, (dict(zip(metrics, row)) for row in scores.tolist()))))


def _write_cache(path: Path, who: str, known: dict[str, Extracted]) -> None:
    metrics = max((list(scores) for _, scores in known.values()), key=len)
    keys = sorted(
        key for key, (_, scores) in known.items() if len(scores) == len(metrics)
    )  # the rest is of an older detector
    scores = np.array([[known[key][1][metric] for metric in metrics] for key in keys])
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            files=np.array(keys),
            features=np.stack([known[key][0] for key in keys]),
            metrics=np.array(metrics),
            scores=scores,
            detector=who,
        )
