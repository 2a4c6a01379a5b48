"""Speed on a GPU: Stable Diffusion 1.5 and XL at their real size with random weights, against diffusers' own pipelines.

Where there is no GPU the same code runs on models of the same shape and a tenth of the width, which proves that it runs
and says nothing of speed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import diffusers
import torch
from torch.utils.flop_counter import FlopCounterMode

from ldm_core.checkpoint import Checkpoint
from ldm_core.pipeline import LatentDiffusion
from ldm_core.schedulers import make_scheduler

from ..config import RunConfig
from ..generation.cost import outside_networks, peak_memory_gb
from ..prompts import Prompt
from ..runner import Run
from ..worlds import DRAWN_WORLD, caption_of
from .random_weights import build_model, build_unet, shape_of
from .timing import alternating, seconds, synchronize

SCALES = (1.5, 2, 3, 4, 5, 6, 7, 8)
PROMPT = "a red house on the left and a pine tree on the right"
Rows = list[tuple[str, str]]


def gpu_suite(device: str, repeats: int) -> Rows:
    """All rows of the table."""
    small = not device.startswith("cuda")
    dtype = torch.float32 if small else torch.bfloat16
    ceiling = matrix_ceiling(device, dtype)
    rows = [("matrix ceiling, measured", f"{ceiling / 1e12:.1f} TFLOP/s in {str(dtype).removeprefix('torch.')}")]
    for name in ("sd1.5", "sdxl"):
        rows += family_rows(name, device, dtype, small, ceiling, repeats)
    return rows + evaluation_rows(device, small)


def matrix_ceiling(device: str, dtype: torch.dtype) -> float:
    """The most floating-point operations a second that a plain matrix product reaches here."""
    side = 8192 if device.startswith("cuda") else 1024
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / seconds(lambda: a @ b, 10)


def flops_per_row(name: str, small: bool) -> float:
    """Of one network row, counted on the meta device."""
    shape = shape_of(name, small)
    side, width = shape.unet["sample_size"], shape.unet["cross_attention_dim"]
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        added = {}
        if "addition_embed_type" in shape.unet:
            added = {"text_embeds": torch.empty(1, shape.text[1][0]), "time_ids": torch.empty(1, 6)}
        build_unet(shape)(
            torch.empty(1, 4, side, side), torch.empty(1), torch.empty(1, 77, width), added_cond_kwargs=added
        )
    return counter.get_total_flops()


def family_rows(name: str, device: str, dtype: torch.dtype, small: bool, ceiling: float, repeats: int) -> Rows:
    """One family: a single image, the best batch, and a sweep, each beside diffusers' pipeline."""
    model, checkpoint = build_model(name, device, dtype, small)
    pipeline = diffusers_pipeline(model, checkpoint, dtype)
    steps, w, pixels = model.spec.steps, model.spec.guidance_scale, model.height
    per_image, rows = 2 * steps * flops_per_row(name, small), []

    def theirs(count: int, scale: float = w) -> None:
        generators = [torch.Generator().manual_seed(seed) for seed in range(count)]
        pipeline(
            [PROMPT] * count,
            generator=generators,
            guidance_scale=scale,
            num_inference_steps=steps,
            height=pixels,
            width=pixels,
            output_type="pt",
        )

    def beside(count: int, words: str) -> None:
        one, other = alternating(lambda: model.sample(PROMPT, list(range(count)), w), lambda: theirs(count), repeats)
        rows.append(
            (
                f"{name}, {pixels} px, {steps} steps, batch {count}: ours{words} / diffusers",
                (
                    f"{count / one:.2f} / {count / other:.2f} images/s = {other / one:.2f} times; {1000 * one / steps:.1f} ms a step; "
                    f"{count * per_image / one / ceiling:.0%} of the ceiling; {peak_memory_gb():.1f} GB"
                ),
            )
        )

    counts = (1, 2) if small else (1, 4, 16)
    for count in counts:
        beside(count, "")
    sweep, eight = alternating(lambda: model.sweep(PROMPT, 7, SCALES), lambda: each_scale(theirs), max(1, repeats // 2))
    rows.append(
        (f"{name}: 8-scale sweep / eight pipeline calls", f"{sweep:.2f} s / {eight:.2f} s = {sweep / eight:.2f}")
    )
    if not small:  # compiling takes minutes, and on a CPU says nothing of a GPU
        model.denoiser.compile()
        for count in counts:
            beside(count, ", compiled,")
    return rows


def each_scale(draw: Callable[[int, float], None]) -> None:
    """One picture at every scale, one after another."""
    for scale in SCALES:
        draw(1, scale)


def diffusers_pipeline(
    model: LatentDiffusion, checkpoint: Checkpoint, dtype: torch.dtype
) -> diffusers.DiffusionPipeline:
    """diffusers' pipeline over the same networks, its autoencoder in the denoiser's precision, as people run it."""
    kind = getattr(diffusers, checkpoint.family.pipeline)
    absent = {"safety_checker": None, "feature_extractor": None} if checkpoint.family.name == "sd" else {}
    vae = diffusers.AutoencoderKL.from_config(model.autoencoder.vae.config)
    vae.load_state_dict(model.autoencoder.vae.state_dict())
    made = kind(
        vae=vae.to(model.device, dtype),
        scheduler=make_scheduler(checkpoint.scheduler_config),
        **checkpoint.parts,
        **absent,
    )
    made.set_progress_bar_config(disable=True)
    return made


def evaluation_rows(device: str, small: bool) -> Rows:
    """What of an evaluation run goes into anything but the networks, on the embedded model."""
    count = 8 if small else 256
    prompts = [Prompt(index, caption_of(DRAWN_WORLD, 200_000_000 + index)) for index in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prompts.txt"
        file.write_text("\n".join(prompt.text for prompt in prompts))
        config = RunConfig(
            file,
            model="scenes",
            guidance_scales=(2.0,),
            device=device,
            out=Path(folder) / "run",
            metrics=("scene_accuracy", "clip_scenes"),
        )
        run = Run(config, prompts)
        began = time.perf_counter()
        results = run.carry_out()
        assert results is not None, "one process"
        synchronize()
        took = time.perf_counter() - began
    return [
        (
            f"evaluation run, {count} images: outside the networks",
            f"{outside_networks(results.cost):.1%} of {took:.0f} s",
        )
    ]
