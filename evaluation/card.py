"""The figures of an embedded model's card, computed anew on held-out scenes.

    python -m evaluation.card scenes --count 1000

Makes the captions of held-out scenes into pictures at every guidance scale (resumable: runs/card-NAME), and prints
scene_accuracy, fd_scenes and clip_scenes against w, the autoencoder's PSNR, and the ceilings.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import ldm_core
from ldm_core.data import scenes
from ldm_core.images import from_uint8
from ldm_core.pipeline import LatentDiffusion

from . import run, statistics
from .metrics.reconstruction import psnr
from .metrics.scenes_detector import load_scenes_detector, scene_accuracy


def write_prompts(path: Path, count: int) -> None:
    """Captions of the first held-out scenes, as a prompt file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"prompt": scenes.caption(scenes.random_scene(seed), seed)} for seed in scenes.HELD_OUT_SEEDS[:count]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def held_out(count: int, size: int) -> Iterator[tuple[list[scenes.Scene], Tensor]]:
    """Held-out scenes and their drawings (B, 3, size, size), 50 at a time."""
    for start in range(0, count, 50):
        pictured = [scenes.random_scene(seed) for seed in scenes.HELD_OUT_SEEDS[start : min(start + 50, count)]]
        yield pictured, from_uint8(np.stack([scenes.draw(scene, size) for scene in pictured]))


@torch.inference_mode()
def autoencoder_figures(model: LatentDiffusion, count: int) -> tuple[statistics.Estimate, statistics.Estimate]:
    """PSNR of reconstructions in dB, and how much of a scene the probe still reads in them."""
    detector, values, read = load_scenes_detector(), [], []
    for pictured, images in held_out(count, model.height):
        rebuilt = (model.reconstruct(images) * 255).round() / 255
        values += psnr(images, rebuilt).tolist()
        read += [scene_accuracy(shown, scene) for shown, scene in zip(detector.read(rebuilt), pictured)]
    return statistics.mean(values), statistics.mean(read)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m evaluation.card", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("model", help="a model of the drawn world: a registry name or a folder")
    parser.add_argument("--count", type=int, default=1000, help="held-out scenes (default: %(default)s)")
    parser.add_argument("--guidance-scales", default="0,1,2,4,8")
    parser.add_argument("--out", type=Path, default=None, help="default: runs/card-<model>")
    arguments = parser.parse_args(argv)
    try:
        model = ldm_core.load(arguments.model)
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    out = arguments.out or Path("runs") / f"card-{model.spec.name}"
    quality, readable = autoencoder_figures(model, arguments.count)
    print(f"autoencoder on {quality.n} held-out drawings: {quality.value:.2f} dB PSNR (± {quality.se:.2f}); "
          f"the probe reads {readable.value:.4f} of the scenes in its reconstructions", flush=True)  # fmt: skip
    write_prompts(out / "held-out.jsonl", arguments.count)
    return run.main(["--model", arguments.model, "--prompts", str(out / "held-out.jsonl"), "--out", str(out / "run"),
                     "--guidance-scales", arguments.guidance_scales, "--metrics", "fd_scenes,clip_scenes,scene_accuracy"])  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
