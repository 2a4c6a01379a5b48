"""References that distances are measured to: statistics of real images, with the protocol that made them.

    python -m evaluation.reference --images FOLDER --detector inception --out stats.npz
    python -m evaluation.run --prompts prompts/coco.txt --reference stats.npz

Detectors: inception (fid, kid), dinov2, cmmd, scenes, fashion. The file holds `mu` and `sigma` as pytorch-fid writes them,
features for the kernel distance, and in `protocol` how they came about; a file with other weights, detector or resizing
than the run's is refused. pytorch-fid's own files are taken too, and marked "protocol unknown".
"""

from __future__ import annotations

import argparse
import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ldm_core.data import scenes
from ldm_core.data.photos import middle_square, open_photo, photo_files
from ldm_core.files import whole_file
from ldm_core.images import from_pil, from_uint8
from ldm_core.loading import choose_device, quiet

from . import command
from .catalogue import RESIZE_MODES
from .detectors.detector import NAMES, Detector, load_detector
from .metrics.frechet import Moments

COUNT = 2000  # drawings of the drawn world's own reference
KEPT = 5000  # features that a file keeps for the kernel distance and the neighbours, spread evenly: more add little
CROPS = ("none", "square")


@dataclass(frozen=True)
class Reference:
    """Mean (d,) and covariance (d, d) of real images' features, some of the features (k, d), and how they came about."""

    words: str
    mean: np.ndarray
    covariance: np.ndarray
    features: np.ndarray | None = None
    protocol: dict = field(default_factory=dict)

    @classmethod
    def of(cls, words: str, features: np.ndarray, protocol: dict | None = None) -> Reference:
        """Of features (n, d); n >= 2."""
        moments = Moments.of(features)
        kept = np.unique(np.linspace(0, len(features) - 1, min(KEPT, len(features))).round().astype(int))
        return cls(
            words,
            moments.mean,
            moments.covariance,
            np.asarray(features[kept], np.float32),
            {"n": len(features)} | (protocol or {}),
        )


def load_reference(detector: Detector, source: Path | None = None, kept: Path | None = None) -> Reference:
    """The reference of a detector: what ships with it, a folder of images, or a file of statistics.

    Of the latter two a copy is kept in the file `kept`, so that a run has all it needs, and looks at a folder once.
    """
    if source is None:
        return shipped(detector)
    if source.is_dir():
        if kept is not None and kept.exists():
            known = read_reference(detector, kept)
            if known.protocol.get("files_sha256") == listing(source, photo_files(source)):
                return replace(known, words=f"{source}, {known.protocol['n']} images")
        features, protocol = features_of(detector, source)
        reference = Reference.of(f"{source}, {len(features)} images", features, protocol)
    else:
        reference = read_reference(detector, source)
    if kept is not None:
        save_reference(kept, reference)
    return reference


