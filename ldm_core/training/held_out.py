"""What a stage has come to, on pictures that it never saw: decibels of an autoencoder, the error of a denoiser.

python -m ldm_core.training.held_out everyday ldm_core/weights/scenes/vae --count 1000
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from .. import command
from ..conditioning import Conditioning
from ..data import everyday
from ..data.everyday import captions
from ..loading import load, load_autoencoder
from ..placement import choose_device
from ..schedulers import make_scheduler
from .command import run_command
from .losses import diffusion_target

WORLDS: dict[str, tuple[Any, Callable[[Any, int], str]]] = {"everyday": (everyday, captions.caption)}


def pictures(data: str, count: int, size: int) -> Iterator[tuple[np.ndarray, str]]:
    """The first drawings of the held-out seeds, uint8 (size, size, 3), with a caption each."""
    if data not in WORLDS:
        raise ValueError(f"held-out pictures are drawn for {', '.join(WORLDS)}, not for {data!r}")
    world, say = WORLDS[data]
    for seed in itertools.islice(world.HELD_OUT_SEEDS, count):
        scene = world.random_scene(seed)
        yield world.draw(scene, size), say(scene, seed)


@torch.inference_mode()
def psnr(folder: Path, data: str, size: int, count: int = 128, device: str = "cpu") -> tuple[float, float]:
    """Decibels of what an autoencoder keeps, 8-bit rounded: the mean over pictures and its standard error."""
    coder = load_autoencoder(folder, device)
    found = []
    for image, _ in tqdm(pictures(data, count, size), "reconstructing", count, unit="picture", mininterval=2):
        original = torch.from_numpy(image).permute(2, 0, 1)[None].double()
        kept = (coder.reconstruct(original.float() / 255) * 255).round().double()
        found.append(float(10 * torch.log10(255**2 / (kept - original).square().mean().clamp(min=1e-9))))
    return float(np.mean(found)), float(np.std(found, ddof=1) / len(found) ** 0.5)


@torch.inference_mode()
def v_error(folder: Path, data: str, size: int, device: str, count: int = 256) -> tuple[float, float, float]:
    """The mean squared error of v over held-out latents: times evenly spread, noise by seed.

    With the pictures' captions; how much more it is with those of other pictures, which is what the denoiser makes of words;
    and again with their own, in the cells that things cover.
    """
    model = load(str(folder), device=device, dtype="float32", engine="torch")
    scheduler = make_scheduler(model.scheduler_config, "ddim")
    shown = list(pictures(data, count, size))
    errors, on_things, covered_in_all = [], 0.0, 0.0
    for index, (image, caption) in enumerate(shown):
        clean = model.encode(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(index)).to(clean)
        t = torch.tensor(int((index + 0.5) / count * len(scheduler.alphas_cumprod)))
        alpha_bar = scheduler.alphas_cumprod[t].view(1).to(clean)
        noisy, target = diffusion_target(clean, noise, alpha_bar, "v_prediction")
        other = shown[(index + count // 2) % count][1]
        told = Conditioning.stack([model.conditioner.encode(text) for text in (caption, other)])
        said = model.denoiser(torch.cat([noisy] * 2), t, told, 2)
        if scheduler.config.prediction_type == "epsilon":  # v by what was said of the noise
            said = (said - (1 - alpha_bar).sqrt() * noisy) / alpha_bar.sqrt()
        error = (said - target).square().mean(dim=1)
        errors.append(error.mean(dim=(1, 2)).tolist())
        covered = things(data, index, size, error.shape[-1]).to(error)
        on_things, covered_in_all = on_things + float((error[0] * covered).sum()), covered_in_all + float(covered.sum())
    own, others = np.mean(errors, axis=0)
    return float(own), float(others - own), on_things / covered_in_all if covered_in_all else float("nan")


def things(data: str, index: int, size: int, side: int) -> torch.Tensor:
    """The share of each cell of a held-out drawing that things cover, float32 (side, side)."""
    world, _ = WORLDS[data]
    masks = torch.from_numpy(world.masks(world.random_scene(world.HELD_OUT_SEEDS[index]), size)).float()
    whole = masks.amax(0) if len(masks) else torch.zeros(size, size)
    return F.adaptive_avg_pool2d(whole[None], side)[0]


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("ldm_core.training.held_out", __doc__)
    parser.add_argument("data", choices=sorted(WORLDS))
    parser.add_argument("autoencoder", type=Path, metavar="FOLDER")
    parser.add_argument("--count", type=int, default=1000, metavar="N", help="pictures (default: 1000)")
    parser.add_argument("--size", type=int, default=256, metavar="PIXELS", help="along a side (default: 256)")
    parser.add_argument("--device", default=None, help="cuda, mps or cpu; default: the best this machine has")

    def report(arguments: argparse.Namespace) -> bool:
        device = choose_device(arguments.device)
        mean, error = psnr(arguments.autoencoder, arguments.data, arguments.size, arguments.count, device)
        print(
            f"PSNR {mean:.2f} dB, standard error {error:.2f}, {arguments.count} held-out drawings of {arguments.size} pixels"
        )
        return True

    return run_command(parser, argv, report)


if __name__ == "__main__":
    raise SystemExit(main())
