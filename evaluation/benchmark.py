"""Speed of the core against diffusers' own pipelines, in one process.

    python -m evaluation.benchmark --suite core       the embedded model
    python -m evaluation.benchmark --suite engines    torch and OpenVINO on a CPU, both beside diffusers
    python -m evaluation.benchmark --suite gpu        Stable Diffusion 1.5 and XL at real size, random weights
    python -m evaluation.benchmark --suite less-work  what fewer network calls cost in quality
    python -m evaluation.benchmark --suite growth     what a run costs beside its networks, up to 5,000 prompts at 8 scales

One image, and an 8-scale sweep against eight pipeline calls; cold start, warm times at 1 and 16 images, peak memory.
Seconds depend on the machine; the ratios are what to compare.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch

import ldm_core
from ldm_core.loading import quiet
from ldm_core.pipeline import LatentDiffusion
from ldm_core.placement import choose_device
from ldm_core.schedulers import make_scheduler, set_steps

from . import command
from .benchmarks.timing import alternating, seconds
from .generation.cost import peak_memory_gb

SCALES = (1.5, 2, 3, 4, 5, 6, 7, 8)
PROMPT, SEED = "a red house on the left and a pine tree on the right, mountains, in a snowy field at night", 7


def diffusers_drawing(model: LatentDiffusion) -> Callable[[float], torch.Tensor]:
    """diffusers' pipeline on the model's folder, all of it in the denoiser's precision, as people run it: a guidance scale -> the
    picture (1, 3, H, W) in [0, 1]."""
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(model.spec.source, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(model.device, model.dtype)
    options: dict[str, Any] = {"height": model.height, "width": model.width}
    if model.own_shift is None:
        options["num_inference_steps"] = model.spec.steps
    else:  # of which diffusers knows nothing: it is told the steps one by one, which its DDIM does not take, but the same by another name
        pipeline.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(
            pipeline.scheduler.config, solver_order=1
        )
        shifted = make_scheduler(model.scheduler_config)
        set_steps(shifted, model.spec.steps)
        options["timesteps"] = [int(timestep) for timestep in shifted.timesteps]

    @torch.inference_mode()
    def draw(scale: float) -> torch.Tensor:
        generator = torch.Generator().manual_seed(SEED)
        latents = pipeline(
            PROMPT, generator=generator, guidance_scale=scale, output_type="latent", **options
        ).images  # decoded here, as the pipeline would with a keyword that not every autoencoder takes
        return (pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1)

    return draw


def core_suite(name: str, device: str | None, repeats: int) -> list[tuple[str, str]]:
    """All rows of the table."""
    rows = [("cold start: import, load, first image", f"{cold_start(name, device):.1f} s")]
    for dtype in ("float32", "bfloat16"):
        rows += precision_rows(ldm_core.load(name, device, dtype, engine="torch"), dtype, repeats)
    return [*rows, ("peak memory of this process", f"{peak_memory_gb():.2f} GB")]


def precision_rows(model: LatentDiffusion, dtype: str, repeats: int) -> list[tuple[str, str]]:
    """Ours against diffusers' in one precision."""
    draw, w = diffusers_drawing(model), model.spec.guidance_scale

    def theirs(scale: float) -> torch.Tensor:
        return draw(scale).float().cpu()

    one, one_theirs = alternating(lambda: model.sample(PROMPT, SEED, w), lambda: theirs(w), repeats)
    sweep, eight = alternating(
        lambda: model.sweep(PROMPT, SEED, SCALES), lambda: [theirs(scale) for scale in SCALES], 3
    )
    apart = (model.sweep(PROMPT, SEED, SCALES)[:, 0] - torch.cat([theirs(scale) for scale in SCALES])).abs()
    sixteen = seconds(lambda: model.sample(PROMPT, list(range(16)), w), 3)
    return [
        (f"{dtype}: one image, ours / diffusers", f"{one:.2f} s / {one_theirs:.2f} s = {one / one_theirs:.2f}"),
        (f"{dtype}: 8-scale sweep / eight pipeline calls", f"{sweep:.2f} s / {eight:.2f} s = {sweep / eight:.2f}"),
        (
            f"{dtype}: largest and mean difference of their images",
            f"{255 * apart.max():.3f}/255, {255 * apart.mean():.4f}/255",
        ),
        (f"{dtype}: 16 images", f"{sixteen:.2f} s = {sixteen / 16:.3f} s an image"),
    ]


def cold_start(name: str, device: str | None) -> float:
    """Seconds from nothing to the first image, in a fresh Python."""
    code = f"import ldm_core; ldm_core.load({name!r}, {device!r}).sample('a house', 1)"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def graphics_card() -> str:
    """The GPU's name, where there is one."""
    return f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("evaluation.benchmark", __doc__)
    parser.add_argument("--suite", choices=["core", "engines", "gpu", "less-work", "growth"], default="core")
    parser.add_argument("--model", default="scenes", help="registry name or folder (default: %(default)s)")
    parser.add_argument("--device", default=None)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--count",
        type=int,
        default=None,
        help="pictures: of each way in less-work (300), at the most in growth (40000)",
    )
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    quiet()
    if arguments.suite == "gpu":
        from .benchmarks.gpu_suite import gpu_suite  # the runner and all it needs

        rows = gpu_suite(choose_device(arguments.device), arguments.repeats)
    elif arguments.suite == "less-work":
        from .benchmarks.less_work import less_work_suite

        rows = less_work_suite(
            arguments.device, 300 if arguments.count is None else arguments.count, Path("runs/less-work")
        )
    elif arguments.suite == "growth":
        from .benchmarks.growth import growth_suite

        rows = growth_suite(40_000 if arguments.count is None else arguments.count)
    elif arguments.suite == "engines":
        from .benchmarks.engines import engines_suite

        rows = engines_suite(arguments.model, arguments.repeats)
    else:
        rows = core_suite(arguments.model, arguments.device, arguments.repeats)
    print(f"{processor()}, {torch.get_num_threads()} threads, {graphics_card()}torch {torch.__version__}\n")
    print("| what | measured |\n| --- | --- |")
    for what, measured in rows:
        print(f"| {what} | {measured} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
