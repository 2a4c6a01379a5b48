"""Where a detector's reference comes from: what ships with it, its model's world, a folder of images, a file."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ldm_core.data.photos import middle_square, open_photo, photo_files
from ldm_core.files import cache_folder, whole_file
from ldm_core.images import from_pil

from ..data_sets import DATA_SET_FILE
from ..downloads import NO_DOWNLOADS, Downloads
from .detector import Detector, WorldDetector
from .references import Reference, made_by, read_reference, save_reference
from .statistics_checks import check_statistics

CROPS = ("none", "square")


def load_reference(
    detector: Detector,
    source: Path | None = None,
    kept: Path | None = None,
    world: str = "",
    downloads: Downloads = NO_DOWNLOADS,
) -> Reference:
    """The reference of a detector: what ships with it, its model's world, a folder of images, or a file of statistics.

    world   what the model draws ("everyday", "fashion", or "" for anything else): a detector that ships no reference takes
            one made of that world. Used only where there is no `source`.
    kept    where a copy goes of what does not ship, so that a run has all it needs, and looks at a folder once
    """
    if source is None and (hasattr(detector, "weights") or not world):
        return shipped(detector)  # nothing to keep: it is always there
    if source is None:
        from .world_references import world_reference

        reference = world_reference(detector, world, downloads)
        if kept is not None and _same(detector, kept, reference):
            return reference
    elif source.is_dir():
        if kept is not None and (known := _kept(detector, kept, source)):
            return known
        reference = folder_reference(detector, source)
    else:
        reference = read_reference(detector, source)
    if kept is not None:
        save_reference(kept, reference)
    return reference


def _same(detector: Detector, kept: Path, reference: Reference) -> bool:
    """Whether a reference is what was kept, and that whole."""
    try:
        return read_reference(detector, kept).protocol == reference.protocol
    except ValueError:
        return False


def _kept(detector: Detector, kept: Path, folder: Path) -> Reference | None:
    """What was kept of a folder, if it is whole and the folder still the same."""
    try:
        known = read_reference(detector, kept)
    except ValueError:
        return None  # not there, damaged, or another detector's: made anew
    if known.protocol.get("files_sha256") != listing(folder, photo_files(folder)):
        return None
    return replace(known, words=_folder_words(folder, known.protocol))


def _folder_words(folder: Path, protocol: dict) -> str:
    where = protocol.get("data_set", str(folder))
    return f"{where}, {protocol['n']} images" + (", middle squares" if protocol.get("crop") == "square" else "")


def folder_reference(detector: Detector, folder: Path) -> Reference:
    """Of the images of a folder; of a data set that we fetched kept in the user's cache, and cut as it says."""
    known = folder / DATA_SET_FILE
    if not known.exists():
        features, protocol = features_of(detector, folder)
        return Reference.of(_folder_words(folder, protocol), features, protocol)
    data_set = json.loads(known.read_text(encoding="utf-8"))

    def make() -> Reference:
        features, protocol = features_of(detector, folder, data_set["crop"])
        protocol["data_set"] = data_set["name"]
        return Reference.of(_folder_words(folder, protocol), features, protocol)

    key = f"{data_set['name']}-{listing(folder, photo_files(folder))[:8]}-{data_set['crop']}"
    reference = cached(detector, key, make)
    return replace(reference, words=_folder_words(folder, reference.protocol))


def cached(detector: Detector, key: str, make: Callable[[], Reference]) -> Reference:
    """A reference that is made once and kept in the user's cache; a damaged one is made anew."""
    who = hashlib.sha256(f"{detector.sha256} {detector.resize}".encode()).hexdigest()[:12]
    file = cache_folder("references", f"{key}-{who}.npz")
    try:
        return read_reference(detector, file)
    except ValueError:
        reference = make()
    try:
        save_reference(file, reference)
    except OSError as error:  # a cache that cannot be written is done without
        print(f"not kept for the next run: {error}")
    return reference


def listing(folder: Path, files: Sequence[Path]) -> str:
    """A hash over the names and sizes of a folder's files: whether it is still the same folder."""
    lines = [f"{path.relative_to(folder).as_posix()} {path.stat().st_size}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def features_of(detector: Detector, folder: Path, crop: str = "none") -> tuple[np.ndarray, dict]:
    """Features (n, d) of the images of a folder and those below it, and the protocol; unreadable ones are passed over."""
    files, unreadable, features = photo_files(folder), [], []
    for path in tqdm(files, desc=f"reference for {detector.name}", unit="image", mininterval=2):
        try:
            picture = open_photo(path)
        except ValueError:
            unreadable.append(str(path.relative_to(folder)))
            continue
        picture = middle_square(picture) if crop == "square" else picture
        found = detector.image_features(from_pil(picture)[None]).numpy()
        if np.isfinite(found).all():
            features.append(found)
        else:
            unreadable.append(str(path.relative_to(folder)))
    if len(features) < 2:
        raise ValueError(
            f"{folder} holds {len(features)} images that can be read ({len(unreadable)} cannot); 2 or more are needed"
        )
    return np.concatenate(features), made_by(detector, len(features), crop) | {
        "files_sha256": listing(folder, files),
        "unreadable": unreadable,
    }


def shipped(detector: Detector) -> Reference:
    """What lies beside a world's own detector, stamped with its hash."""
    if not hasattr(detector, "weights"):
        raise ValueError(
            f"{detector.name} ships no reference: give --reference FOLDER of real images, coco-val2017, or a file of "
            "python -m evaluation.reference"
        )
    file, world = detector.weights.parent / "reference.npz", detector.name.removesuffix("_detector")
    again = f"make it anew: python -m evaluation.reference --world {world}"
    if not file.exists():
        raise ValueError(f"no reference at {file}; {again}")
    try:
        with np.load(file, allow_pickle=False) as stored:
            who, features = str(stored["detector"]), stored["features"].astype(np.float32)
        check_statistics(None, None, features)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} is damaged ({error}); {again}") from None
    if who != detector.sha256:
        raise ValueError(f"{file} was made by another detector; {again}")
    if features.shape[1] != detector.dimension:
        raise ValueError(f"{file} holds features of width {features.shape[1]}, not {detector.dimension}; {again}")
    return Reference.of(f"embedded, {len(features)} images", features)


def write_world_reference(detector: WorldDetector, features: np.ndarray) -> None:
    """Put features (N, d) beside a detector's weights, stamped with its hash; whole or not at all."""
    with whole_file(detector.weights.parent / "reference.npz") as partial, partial.open("wb") as stream:
        np.savez(stream, features=features, detector=detector.sha256)
