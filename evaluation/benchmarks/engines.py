"""Torch and OpenVINO beside diffusers' own pipeline, all turn by turn in one process on the same folder."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from functools import partial

import torch

import ldm_core

from ..benchmark import PROMPT, SCALES, SEED, diffusers_drawing
from .timing import once

DTYPES = ("float32", "bfloat16")


def engines_suite(name: str, repeats: int) -> list[tuple[str, str]]:
    """One picture and an 8-scale sweep: seconds of each engine, and its share of diffusers' in the same precision; how far
    the engines' pictures are from torch's in float32."""
    rows, exact = [], ldm_core.load(name, "cpu", "float32", engine="torch")
    for dtype in DTYPES:
        models = {engine: ldm_core.load(name, "cpu", dtype, engine=engine) for engine in ("torch", "openvino")}
        theirs = diffusers_drawing(models["torch"])
        w = exact.spec.guidance_scale
        single: dict[str, Callable[[], object]] = {"diffusers": partial(theirs, w)}
        sweep: dict[str, Callable[[], object]] = {"diffusers": partial(each_scale, theirs)}
        for engine, model in models.items():
            single[engine] = partial(model.sample, PROMPT, SEED, w)
            sweep[engine] = partial(model.sweep, PROMPT, SEED, SCALES)
        rows += [(f"{dtype}: one picture", beside(single, repeats))]
        rows += [(f"{dtype}: 8-scale sweep, diffusers in eight calls", beside(sweep, repeats))]
        truth = exact.sweep(PROMPT, SEED, SCALES)
        for engine, model in models.items():
            if (engine, dtype) != ("torch", "float32"):
                apart = (model.sweep(PROMPT, SEED, SCALES) - truth).abs()
                psnr = -10 * torch.log10(apart.square().mean().clamp(min=1e-12))
                words = f"at most {255 * apart.max():.3f}, mean {255 * apart.mean():.4f} of 255; PSNR {psnr:.1f} dB"
                rows.append((f"{dtype}: {engine}'s sweep against torch's in float32", words))
    return rows


def each_scale(draw: Callable[[float], torch.Tensor]) -> list[torch.Tensor]:
    """One picture at every scale, one after another."""
    return [draw(scale) for scale in SCALES]


def beside(ways: Mapping[str, Callable[[], object]], repeats: int) -> str:
    """Medians of all ways, run turn by turn after one turn that warms up, and their share of the first one's."""
    for work in ways.values():
        work()
    turns = [{name: once(work) for name, work in ways.items()} for _ in range(repeats)]
    medians = {name: statistics.median(turn[name] for turn in turns) for name in ways}
    first = next(iter(medians.values()))
    return "; ".join(f"{name} {value:.3f} s = {value / first:.2f}" for name, value in medians.items())
