"""The mean of the U-Nets of two models, weight by weight: often better than either, where one was taught from the other.

    python -m ldm_core.training.soup ldm_core/weights/scenes runs/scenes-wishes/model --out runs/scenes-soup

What a training adds to a model and what it takes from it lie in different directions of its weights, and half of the way
keeps most of both (model soups and WiSE-FT: Wortsman et al. 2022, arXiv 2203.05482 and 2109.01903). All but the U-Net is the
first model's.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from .. import command
from .command import run_command

OF_THE_FIRST = ("README.md", "samples.png", "*.webp")  # what is said of the first model, and shown


def interpolated(first: dict[str, Tensor], second: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """(1 - share) of the first weights and `share` of the second, in the first's precision. ValueError where names or shapes
    differ."""
    if {name: each.shape for name, each in first.items()} != {name: each.shape for name, each in second.items()}:
        raise ValueError("the two U-Nets have other shapes than each other")
    return {name: each.float().lerp(second[name].float(), share).to(each.dtype) for name, each in first.items()}


def soup(first: Path, second: Path, share: float, out: Path) -> None:
    """Write a folder like the first, its U-Net mixed with the second's. ValueError for folders without a U-Net of one shape, a
    share outside (0, 1), or where `out` is there."""
    if not 0 < share < 1:
        raise ValueError(f"--share must be between 0 and 1, got {share}")
    if out.exists():
        raise ValueError(f"--out {out} is there already; choose a new folder")
    for folder in (first, second):
        if not weights_of(folder):
            raise ValueError(f"{folder} is no model's folder: it has no unet/*.safetensors")
    learned = {name: each for file in weights_of(second) for name, each in load_file(file).items()}
    own = {file.name: load_file(file) for file in weights_of(first)}
    made = interpolated({name: each for shard in own.values() for name, each in shard.items()}, learned, share)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as beside:
        copy = Path(shutil.copytree(first, Path(beside) / out.name, ignore=shutil.ignore_patterns(*OF_THE_FIRST)))
        for file, shard in own.items():
            save_file({name: made[name] for name in shard}, copy / "unet" / file, {"format": "pt"})
        copy.rename(out)


def weights_of(folder: Path) -> list[Path]:
    """The files that hold a model's U-Net."""
    return sorted((folder / "unet").glob("*.safetensors"))


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("ldm_core.training.soup", __doc__)
    parser.add_argument("first", type=Path, metavar="FOLDER", help="a model's folder, whose other parts are kept")
    parser.add_argument("second", type=Path, metavar="FOLDER", help="another whose U-Net has the same shape")
    parser.add_argument("--share", type=float, default=0.5, metavar="S", help="of the second, in (0, 1); default 0.5")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new one")

    def work(arguments: argparse.Namespace) -> bool:
        soup(arguments.first, arguments.second, arguments.share, arguments.out)
        return True

    return run_command(parser, argv, work)


if __name__ == "__main__":
    raise SystemExit(main())
