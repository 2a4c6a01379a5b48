"""What does the same U-Net cost on pixels and on latents of f = 8: values, operations, memory, and where it fits seconds?

Stable Diffusion 1.5's U-Net is asked on the meta device, for pixels with three channels in place of four: one row, float16.
What is timed is the same shape at a tenth of the width, in float32 on this machine.
"""

from __future__ import annotations

import argparse
import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING

from .study import BOTH, FAILS, HOLDS, IN_PART, Option, Outcome, Study

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from diffusers import UNet2DConditionModel

SIDES = (64, 128, 256, 512, 1024)
SAID_SIDE = 512  # of which the text gives figures
SAID_MEMORY = {"pixels": 24e9, "latents": 4e9}
SAID_SCORES = {
    64: 16 * 2**20,
    128: 256 * 2**20,
    256: 4 * 2**30,
    512: 64 * 2**30,
    1024: 2**40,
}  # bytes, the text's table
SAID_SPEED, SAID_SAVING = 8, 48
FACTOR, CHANNELS = 8, {"pixels": 3, "latents": 4}
GIGABYTE = 1e9
NEAR = 0.25  # of a figure that is given with a tilde


def run(options: argparse.Namespace, work: Path) -> Outcome:
    """Compute, time, and set beside the text's figures."""
    import pandas as pd

    sides = [int(side) for side in str(options.sides).split(",")]
    if any(side % 64 for side in sides):
        raise ValueError(
            f"--sides must be multiples of 64, for three halvings of a latent of f = 8, got {options.sides}"
        )
    computed = pd.DataFrame([needed(space, side) for side in sides for space in CHANNELS])
    scores = score_table(sides)
    timed = pd.DataFrame([timing(space, side) for side in SIDES if side <= options.timed for space in CHANNELS])
    saved, quicker = savings(computed), speedups(timed)
    verdict, words = concluded(computed, scores, saved, quicker)
    tables = {"savings": saved, "computed": computed, "scores": scores} | ({"timed": timed} if len(timed) else {})
    return Outcome(verdict, words, tables, _figures(computed), NOTES)


NOTES = (
    (
        "Bytes are of tensors alive at once in one row of float16, as eager PyTorch allocates; parameters, gradients and the "
        "optimiser's state are a column of their own: 16 bytes a parameter, in mixed precision with Adam's two moments and a float32 "
        "copy."
    ),
    (
        "Plain attention keeps the matrix of all scores, eight heads; fused attention (Dao et al. 2022) keeps none of it. Operations "
        "are the same, a multiplication and an addition counted as two."
    ),
    (
        "This U-Net attends at its input's own resolution, and at a half and a quarter of it. Pixel models do not: Ho et al. 2020 "
        "attend at 16 x 16 alone. So plain attention's column is what this U-Net would need, not what was ever run."
    ),
    (
        "Seconds are of a U-Net of a tenth of the width with fused attention, one row, float32, the second of two runs; the autoencoder's "
        "own time, once an image, is not in them."
    ),
)


def values_of(space: str, side: int) -> tuple[int, int]:
    """Channels and side of what the U-Net sees of a picture."""
    return CHANNELS[space], side // (FACTOR if space == "latents" else 1)


def needed(space: str, side: int) -> dict[str, object]:
    """A row of what is computed: of a forward pass and of a training step, with plain and with fused attention."""
    import torch

    from ..benchmarks.meter import FusedAttention, need_of, parameters, set_attention

    unet = network(space)
    channels, own = values_of(space, side)
    given = torch.empty(1, channels, own, own, device="meta", dtype=torch.float16)
    for weights in unet.parameters():  # there before the step, as from the second step on: not among its activations
        weights.grad = torch.zeros_like(weights)
    call = functools.partial(_call, unet, given)
    set_attention(unet, fused=False)
    plain, plain_step = (need_of(call, training) for training in (False, True))
    set_attention(unet, fused=True)
    with FusedAttention():
        fused, fused_step = (need_of(call, training) for training in (False, True))
    return {
        "space": space,
        "pixels": side,
        "input": f"{own} x {own} x {channels}",
        "values": given.numel(),
        "GFLOP": plain.flops / 1e9,
        "forward GB, plain": plain.peak_bytes / GIGABYTE,
        "forward GB, fused": fused.peak_bytes / GIGABYTE,
        "training GB, plain": plain_step.peak_bytes / GIGABYTE,
        "training GB, fused": fused_step.peak_bytes / GIGABYTE,
        "all scores GB": plain_step.scores_bytes / GIGABYTE,
        "largest scores GB": plain.largest_scores_bytes / GIGABYTE,
        "weights and optimiser GB": 16 * parameters(unet) / GIGABYTE,
    }


