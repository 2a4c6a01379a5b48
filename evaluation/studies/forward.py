"""What does noising do to a latent: signal and noise over time by schedule, what is left at the end, and how it looks.

z_t = a(t) z_0 + s(t) eps, with a^2 + s^2 = 1 for diffusion (Ho et al. 2020, eq. 4) and a + s = 1 for flow (Lipman et al. 2023).
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .study import BOTH, FAILS, HOLDS, IN_PART, Option, Outcome, Study

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from ldm_core.pipeline import LatentDiffusion

STEPS = 1000
# By diffusers' names, with their papers' ends.
BETAS: dict[str, dict[str, object]] = {
    "linear": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},  # Ho et al. 2020
    "scaled linear": {
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
    },  # Stable Diffusion 1, 2, XL
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},  # Nichol & Dhariwal 2021
    "sigmoid": {"beta_schedule": "sigmoid", "beta_start": 1e-4, "beta_end": 0.02},  # Xu et al. 2022, GeoDiff
}
FLOW = "flow"
PLACES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # t of the tables
SHOWN = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # t of what is decoded
STABLE = 4 * 64 * 64  # values of a latent of Stable Diffusion at 512 pixels
GUESSING = 0.55  # right so often by one who is told z_0, and 1/2 is chance: hardly to be told from noise


def run(options: argparse.Namespace, work: Path) -> Outcome:
    """The schedules, and drawings whose latents they noise."""
    import pandas as pd

    import ldm_core

    model = ldm_core.load(options.model, dtype="float32", engine="torch")
    images = _drawings(model, options.count)
    clean = model.encode(images)
    known = schedules()
    over_time = pd.concat([snr_table(name, *pair) for name, pair in known.items()], ignore_index=True)
    energy = float(clean.square().flatten(1).sum(1).mean())
    ends = pd.DataFrame([end_of(name, *pair, energy) for name, pair in known.items()])
    chain = pd.DataFrame([{"schedule": name, **chain_of(betas_of(name))} for name in BETAS])
    decoded = pd.DataFrame(
        [row for name, pair in known.items() for row in decoded_rows(model, images, clean, name, *pair)]
    )
    verdict, words = concluded(ends, chain, decoded, clean[0].numel())
    figures = _figures(over_time, decoded) | {"strip": _strip(model, clean[:1], known)}
    return Outcome(verdict, words, {"ends": ends, "snr": over_time, "decoded": decoded, "chain": chain}, figures, NOTES)


NOTES = (
    "t runs from 0 (clean) to 1 (the last of 1000 levels; for flow, noise itself). snr is a^2 / s^2, of latents of unit variance.",
    (
        "told: how often one who knows z_0 and is shown z_T or pure noise, with even chances, says rightly which, by projecting on "
        "z_0: Phi(a |z_0| / (2 s)). 0.5 is guessing. It is given for the model's own latents, with their measured length, and for "
        "those of Stable Diffusion at 512 pixels at unit variance."
    ),
    "decoded is the PSNR of the decoded z_t against the picture, a mean over drawings with its interval of 95 %.",
)


def betas_of(name: str) -> np.ndarray:
    """The betas of a diffusion schedule, float64 (STEPS,)."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(num_train_timesteps=STEPS, **BETAS[name]).betas.double().numpy()


def schedules() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By name (a, s), float64 (STEPS + 1,): index 0 is the clean latent, index STEPS the last level."""
    found = {}
    for name in BETAS:
        kept = np.concatenate([[1.0], np.cumprod(1 - betas_of(name))])
        found[name] = (np.sqrt(kept), np.sqrt(1 - kept))
    t = np.linspace(0, 1, STEPS + 1)
    return found | {FLOW: (1 - t, t)}


def snr_table(name: str, signal: np.ndarray, spread: np.ndarray) -> pd.DataFrame:
    """Rows over t, without its ends: a, s, and the decimal logarithm of a^2 / s^2."""
    import pandas as pd

    places = [round(t * STEPS) for t in PLACES[1:]]
    a, s = signal[places], spread[places]
    with np.errstate(divide="ignore"):
        logarithms = 2 * np.log10(a / s)
    return pd.DataFrame({"schedule": name, "t": PLACES[1:], "a": a, "s": s, "log10 snr": logarithms})


def end_of(name: str, signal: np.ndarray, spread: np.ndarray, energy: float) -> dict[str, object]:
    """A schedule's last level; `energy` is the square of a latent's length."""
    a, s = float(signal[-1]), float(spread[-1])
    return {
        "schedule": name,
        "a of the last level": a,
        "snr of the last level": (a / s) ** 2,
        "told": told(a / s, energy),
        "told, Stable Diffusion at 512": told(a / s, STABLE),
        "t of snr 1": float(np.argmax(signal <= spread) / STEPS),
        "largest step of a^2": float(np.abs(np.diff(signal**2)).max()),
    }


def told(ratio: float, energy: float) -> float:
    """Phi(ratio sqrt(energy) / 2): see NOTES."""
    return 0.5 * (1 + math.erf(ratio * math.sqrt(energy) / 2 / math.sqrt(2)))


def chain_of(betas: np.ndarray) -> dict[str, float]:
    """How far STEPS single steps z <- sqrt(1 - b) z + sqrt(b) eps are, in mean and variance, from the one jump of eq. 4."""
    mean, variance, apart = 1.0, 0.0, 0.0
    for beta, kept in zip(betas, np.cumprod(1 - betas)):
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        apart = max(apart, abs(mean - math.sqrt(kept)), abs(variance - (1 - kept)))
    return {"steps": len(betas), "largest difference": apart}


def noised(clean: Tensor, signal: float, spread: float) -> Tensor:
    """z_t of latents (B, C, h, w); each row's noise is that of its place, the same at every t."""
    from ldm_core.sampling import image_generators, initial_noise

    channels, height, width = clean.shape[1:]
    noise = initial_noise(image_generators(list(range(len(clean)))), (channels, height, width))
    return signal * clean + spread * noise