def listing(folder: Path, files: Sequence[Path]) -> str:
    """A hash over the names and sizes of a folder's files: whether it is still the same folder."""
    lines = [f"{path.relative_to(folder).as_posix()} {path.stat().st_size}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def shipped(detector: Detector) -> Reference:
    """What lies beside a world's own detector, stamped with its hash."""
    if not hasattr(detector, "weights"):
        raise ValueError(
            f"{detector.name} ships no reference: give --reference FOLDER of real images, or a file of "
            "python -m evaluation.reference"
        )
    file = detector.weights.parent / "reference.npz"
    if not file.exists():
        raise ValueError(f"no reference at {file}; make it: python -m evaluation.reference --world scenes")
    with np.load(file) as stored:
        if str(stored["detector"]) != detector.sha256:
            raise ValueError(
                f"{file} was made by another detector; make it anew: python -m evaluation.reference --world scenes"
            )
        features = stored["features"].astype(np.float32)
    return Reference.of(f"embedded, {len(features)} images", features)


def features_of(detector: Detector, folder: Path, crop: str = "none") -> tuple[np.ndarray, dict]:
    """Features (n, d) of the images of a folder and those below it, and the protocol; unreadable ones are passed over."""
    files, unreadable, features = photo_files(folder), [], []
    for path in tqdm(files, desc="reference", unit="image", mininterval=2):
        try:
            picture = open_photo(path)
        except ValueError:
            unreadable.append(str(path.relative_to(folder)))
            continue
        picture = middle_square(picture) if crop == "square" else picture
        features.append(detector.image_features(from_pil(picture)[None]).numpy())
    if len(features) < 2:
        raise ValueError(
            f"{folder} holds {len(features)} images that can be read ({len(unreadable)} cannot); 2 or more are needed"
        )
    return np.concatenate(features), {
        "n": len(features),
        "detector": detector.name,
        "detector_sha256": detector.sha256,
        "resize": detector.resize,
        "crop": crop,
        "files_sha256": listing(folder, files),
        "unreadable": unreadable,
    }


def save_reference(path: Path, reference: Reference) -> None:
    """Write a file of statistics, whole or not at all."""
    features = np.zeros((0, len(reference.mean)), np.float32) if reference.features is None else reference.features
    with whole_file(path) as partial, partial.open("wb") as stream:
        np.savez(
            stream,
            mu=reference.mean,
            sigma=reference.covariance,
            features=features,
            protocol=json.dumps(reference.protocol),
        )


def read_reference(detector: Detector, path: Path) -> Reference:
    """A file of statistics, its protocol compared with the run's detector."""
    reference = stored_reference(path)
    if reference.mean.size != detector.dimension:
        raise ValueError(
            f"--reference {path} is of {reference.mean.size} dimensions; features of {detector.name} have {detector.dimension}"
        )
    for name, key, have in (("weights", "detector_sha256", detector.sha256), ("resizing", "resize", detector.resize)):
        if reference.protocol and reference.protocol.get(key) != have:
            raise ValueError(
                f"--reference {path} was made with other {name}: {reference.protocol.get(key)} there, {have} here"
            )
    return reference


def stored_reference(path: Path) -> Reference:
    """A file of statistics as it is; ValueError where it is none."""
    try:
        with np.load(path) as stored:
            mean, covariance = stored["mu"].astype(np.float64), stored["sigma"].astype(np.float64)
            features = stored["features"] if "features" in stored else np.zeros((0, 1))
            protocol = json.loads(str(stored["protocol"])) if "protocol" in stored else {}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"--reference {path} is no file of statistics (mu, sigma): {error}") from None
    if mean.ndim != 1 or covariance.shape != (mean.size, mean.size):
        raise ValueError(f"--reference {path}: mu {mean.shape} and sigma {covariance.shape} do not belong together")
    words = f"{path.name}, {protocol['n']} images" if protocol else f"{path.name}, protocol unknown"
    return Reference(words, mean, covariance, features.astype(np.float32) if len(features) else None, protocol)


def make_world_reference(count: int = COUNT) -> None:
    """Draw, look, and write the features beside the drawn world's detector."""
    detector = load_detector("scenes")
    features = []
    for seed in tqdm(scenes.REFERENCE_SEEDS[:count], desc="reference", unit="drawing", mininterval=2):
        features.append(detector.image_features(from_uint8(scenes.draw(scenes.random_scene(seed))[None])).numpy())
    write_world_reference(detector, np.concatenate(features))


def write_world_reference(detector: Detector, features: np.ndarray) -> None:
    """Put features (N, d) beside a detector's weights, stamped with its hash; whole or not at all."""
    file = detector.weights.parent / "reference.npz"
    with whole_file(file) as partial, partial.open("wb") as stream:
        np.savez(stream, features=features, detector=detector.sha256)


def main(argv: list[str] | None = None) -> int:
    """0 when the file is written, 2 when it cannot be made."""
    parser = command.parser("evaluation.reference", __doc__)
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="real images, searched below too")
    parser.add_argument("--detector", choices=[name for name in NAMES if name != "clip"], default="inception")
    parser.add_argument("--resize", choices=RESIZE_MODES, default="clean", help="for inception (default: %(default)s)")
    parser.add_argument(
        "--crop",
        choices=CROPS,
        default="none",
        help="none squeezes an image into the detector's square, as FID programs do; square takes its middle",
    )
    parser.add_argument("--device", default=None)
    parser.add_argument("--out", type=Path, metavar="FILE", help="stats.npz")
    parser.add_argument(
        "--world", choices=["scenes"], help="in place of all that: the drawn world's own reference anew"
    )
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    quiet()
    if arguments.world:
        make_world_reference()
        return 0
    if arguments.images is None or arguments.out is None:
        raise ValueError("give --images FOLDER and --out FILE")
    if arguments.out.suffix != ".npz":
        raise ValueError(f"--out must end in .npz, got {arguments.out}")
    device = choose_device(arguments.device)
    detector = load_detector(arguments.detector, arguments.resize, device, download=True)
    features, protocol = features_of(detector, arguments.images, arguments.crop)
    save_reference(arguments.out, Reference.of("", features, protocol))
    if protocol["unreadable"]:
        print(f"{len(protocol['unreadable'])} files could not be read: {', '.join(protocol['unreadable'][:10])}")
    print(f"{arguments.out}: {protocol['n']} images, {detector.name}, {detector.resize}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
