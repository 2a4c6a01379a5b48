"""Which factor of compression is the best balance: f = 4 to 16, as the field's first paper found?

An autoencoder for each f, all trained for one time, then a denoiser on each one's latents, all for another; what is drawn is
compared with real drawings. Everything at 64 pixels, where processor minutes are enough to draw something.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .equal_time import apart, budgets_of, distance_row
from .paired import interval
from .study import FAILS, HOLDS, IN_PART, MEASURED, Option, Outcome, Study

if TYPE_CHECKING:
    import pandas as pd

    from ldm_core.autoencoder import Autoencoder

    from ..statistics import Jackknifed
    from .networks.unconditional import Space, World

SIDE = 64  # pixels
SAID = (4, 8, 16)
# By f: channels of the autoencoder's levels, and of its latent, which are those of Rombach et al. 2022, table 8.
CODERS: dict[int, tuple[tuple[int, ...], int]] = {
    2: ((24, 48), 2),
    4: ((24, 48, 96), 3),
    8: ((24, 48, 96, 128), 4),
    16: ((24, 48, 96, 128, 128), 8),
    32: ((24, 48, 96, 128, 128, 128), 32),
}


def run(options: argparse.Namespace, work: Path) -> Outcome:
    """Every autoencoder, then every denoiser at every budget."""
    import pandas as pd

    from .networks.unconditional import drawn_world, latent_space

    budgets = budgets_of(options.minutes)
    world = drawn_world(SIDE, options.pool, options.count, options.reference)
    coders, drawn = [], []
    last: dict[object, Jackknifed] = {}  # at the longest budget
    for f in CODERS:
        autoencoder, spent = trained_coder(
            f, world, options, work / f"coder-{f}-{options.coder_minutes:g}-{options.pool}"
        )
        coders.append(coder_row(f, autoencoder, world) | {"training seconds": spent})
        space = latent_space(autoencoder, world.training)
        for minutes in budgets:
            row, last[f] = draw_row(f, space, world, minutes, options, work)
            drawn.append(row)
    table = pd.DataFrame(drawn)
    best = min(last, key=lambda f: last[f].value)
    differences = apart(last, best, world.name, "f")
    verdict, words = concluded(table, differences, pd.DataFrame(coders))
    tables = {"drawn": table, "differences": differences, "autoencoders": pd.DataFrame(coders)}
    return Outcome(verdict, words, tables, _figures(table, pd.DataFrame(coders), world), _notes(options, world))


def _notes(options: argparse.Namespace, world: World) -> tuple[str, ...]:
    real = world.distance(_images(world)).estimate().value
    return (
        (
            f"Pictures are {SIDE} pixels wide, so that f = 32 leaves 2 x 2 places; at 256 pixels it leaves 8 x 8. Channels of latents are "
            "those of the field's first paper (2, 3, 4, 8, 32), where f = 16 and 32 keep as many values each."
        ),
        (
            f"Minutes are of one thread's processor: {options.coder_minutes:g} for each autoencoder, trained for squared and absolute "
            "error; the denoisers are without captions, the same from 8 x 8 places inwards."
        ),
        (
            f"{world.name} of {options.count} pictures, with jackknife intervals; as many real drawings come to {real:.3g}. It is of our "
            "own detector of 64 features, and not Inception's. Differences are Holm's, from the best f, which was chosen on the same "
            "pictures."
        ),
    )


def _images(world: World) -> Any:
    from ldm_core.images import from_uint8

    return from_uint8(world.held_out)


def trained_coder(f: int, world: World, options: argparse.Namespace, folder: Path) -> tuple[Autoencoder, float]:
    """An autoencoder trained for its minutes, taken up where its folder stands; and the seconds that were."""
    import torch

    from ldm_core.autoencoder import Autoencoder
    from ldm_core.training.config import AutoencoderConfig
    from ldm_core.training.train_autoencoder import batch_of, begin, loss_on

    from .networks.fitting import fit
    from .networks.unconditional import STEPS

    channels, latent = CODERS[f]
    config = AutoencoderConfig(
        image_size=SIDE, channels=channels, latent_channels=latent, posterior_std=0.05, pool=options.pool, crop_size=SIDE,
        crop_steps=STEPS, crop_batch=16, whole_steps=0, learning_rate=2e-3, optimizer="muon", ema_decay=0.99,
    )  # fmt: skip
    torch.manual_seed(0)
    module = begin(config, None).to(memory_format=torch.channels_last)

    def loss_of(step: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(step)
        return loss_on(module, batch_of(world.training, config, step), config, generator)

    trainer = fit(module, config, folder, loss_of, options.coder_minutes)
    return Autoencoder(module), trainer.seconds


def coder_row(f: int, autoencoder: Autoencoder, world: World) -> dict[str, float | int | None]:
    """What an autoencoder keeps of held-out drawings."""
    from ldm_core.images import rounded

    from ..metrics.reconstruction import psnr
    from ..statistics import mean

    images = _images(world)
    began = time.process_time()
    rebuilt = rounded(autoencoder.reconstruct(images))
    seconds = (time.process_time() - began) / len(images)
    kept = mean(psnr(images, rebuilt))
    saved = 3 * f * f / CODERS[f][1]
    distance = distance_row(world.distance(rebuilt))
    found = {"f": f, "values saved": saved, "psnr": kept.value, "psnr low": kept.low, "psnr high": kept.high}
    return found | {"rfd": distance["value"], "n": distance["n"], "ms both ways": 1000 * seconds}


def draw_row(
    f: int, space: Space, world: World, minutes: float, options: argparse.Namespace, work: Path
) -> tuple[dict[str, float | int | None], Jackknifed]:
    """What a denoiser of the latents draws after so many minutes."""
    from .networks.unconditional import train

    folder = work / f"denoiser-{f}-{options.coder_minutes:g}-{minutes:g}-{options.pool}"
    denoiser = train(space, minutes, f"latents at f = {f}, {options.coder_minutes:g} minutes old", folder)
    images, seconds = denoiser.draw(options.count)
    found = world.distance(images)
    about = {"f": f, "minutes": minutes, "places": space.shape[1] ** 2, "steps": denoiser.steps}
    return about | distance_row(found) | {"ms a picture": 1000 * seconds}, found


def concluded(drawn: pd.DataFrame, differences: pd.DataFrame, coders: pd.DataFrame) -> tuple[str, str]:
    """The best f at the longest budget is among those said, and every other one that was tried is worse than it."""
    longest = drawn[drawn["minutes"] == drawn["minutes"].max()].set_index("f")
    best = longest["value"].idxmin()
    told = differences.set_index("f")
    worse = {f for f in told.index if told.loc[f, "verdict"] == f"{best} is better"}
    outside = [f for f in longest.index if f not in SAID]
    kept = coders.set_index("f")["psnr"]
    rows = "; ".join(
        f"f = {f} {row['value']:.3g} [{row['low']:.3g}, {row['high']:.3g}] after {row['steps']:.0f} steps, autoencoder {kept[f]:.1f} dB, "
        f"{row['ms a picture']:.0f} ms a picture"
        for f, row in longest.iterrows()
    )
    distances = "; ".join(f"f = {f} {interval(told.loc[f])}" for f in told.index)
    words = (
        f"After {longest['minutes'].iloc[0]:g} minutes each the nearest to real drawings is f = {best}. Distances: {rows}. Minus that "
        f"of f = {best}: {distances}."
    )
    if best not in SAID:
        return FAILS, words
    return HOLDS if all(f in worse for f in outside) else IN_PART, words


def _figures(drawn: pd.DataFrame, coders: pd.DataFrame, world: World) -> dict[str, str]:
    from ..report.charts import chart

    psnr = coders.rename(columns={"psnr": "value", "psnr low": "low", "psnr high": "high"})
    return {
        "drawn": chart(drawn, f"{world.name} after minutes", False, axis="f", others=["minutes"]),
        "psnr": chart(psnr, "PSNR of reconstructions, dB", True, axis="f"),
    }


STUDY = Study(
    name="compression",
    claim="Compressing by f = 4 to 16 strikes the best balance between speed and image quality",
    source="“What Is Latent Diffusion and How Does It Work?”, the compression factor; Rombach et al. 2022, section 4.1",
    kind=MEASURED,
    minutes=20,
    run=run,
    options=(
        Option("minutes", "0.5,1.5", "of processor time for the denoisers, a budget each"),
        Option("coder-minutes", 1.0, "of processor time for each autoencoder"),
        Option("pool", 2000, "drawings trained on"),
        Option("count", 200, "pictures drawn by each"),
        Option("reference", 1500, "real drawings compared with"),
    ),
)
