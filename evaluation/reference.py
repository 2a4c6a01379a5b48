"""References that distances are measured to: statistics of real images, with the protocol that made them.

    python -m evaluation.reference --images FOLDER --detector inception --out stats.npz
    python -m evaluation.run --prompts prompts/coco.txt --reference stats.npz

Detectors: inception (fid, kid), dinov2, cmmd, everyday, fashion. The file holds `mu` and `sigma` as pytorch-fid writes them,
features for the kernel distance, and in `protocol` how they came about; a file with other weights, detector or resizing
than the run's is refused. --reference also takes pytorch-fid's, torch-fidelity's, EDM2's and ADM's own files, and marks
them "protocol unknown".
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ldm_core.images import from_uint8
from ldm_core.loading import quiet
from ldm_core.placement import choose_device

from . import command
from .catalogue import RESIZE_MODES
from .detectors.detector import NAMES, WORLDS, load_detector
from .detectors.reference_sources import CROPS, features_of, write_world_reference
from .detectors.references import Reference, save_reference
from .downloads import MODES, Downloads
from .worlds import DRAWN

COUNT = 2000  # drawings of the drawn world's own reference


def make_world_reference(name: str, count: int = COUNT) -> None:
    """Draw, look, and write the features beside a drawn world's detector."""
    detector, world = WORLDS[name](), DRAWN[name]
    features = []
    for seed in tqdm(world.REFERENCE_SEEDS[:count], desc="reference", unit="drawing", mininterval=2):
        features.append(detector.image_features(from_uint8(world.draw(world.random_scene(seed))[None])).numpy())
    write_world_reference(detector, np.concatenate(features))


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
    parser.add_argument(
        "--download",
        choices=MODES,
        default="ask",
        help="fetch the detector where it is missing (default: ask on a terminal, no otherwise)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="stats.npz")
    parser.add_argument(
        "--world", choices=tuple(DRAWN), help="in place of all that: a drawn world's own reference anew"
    )
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    quiet()
    if arguments.world:
        make_world_reference(arguments.world)
        return 0
    if arguments.images is None or arguments.out is None:
        raise ValueError("give --images FOLDER and --out FILE")
    if arguments.out.suffix != ".npz":
        raise ValueError(f"--out must end in .npz, got {arguments.out}")
    device = choose_device(arguments.device)
    detector = load_detector(arguments.detector, arguments.resize, device, Downloads(arguments.download))
    features, protocol = features_of(detector, arguments.images, arguments.crop)
    save_reference(arguments.out, Reference.of("", features, protocol))
    if protocol["unreadable"]:
        print(f"{len(protocol['unreadable'])} files could not be read: {', '.join(protocol['unreadable'][:10])}")
    print(f"{arguments.out}: {protocol['n']} images, {detector.name}, {detector.resize}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