def _call(unet: UNet2DConditionModel, given: torch.Tensor) -> torch.Tensor:
    import torch

    words = torch.zeros(1, 77, unet.config.cross_attention_dim, device=given.device, dtype=given.dtype)
    return unet(given, torch.ones((), device=given.device), words).sample


def network(space: str) -> UNet2DConditionModel:
    """Stable Diffusion 1.5's U-Net for that many channels, on the meta device in float16."""
    return _of_shape(space, small=False, device="meta").half()


def _of_shape(space: str, small: bool, device: str) -> UNet2DConditionModel:
    import torch
    from diffusers import UNet2DConditionModel

    from ..benchmarks.random_weights import shape_of

    channels, shape = CHANNELS[space], shape_of("sd1.5", small)
    with torch.device(device):
        groups = 16 if small else 32
        return UNet2DConditionModel(in_channels=channels, out_channels=channels, norm_num_groups=groups, **shape.unet)


def score_table(sides: list[int]) -> pd.DataFrame:
    """The text's memory of attention beside N^2 of one head at one byte, and at two bytes and eight heads."""
    import pandas as pd

    rows = [
        {
            "pixels": side,
            "N": side**2,
            "said GB": SAID_SCORES[side] / GIGABYTE,
            "said over the row above": SAID_SCORES[side] / SAID_SCORES.get(side // 2, math.nan),
            "bytes a score, one head": SAID_SCORES[side] / side**4,
            "GB, float16, 8 heads": 2 * 8 * side**4 / GIGABYTE,
        }
        for side in sides
        if side in SAID_SCORES
    ]
    return pd.DataFrame(rows)


def timing(space: str, side: int) -> dict[str, object]:
    """Seconds of a forward pass and of a training step (forward, backward, AdamW) of the narrow U-Net."""
    import torch

    from ..benchmarks.timing import seconds

    torch.manual_seed(0)
    unet = _of_shape(space, small=True, device="cpu")
    channels, own = values_of(space, side)
    given = torch.randn(1, channels, own, own)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        (_call(unet, given) - given).square().mean().backward()
        optimizer.step()

    with torch.inference_mode():
        forward = seconds(lambda: _call(unet, given), 1)
    return {"space": space, "pixels": side, "forward s": forward, "step s": seconds(step, 1)}


def savings(computed: pd.DataFrame) -> pd.DataFrame:
    """Pixels over latents, at each size: how many times less a latent takes."""
    import pandas as pd

    rows = []
    for side, part in computed.groupby("pixels"):
        own = part.set_index("space")
        names = [name for name in own if name not in ("pixels", "input", "weights and optimiser GB")]
        row = {"pixels": side} | {name: own[name]["pixels"] / own[name]["latents"] for name in names}
        for name in ("forward GB, fused", "training GB, fused"):
            with_weights = own[name] + own["weights and optimiser GB"] / (8 if name.startswith("forward") else 1)
            row[f"{name}, with weights"] = with_weights["pixels"] / with_weights["latents"]
        rows.append(row)
    return pd.DataFrame(rows)


def speedups(timed: pd.DataFrame) -> pd.DataFrame:
    """How many times quicker latents were, by side (the index): columns `forward s` and `step s`."""
    import pandas as pd

    if not len(timed):
        return pd.DataFrame(columns=["forward s", "step s"])
    of_space = {space: part.set_index("pixels") for space, part in timed.groupby("space")}
    names = ["forward s", "step s"]
    return of_space["pixels"][names] / of_space["latents"][names]


def concluded(
    computed: pd.DataFrame, scores: pd.DataFrame, saved: pd.DataFrame, quicker: pd.DataFrame
) -> tuple[str, str]:
    """Figure by figure of the text; of time only where it was measured."""
    side = SAID_SIDE if (computed["pixels"] == SAID_SIDE).any() else int(computed["pixels"].max())
    ratio = saved.set_index("pixels").loc[side]
    growth = scores["said over the row above"].dropna()
    memory = memory_at(computed, side)
    said_ratio = SAID_MEMORY["pixels"] / SAID_MEMORY["latents"]
    checks = {
        "values": ratio["values"] == SAID_SAVING,
        "times less memory": abs(ratio["training GB, fused, with weights"] / said_ratio - 1) <= NEAR,
        "amounts of memory": any(_as_said(memory[kind]) for kind in ("training", "forward")),
        "growth of attention's memory": bool((growth == 4).all()),
    }
    if len(quicker):
        checks["time"] = quicker["step s"].max() >= SAID_SPEED
    held = sum(checks.values())
    failed = [name for name, right in checks.items() if not right]
    words = [
        f"Values: {ratio['values']:.0f} times fewer at {side} px.",
        _memory_in_words(memory, ratio),
        (
            f"The text's table of attention's memory is N^2 at {scores['bytes a score, one head'].iloc[0]:.0f} byte a score of one head, "
            f"which no float has: in float16 with eight heads it is 16 times that. Doubling the side multiplies the table by "
            f"{growth.iloc[0]:.0f}, where the text beside it says 4."
        ),
        f"Operations: {ratio['GFLOP']:.0f} times fewer at {side} px, for attention at full resolution grows with N^2.",
        *([_time_in_words(quicker)] if len(quicker) else []),
        f"Of {len(checks)} figures {held} hold" + (f"; not: {'; '.join(failed)}." if failed else "."),
    ]
    return HOLDS if not failed else IN_PART if held else FAILS, " ".join(words)


def memory_at(computed: pd.DataFrame, side: int) -> dict[str, dict[str, float]]:
    """GB by space: of a training step and of a forward pass with fused attention, weights and optimiser included, and of a
    forward pass's activations with plain attention."""
    own = computed[computed["pixels"] == side].set_index("space")
    weights = own["weights and optimiser GB"]
    # A forward pass needs the float16 weights alone, 2 of the 16 bytes of a parameter in training.
    return {
        "training": dict(own["training GB, fused"] + weights),
        "forward": dict(own["forward GB, fused"] + weights / 8),
        "plain": dict(own["forward GB, plain"]),
    }


def _as_said(memory: dict[str, float]) -> bool:
    return all(abs(memory[space] * GIGABYTE / SAID_MEMORY[space] - 1) <= NEAR for space in CHANNELS)


def _memory_in_words(memory: dict[str, dict[str, float]], ratio: pd.Series) -> str:
    training, forward, plain = memory["training"], memory["forward"], memory["plain"]
    return (
        f"Memory of a training step there, fused attention, weights and optimiser included: {training['pixels']:.1f} GB on pixels, "
        f"{training['latents']:.1f} on latents, {ratio['training GB, fused, with weights']:.1f} times less; of a forward pass "
        f"{forward['pixels']:.1f} and {forward['latents']:.1f} (24 and 4 said, 6 times). With plain attention the activations "
        f"of a forward pass on pixels would take {plain['pixels']:.4g} GB, on latents {plain['latents']:.2f}."
    )


def _time_in_words(quicker: pd.DataFrame) -> str:
    side = quicker["step s"].idxmax()
    return (
        f"Measured at a tenth of the width: a training step at {side} px takes {quicker.loc[side, 'step s']:.1f} times as long on "
        f"pixels, a forward pass {quicker.loc[side, 'forward s']:.1f} times ({SAID_SPEED} said, of training at 512 px)."
    )


def _figures(computed: pd.DataFrame) -> dict[str, str]:
    """Operations and memory over the side, as powers of ten, of both spaces."""
    from ..report.charts import chart

    def logarithms(column: str) -> pd.DataFrame:
        values = [math.log10(value) for value in computed[column]]
        return computed.assign(value=values, low=math.nan, high=math.nan)

    named = {
        "operations": ("GFLOP", "log10 GFLOP"),
        "training_memory": ("training GB, fused", "log10 GB, fused"),
        "plain_memory": ("training GB, plain", "log10 GB, plain"),
    }
    return {
        name: chart(logarithms(column), title, False, axis="pixels", others=["space"])
        for name, (column, title) in named.items()
    }


STUDY = Study(
    name="cost",
    claim="On latents the same U-Net sees 48 times fewer values, needs about 4 GB in place of 24 at 512 px and trains 8 times as "
    "fast; attention's memory on pixels goes from 16 MB at 64 px to 1 TB at 1024 px, and doubling the side quadruples it",
    source="“The Latent Diffusion Idea”, Memory Scaling, Memory Reduction, Training Speedup; “Why Not Diffuse in Pixel Space?”",
    kind=BOTH,
    minutes=8,
    run=run,
    options=(
        Option("sides", ",".join(map(str, SIDES)), "pixels along a side, multiples of 64, commas between"),
        Option(
            "timed",
            64,
            "the largest side whose seconds are measured, 0 for none; each doubling takes ten times as long",
        ),
    ),
)