def decoded_rows(
    model: LatentDiffusion, images: Tensor, clean: Tensor, name: str, signal: np.ndarray, spread: np.ndarray
) -> list[dict[str, object]]:
    """PSNR of the decoded z_t over t."""
    from ..metrics.reconstruction import psnr
    from ..statistics import mean

    rows: list[dict[str, object]] = []
    for t in SHOWN:
        place = round(t * STEPS)
        shown = model.decode(noised(clean, float(signal[place]), float(spread[place])))
        rows.append({"schedule": name, "t": t, **mean(psnr(images, shown).numpy()).columns()})
    return rows


def concluded(ends: pd.DataFrame, chain: pd.DataFrame, decoded: pd.DataFrame, values: int) -> tuple[str, str]:
    """Whether the jump is the chain, whether a^2 falls smoothly, and whether the end is noise."""
    exact = bool((chain["largest difference"] < 1e-9).all())
    column = "told, Stable Diffusion at 512"
    buried = ends[column] <= GUESSING
    of_each = "; ".join(f"{row['schedule']} {row['told']:.3f} ({row[column]:.3f})" for _, row in ends.iterrows())
    half = ", ".join(f"{row['schedule']} {row['t of snr 1']:.2f}" for _, row in ends.iterrows())
    middle = decoded[decoded["t"] == SHOWN[2]].set_index("schedule")["value"]
    words = (
        f"1000 single steps are the one jump of the formula to {chain['largest difference'].max():.1g}, and a^2 falls by at most "
        f"{ends['largest step of a^2'].max():.4f} a step. Whether the last latent is noise is another matter: told z_0, one says "
        f"rightly which is which with probability {of_each}, for {values} values here (for Stable Diffusion's {STABLE}); "
        f"by that {', '.join(ends['schedule'][buried])} end in noise"
        + (f" and {', '.join(ends['schedule'][~buried])} do not" if not buried.all() else "")
        + f". Signal and noise are equal at t = {half}. Decoded at t = {SHOWN[2]:g}: "
        + ", ".join(f"{name} {value:.1f} dB" for name, value in middle.items())
        + "."
    )
    return (HOLDS if buried.all() else IN_PART) if exact else FAILS, words


def _drawings(model: LatentDiffusion, count: int) -> Tensor:
    """Held-out drawings of the model's world, at its size."""
    from ldm_core.images import from_uint8

    from ..worlds import DRAWN, drawings

    if model.spec.world not in DRAWN:
        raise ValueError(f"--model {model.spec.name} draws none of the worlds {', '.join(DRAWN)}")
    seeds = DRAWN[model.spec.world].HELD_OUT_SEEDS[:count]
    return from_uint8(drawings(model.spec.world, seeds, model.height))


def _figures(over_time: pd.DataFrame, decoded: pd.DataFrame) -> dict[str, str]:
    from ..report.charts import chart

    finite = over_time[np.isfinite(over_time["log10 snr"])]
    curves = finite.assign(value=finite["log10 snr"], low=math.nan, high=math.nan)
    return {
        "snr": chart(curves, "log10 snr", True, axis="t", others=["schedule"]),
        "decoded": chart(decoded, "decoded, dB", True, axis="t", others=["schedule"]),
    }


def _strip(model: LatentDiffusion, clean: Tensor, known: dict[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """One drawing's latent, noised by each schedule and decoded."""
    from ldm_core.images import to_pil

    from ..report.strips import strips

    rows = {
        name: [
            to_pil(model.decode(noised(clean, float(signal[round(t * STEPS)]), float(spread[round(t * STEPS)])))[0])
            for t in SHOWN
        ]
        for name, (signal, spread) in known.items()
    }
    return strips("a noised latent, decoded", rows, [f"t = {t:g}" for t in SHOWN])


STUDY = Study(
    name="forward",
    claim="The forward process z_t = sqrt(abar) z_0 + sqrt(1 - abar) eps takes a latent smoothly to pure noise",
    source="“What Is Latent Diffusion and How Does It Work?”, “Latent Diffusion Models”, Diffuse, and "
    "“Why Not Diffuse in Pixel Space?”, Diffusion in Latent Space",
    kind=BOTH,
    minutes=2,
    run=run,
    options=(
        Option("model", "scenes", "registry name of a model of a drawn world"),
        Option("count", 6, "held-out drawings"),
    ),
)
