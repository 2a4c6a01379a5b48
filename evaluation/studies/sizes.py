"""Are the sizes right that the texts give of Stable Diffusion's networks, and the memory that they say it needs?

The networks are built in their published shapes on the meta device, where a parameter has a shape and no memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .study import COMPUTED, FAILS, HOLDS, IN_PART, Outcome, Study

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

PIXELS, WHAT = "“Why Not Diffuse in Pixel Space?”", "“What Is Latent Diffusion and How Does It Work?”"  # the texts
ROUNDED = 0.02  # of a number: what rounding may take from it
MILLION, GIGABYTE = 1e6, 1e9
BYTES = {"float32": 4, "bfloat16 or float16": 2, "int8": 1}


@dataclass(frozen=True)
class Said:
    """A number that a text gives of a network: millions of parameters."""

    model: str
    part: str
    said: float
    source: str


SAID = (
    Said("sd1.5", "U-Net", 860, PIXELS),
    Said("sd1.5", "text encoder", 123, PIXELS),
    Said("sd1.5", "autoencoder", 84, PIXELS),
    Said("sd2.1", "U-Net", 865, PIXELS),
    Said("sd2.1", "text encoder", 354, PIXELS),
    Said("sd2.1", "autoencoder", 84, PIXELS),
    Said("sdxl", "U-Net", 2600, PIXELS),
    Said("sdxl", "text encoder", 817, PIXELS),
    Said("sdxl", "autoencoder", 84, PIXELS),
    Said("sd3.5-large", "transformer", 8100, WHAT),
    Said("sd3.5-medium", "transformer", 2500, WHAT),
)
MEMORY = {"sd1.5": 4.0, "sd2.1": 5.0, "sdxl": 7.0}  # GB in float16, by PIXELS
SIDES = {"sd1.5": 512, "sd2.1": 768, "sdxl": 1024}


def parts(model: str) -> dict[str, list[nn.Module]]:
    """The networks of a model by the part that the texts speak of, on the meta device."""
    from ..benchmarks import published as known

    text: dict[str, list[Callable[[], nn.Module]]] = {
        "sd1.5": [lambda: known.text_encoder(known.CLIP_L)],
        "sd2.1": [lambda: known.text_encoder(known.CLIP_H)],
        "sdxl": [lambda: known.text_encoder(known.CLIP_L), lambda: known.text_encoder(known.CLIP_G, 1280)],
    }
    third = [
        lambda: known.text_encoder(known.CLIP_L, 768),
        lambda: known.text_encoder(known.CLIP_G, 1280),
        known.t5_encoder,
    ]
    diffusion3 = model not in text
    denoiser = {"transformer" if diffusion3 else "U-Net": [known.built(lambda: _denoiser(model))]}
    return denoiser | {
        "text encoder": [known.built(build) for build in text.get(model, third)],
        "autoencoder": [known.built(lambda: known.autoencoder(16 if diffusion3 else 4))],
    }


def _denoiser(model: str) -> nn.Module:
    from ..benchmarks import published as known

    return known.transformer(model) if model.startswith("sd3") else known.unet(model)


def run(options: argparse.Namespace, work: Path) -> Outcome:
    """Count, and set beside what is said."""
    import pandas as pd

    from ..benchmarks.meter import parameters

    models = list(dict.fromkeys(one.model for one in SAID))
    built = {model: parts(model) for model in models}
    counted = pd.DataFrame(
        [
            {
                "model": model,
                "part": part,
                "parameters": sum(parameters(each) for each in networks),
                "fixed tables": sum(_tables(each) for each in networks),
            }
            for model, of_model in built.items()
            for part, networks in of_model.items()
        ]
    )
    for name, size in BYTES.items():
        counted[f"GB in {name}"] = counted["parameters"] * size / GIGABYTE
    compared = compare(counted)
    memory = pd.DataFrame([{"model": model, **memory_of(model, built[model])} for model in MEMORY])
    verdict, words = concluded(compared, memory)
    return Outcome(
        verdict, words, {"said": compared, "parameters": counted, "memory": memory}, _figures(compared), notes()
    )


def _tables(network: nn.Module) -> int:
    """Values that are part of a network's files and are not learned: positions, mostly."""
    return sum(each.numel() for each in network.buffers() if each.is_floating_point())


def compare(counted: pd.DataFrame) -> pd.DataFrame:
    """What is said beside what is counted, without and with fixed tables; `right` where rounding explains the rest."""
    import pandas as pd

    rows = []
    for one in SAID:
        found = counted[(counted["model"] == one.model) & (counted["part"] == one.part)].iloc[0]
        learned, tables = found["parameters"] / MILLION, found["fixed tables"] / MILLION
        apart, with_tables = one.said / learned - 1, one.said / (learned + tables) - 1
        right = "yes" if abs(apart) <= ROUNDED else "with fixed tables" if abs(with_tables) <= ROUNDED else "no"
        rows.append(
            {
                "model": one.model,
                "part": one.part,
                "said, M": one.said,
                "counted, M": learned,
                "fixed tables, M": tables,
                "said / counted - 1": apart,
                "right": right,
                "text": one.source,
            }
        )
    return pd.DataFrame(rows)


