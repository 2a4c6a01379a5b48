"""Make the low-rank change of a model taught to draw in few steps smaller: the nearest of a lower rank, layer by layer.

    python -m ldm_core.training.resize_lora runs/scenes-turbo/model --rank 7 --out runs/scenes-turbo-7

The singular value decomposition of each layer's B A gives it (Eckart & Young 1936). The first of its directions hold most
of what training has found, so that much of a file may go before it shows.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .. import command
from ..adapted import LORA, base_folder
from .command import run_command


def resized(weights: dict[str, Tensor], rank: int) -> tuple[dict[str, Tensor], float]:
    """The pairs A (r, in, ...) and B (out, r, ...) of a file at a rank of at most `rank`, in its precision, and the share of
    all squared singular values that they keep. ValueError for a rank below one, or where a pair is not whole."""
    if rank < 1:
        raise ValueError(f"--rank must be a positive integer, got {rank}")
    made: dict[str, Tensor] = {}
    kept = whole = 0.0
    for name, down in weights.items():
        if ".lora_A." not in name:
            continue
        up_name = name.replace(".lora_A.", ".lora_B.")
        if up_name not in weights:
            raise ValueError(f"{name} has no {up_name} beside it")
        up = weights[up_name]
        left, values, right = torch.linalg.svd(up.float().flatten(1) @ down.float().flatten(1), full_matrices=False)
        used = min(rank, len(down), len(values))
        root = values[:used].sqrt()
        made[up_name] = (left[:, :used] * root).reshape(len(up), used, *up.shape[2:]).to(up.dtype).contiguous()
        made[name] = (root[:, None] * right[:used]).reshape(used, *down.shape[1:]).to(down.dtype).contiguous()
        kept, whole = kept + float(values[:used].square().sum()), whole + float(values.square().sum())
    if not made:
        raise ValueError("no pair of lora_A and lora_B is in it")
    return made, kept / whole if whole else 1.0


def resize(folder: Path, rank: int, out: Path) -> float:
    """Write the model of a folder with a change of a lower rank to another; the share that it keeps."""
    if not (folder / LORA).is_file() or base_folder(folder) is None:
        raise ValueError(f"{folder} is no change of another model: {LORA} and a base in model_index.json are needed")
    if out.exists():
        raise ValueError(f"--out {out} is there already; choose a new folder")
    weights, kept = resized(load_file(folder / LORA), rank)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as beside:
        made = Path(shutil.copytree(folder, Path(beside) / out.name, ignore=shutil.ignore_patterns(LORA)))
        save_file(weights, made / LORA, {"format": "pt"})
        made.rename(out)
    return kept


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("ldm_core.training.resize_lora", __doc__)
    parser.add_argument("model", type=Path, metavar="FOLDER", help="what train_turbo wrote, OUT/model")
    parser.add_argument("--rank", type=int, required=True, metavar="R", help="of each layer's change, at the most")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new one")

    def work(arguments: argparse.Namespace) -> bool:
        kept = resize(arguments.model, arguments.rank, arguments.out)
        before, after = ((folder / LORA).stat().st_size / 1e6 for folder in (arguments.model, arguments.out))
        print(f"{before:.2f} MB became {after:.2f}; {kept:.1%} of the squared change is kept")
        return True

    return run_command(parser, argv, work)


if __name__ == "__main__":
    raise SystemExit(main())
