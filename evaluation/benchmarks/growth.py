"""What a run costs beside its networks as it grows: from a hundred pictures to 5,000 prompts at 8 scales.

The model is of random weights and next to no work, one step of 32 pixels, so that what is left is the runner's own: its
plan, files, features, statistics, tables and pages. Each run is a process of its own, as a user starts it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ldm_core.training import train_autoencoder, train_denoiser
from ldm_core.training.config import AUTOENCODERS, DENOISERS
from ldm_core.training.folder import save_model
from ldm_core.training.tokenizer import build_tokenizer

from ..held_out_prompts import held_out_prompts
from ..worlds import DRAWN, DRAWN_WORLD

SCALES = (1, 2, 3, 4, 5, 6, 7, 8)
PROMPTS = (12, 125, 1_250, 5_000)
METRICS = "scene_accuracy,clip_scenes,fd_scenes,kd_scenes,precision_scenes,recall_scenes,density_scenes,coverage_scenes"
# Between us and what is measured: a process counts as its own the memory of the one that it is split from.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call([sys.executable, *sys.argv[2:]])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
open(sys.argv[1], "w").write(f"{used.ru_utime + used.ru_stime} {used.ru_maxrss}")
sys.exit(code)
"""


@dataclass(frozen=True)
class Spent:
    """What a process and those that it started took."""

    processor: float  # seconds
    clock: float  # seconds
    memory: float  # GB, the most that one of them held


def growth_suite(count: int, folder: Path | None = None) -> list[tuple[str, str]]:
    """A row for each size up to `count` pictures, and for the last but one by two processes; kept in `folder`, if one is given."""
    with tempfile.TemporaryDirectory() as own:
        place = folder or Path(own)
        model, rows, before = make_model(place / "model"), [], (0, 0.0)
        sizes = [size for size in PROMPTS if len(SCALES) * size <= count] or PROMPTS[:1]
        for size in sizes:
            options, images = run_options(model, place, size), len(SCALES) * size
            made, again = (spent_by(["-m", "evaluation.run", *options]) for _ in range(2))
            more = 1e3 * (made.processor - before[1]) / (images - before[0])
            each = f", {more:.1f} ms for each more" if before[0] else ""
            told = f"{in_words(made)}{each}; nothing new: {in_words(again)}"
            rows.append((f"{images} pictures of {size} prompts", told))
            before = (images, made.processor)
        size = sizes[max(0, len(sizes) - 2)]
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "evaluation.run"]
        shared = spent_by([*launcher, *run_options(model, place, size, "two")])
        return [*rows, (f"{len(SCALES) * size} pictures by two processes", in_words(shared))]


def in_words(spent: Spent) -> str:
    """For the table."""
    return f"{spent.processor:.0f} s of processor, {spent.clock:.0f} s by the clock, {spent.memory:.2f} GB"


def make_model(folder: Path) -> Path:
    """A Stable Diffusion folder of the smallest recipe's shape, random weights."""
    torch.manual_seed(0)
    config, vae = DENOISERS["tiny"], train_autoencoder.build(AUTOENCODERS["tiny"])
    words = DRAWN[DRAWN_WORLD].known_words()
    tokenizer = build_tokenizer(words, config.text_tokens)
    module = train_denoiser.build(config, vae.config["latent_channels"], tokenizer, 4)
    save_model(folder, module, vae, tokenizer, train_denoiser.noise_schedule(config), words, DRAWN_WORLD)
    return folder


def run_options(model: Path, place: Path, size: int, name: str = "one") -> Sequence[str]:
    """Of `python -m evaluation.run`, for so many prompts."""
    _, prompts = held_out_prompts(DRAWN_WORLD, size, place / f"{size}")
    given = {
        "model": model, "prompts": prompts, "out": place / f"{name}-{size}", "guidance-scales": ",".join(map(str, SCALES)),
        "steps": 1, "device": "cpu", "engine": "torch", "metrics": METRICS,
    }  # fmt: skip
    return [part for option, value in given.items() for part in (f"--{option}", str(value))]


def spent_by(command: Sequence[str]) -> Spent:
    """Run this Python with a command line to its end. RuntimeError where it fails."""
    began = time.perf_counter()
    with tempfile.NamedTemporaryFile() as told:
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, told.name, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}")
        processor, memory = map(float, Path(told.name).read_text(encoding="utf-8").split())
    return Spent(processor, time.perf_counter() - began, memory * (1 if sys.platform == "darwin" else 1024) / 1e9)