def memory_of(model: str, networks: dict[str, list[nn.Module]]) -> dict[str, float]:
    """GB in float16 at the native size, one picture, guided: weights, and the most that either network keeps besides."""
    import torch

    from ..benchmarks.meter import FusedAttention, need_of, parameters, set_attention

    side = SIDES[model] // 8
    unet, vae = networks["U-Net"][0], networks["autoencoder"][0]
    meta = {"device": "meta", "dtype": torch.float16}
    words = torch.empty(2, 77, unet.config.cross_attention_dim, **meta)  # type: ignore[union-attr,call-overload]  # a config
    added = {"text_embeds": torch.empty(2, 1280, **meta), "time_ids": torch.empty(2, 6, **meta)}  # type: ignore[call-overload]  # the same
    latents = torch.empty(2, 4, side, side, **meta)  # type: ignore[call-overload]  # the same

    def step() -> torch.Tensor:
        timestep = torch.empty((), device="meta")
        return unet(latents, timestep, words, added_cond_kwargs=added if model == "sdxl" else None).sample

    def decode() -> torch.Tensor:
        return vae.decode(latents[:1]).sample  # type: ignore[operator]  # AutoencoderKL's

    set_attention(unet, fused=True)
    set_attention(vae, fused=True)
    with FusedAttention():
        fused = [need_of(call, training=False).peak_bytes for call in (step, decode)]
    set_attention(unet, fused=False)
    plain = need_of(step, training=False).peak_bytes
    weights = 2 * sum(parameters(each) for group in networks.values() for each in group)
    values = {
        "weights": weights,
        "U-Net, fused attention": fused[0],
        "U-Net, plain attention": plain,
        "decoder": fused[1],
        "at the most, fused": weights + max(fused),
        "at the most, plain": weights + max(plain, fused[1]),
    }
    return {name: value / GIGABYTE for name, value in values.items()} | {"said": MEMORY[model]}


def concluded(compared: pd.DataFrame, memory: pd.DataFrame) -> tuple[str, str]:
    """How many of the numbers are right, and which are not."""
    wrong = compared[compared["right"] == "no"]
    tables = compared[compared["right"] == "with fixed tables"]
    near = memory["said"].sub(memory["at the most, fused"]).abs() <= 0.15 * memory["said"]
    count = len(compared) - len(wrong)
    off = [
        f"{row['model']}'s {row['part']}: {row['said, M']:g} said, {row['counted, M']:.1f} counted"
        for _, row in wrong.iterrows()
    ]
    needs = ", ".join(
        f"{row['model']} {row['at the most, fused']:.1f} to {row['at the most, plain']:.1f} GB ({row['said']:g} said)"
        for _, row in memory.iterrows()
    )
    words = [
        f"{count} of {len(compared)} parameter counts are right within {ROUNDED:.0%}"
        + (f", {len(tables)} of them only with their fixed tables" if len(tables) else "")
        + (f"; not: {'; '.join(off)}" if off else "")
        + ".",
        f"Memory in float16 at the native size, weights and activations, with fused to plain attention: {needs}.",
    ]
    whole = not len(wrong) and bool(near.all())
    return HOLDS if whole else IN_PART if count else FAILS, " ".join(words)


def notes() -> tuple[str, ...]:
    """What explains the differences."""
    from ..benchmarks import published as known
    from ..benchmarks.meter import parameters

    whole = known.built(lambda: known.text_encoder(known.CLIP_H | {"num_hidden_layers": 24}, 1024))
    return (
        (
            f"OpenCLIP ViT-H's text tower has 24 layers and a projection, {parameters(whole) / MILLION:.0f} M; Stable Diffusion 2 "
            "loads 23 layers and no projection."
        ),
        "A transformer of 3.5 keeps a table of positions in its file, which is not learned.",
        "“Latent Diffusion Models” names a U-Net of 1.2 B: no published Stable Diffusion has one of that size.",
        (
            "Memory is what eager PyTorch allocates for tensors, without a kernel's workspaces and the CUDA context; a guided step "
            "has two rows; the decoder is in float16 too, though XL's overflows there."
        ),
    )


def _figures(compared: pd.DataFrame) -> dict[str, str]:
    """How far each number is from what was counted."""
    from ..report.charts import difference_chart

    rows = compared.assign(
        difference=100 * compared["said / counted - 1"],
        low=float("nan"),
        high=float("nan"),
        name=(compared["model"] + " " + compared["part"]).str.replace(" encoder| transformer", "", regex=True),
    )
    return {"said": difference_chart(rows, "said, % apart", False, "name", "counted")}


STUDY = Study(
    name="sizes",
    claim="Stable Diffusion 1.5, 2.1 and XL have 860 + 123 + 84, 865 + 354 + 84 and 2600 + 817 + 84 M parameters and need about "
    "4, 5 and 7 GB in float16; 3.5 has 8.1 and 2.5 B",
    source="“Why Not Diffuse in Pixel Space?”, its table of models; “What Is Latent Diffusion and How Does It Work?”",
    kind=COMPUTED,
    minutes=1,
    run=run,
)
