"""Does a refiner behind the decoder, trained on wavelet bands, restore the fine detail that latents soften?

A small network corrects the detail bands of a reconstruction, the coarse ones first. It is trained twice: for the squared
error of the bands, and for their energy besides. The contrast is one fixed gain for each octave, which costs nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .paired import differences, interval, summarise
from .study import FAILS, HOLDS, IN_PART, MEASURED, Option, Outcome, Study

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

    from .networks.refiner import Pictures

PLAIN, GAIN, SQUARED, ENERGY = "decoder alone", "fixed gain", "refined by error", "refined by energy"
WAYS = (GAIN, SQUARED, ENERGY)
MEASURES = {"psnr": True, "high_psnr": True, "ssim": True, "energy_gap": False}
SIDE = 128  # pixels of pictures
ENOUGH = 0.5  # of the decoder's energy gap, which may be left where detail counts as restored


def run(options: argparse.Namespace, work: Path) -> Outcome:
    """Train both refiners, then every way on pictures that none was fitted to."""
    import pandas as pd

    from .networks.refiner import ENERGY_WEIGHT, gains_of, trained_refiner

    known = pictures(options, work)
    trained, asked = known.part(slice(options.test, None)), known.part(slice(options.test))
    if len(trained.originals) < 1 or len(asked.originals) < 3:
        raise ValueError(
            f"{len(known.originals)} pictures are too few for --test {options.test} and --train {options.train}"
        )
    ways: dict[str, Callable[[Tensor], Tensor]] = {PLAIN: lambda images: images, GAIN: gains_of(trained)}
    for name, weight in ((SQUARED, 0.0), (ENERGY, ENERGY_WEIGHT)):
        about = f"{options.autoencoder} on {options.data or 'drawings'}, {len(trained.originals)} pictures"
        folder = work / f"{name.replace(' ', '-')}-{options.steps}"
        ways[name] = trained_refiner(trained, weight, options.steps, about, folder)
    table, seconds = measured(asked, ways)
    summary, apart = summarise(table, ["way"], MEASURES), differences(table, WAYS, PLAIN, MEASURES)
    cost = pd.DataFrame(
        [{"way": name, "ms": 1000 * spent, "of decoding": spent / known.seconds} for name, spent in seconds.items()]
    )
    verdict, words = concluded(apart, summary, cost)
    tables = {"differences": apart, "summary": summary, "cost": cost, "images": table}
    return Outcome(verdict, words, tables, _figures(apart, asked, ways), _notes(options))


def _notes(options: argparse.Namespace) -> tuple[str, ...]:
    of = f"photographs of {Path(options.data).name}" if options.data else "held-out drawings"
    return (
        (
            f"Autoencoder {options.autoencoder}; {options.test} {of} of {SIDE} pixels, intervals of 95 % over them, paired, Holm's over "
            "the ways within a measure."
        ),
        (
            "high_psnr is PSNR of the finest Haar details alone; energy_gap the octaves between their energy and the original's, 0 where "
            "all of it is there; energy their ratio. The Haar transform is orthonormal: squared errors of bands and of pixels are one."
        ),
        (
            "A network trained for squared error cannot give back what the latent does not tell: it predicts its mean, which has less "
            "energy. Diffusion-4K trains the denoiser on wavelet bands besides; here the decoder's output alone is refined."
        ),
    )


def pictures(options: argparse.Namespace, work: Path) -> Pictures:
    """Of the data: those to be asked of first; kept in the study's folder, for reconstructing takes its time."""
    import numpy as np
    import torch

    from ldm_core.images import from_uint8
    from ldm_core.loading import autoencoder_folder, load_autoencoder, quiet

    from .networks.refiner import Pictures

    quiet()
    images = _photographs(options) if options.data else _drawings(options)
    name = f"{options.autoencoder}-{len(images)}".replace("/", "-")
    originals, file = from_uint8(images), work / f"rebuilt-{name}.npz"
    if file.exists():
        kept = np.load(file)
        if np.array_equal(kept["images"], images):
            return Pictures(originals, torch.from_numpy(kept["rebuilt"]).float(), float(kept["seconds"]))
    autoencoder = load_autoencoder(autoencoder_folder(options.autoencoder))
    latents = autoencoder.encode(originals)
    began = time.process_time()
    rebuilt = autoencoder.decode(latents)
    seconds = (time.process_time() - began) / len(images)
    np.savez(file, images=images, rebuilt=rebuilt.half().numpy(), seconds=seconds)
    return Pictures(originals, rebuilt.half().float(), seconds)


def _drawings(options: argparse.Namespace) -> np.ndarray:
    """Held-out drawings, then training ones."""
    from ..worlds import DRAWN, DRAWN_WORLD, drawings

    world = DRAWN[DRAWN_WORLD]
    seeds = [*world.HELD_OUT_SEEDS[: options.test], *world.TRAINING_SEEDS[: options.train]]
    return drawings(DRAWN_WORLD, seeds, SIDE)


def _photographs(options: argparse.Namespace) -> np.ndarray:
    """Middles of photographs; those asked of are spread evenly over the folder."""
    import numpy as np

    from ldm_core.data.photos import squares

    found = list(squares(Path(options.data), options.train + options.test, SIDE))
    if len(found) < options.test + 1:
        raise ValueError(
            f"--data {options.data} has {len(found)} photographs of {SIDE} pixels; --test {options.test} asks for more"
        )
    asked = {int(place) for place in np.linspace(0, len(found) - 1, options.test).round()}
    first = [image for place, image in enumerate(found) if place in asked]
    return np.stack([*first, *(image for place, image in enumerate(found) if place not in asked)])


def measured(asked: Pictures, ways: Mapping[str, Callable[[Tensor], Tensor]]) -> tuple[pd.DataFrame, dict[str, float]]:
    """A row for each picture and way, 8-bit rounded; and the processor seconds of a picture by each way."""
    import pandas as pd
    import torch

    from ldm_core.images import rounded

    from ..metrics import wavelet
    from ..metrics.reconstruction import psnr, ssim

    rows, spent = [], dict.fromkeys(ways, 0.0)
    for place, (original, rebuilt) in enumerate(zip(asked.originals.split(1), asked.rebuilt.split(1))):
        for way, work in ways.items():
            began = time.process_time()
            with torch.inference_mode():
                refined = work(rebuilt)
            spent[way] += (time.process_time() - began) / len(asked.originals)
            shown = rounded(refined.clamp(0, 1))
            measures = {"psnr": psnr, "high_psnr": wavelet.high_psnr, "ssim": ssim, "energy_gap": wavelet.energy_gap}
            found = {name: float(measure(original, shown)) for name, measure in measures.items()}
            rows.append(
                {"image": place, "way": way}
                | found
                | {"energy": float(wavelet.energy(shown) / wavelet.energy(original))}
            )
    return pd.DataFrame(rows), spent


def concluded(apart: pd.DataFrame, summary: pd.DataFrame, cost: pd.DataFrame) -> tuple[str, str]:
    """Detail is restored where at least half of the energy gap is closed and neither PSNR, of all or of the details, nor SSIM
    falls; in part where the gap closes or the details' PSNR rises at all."""
    told = apart.set_index(["way", "measure"])
    values = summary.set_index(["way", "measure"])["value"]
    restored: set[str] = set()
    better: set[str] = set()
    for way in (SQUARED, ENERGY):
        said = {measure: told.loc[(way, measure), "verdict"] for measure in MEASURES}
        closer, left = said["energy_gap"] == f"{way} is better", values[way, "energy_gap"] / values[PLAIN, "energy_gap"]
        if closer and left <= ENOUGH and f"{PLAIN} is better" not in said.values():
            restored.add(way)
        elif closer or said["high_psnr"] == f"{way} is better":
            better.add(way)
    sentences = [
        f"{way}: energy gap {values[way, 'energy_gap']:.2f} octaves ({interval(told.loc[(way, 'energy_gap')])}), PSNR "
        f"{values[way, 'psnr']:.2f} dB ({interval(told.loc[(way, 'psnr')])}), of the details {values[way, 'high_psnr']:.2f} dB "
        f"({interval(told.loc[(way, 'high_psnr')])}), SSIM {interval(told.loc[(way, 'ssim')], 3)}"
        for way in WAYS
    ]
    share = cost.set_index("way")["of decoding"]
    alone = {measure: values[PLAIN, measure] for measure in MEASURES}
    words = (
        f"The decoder alone is {alone['energy_gap']:.2f} octaves from the originals' energy, at {alone['psnr']:.2f} dB and "
        f"{alone['high_psnr']:.2f} dB of the details. {_judged(restored, better)} {'. '.join(sentences)}. Refining takes "
        f"{share[SQUARED]:.2f} of the decoder's time."
    )
    return HOLDS if restored else IN_PART if better else FAILS, words


def _judged(restored: set[str], better: set[str]) -> str:
    if restored:
        return f"At least half of the gap closes and nothing is lost: {', '.join(sorted(restored))}."
    some = f"; something is gained by: {', '.join(sorted(better))}" if better else ""
    return f"No refiner closes half of the gap without a loss elsewhere{some}."


def _figures(apart: pd.DataFrame, asked: Pictures, ways: Mapping[str, Callable[[Tensor], Tensor]]) -> dict[str, str]:
    import torch

    from ldm_core.images import to_pil

    from ..report.charts import difference_chart
    from ..report.strips import strips

    figures = {
        measure: difference_chart(apart[apart["measure"] == measure], measure, higher, "way", PLAIN)
        for measure, higher in MEASURES.items()
    }
    with torch.inference_mode():
        rows = {"original": [to_pil(image) for image in asked.originals[:6]]}
        for way, work in ways.items():
            rows[way] = [to_pil(image) for image in work(asked.rebuilt[:6]).clamp(0, 1)]
    return figures | {"strip": strips("held-out pictures", rows, [""] * len(rows["original"]), side=96)}


STUDY = Study(
    name="high-frequency",
    claim="Wavelet-based refinement behind the decoder restores the high frequencies that the latent space softens",
    source="“Latent Diffusion Models”, Decode; after Diffusion-4K (Zhang et al. 2025)",
    kind=MEASURED,
    minutes=7,
    run=run,
    options=(
        Option("autoencoder", "scenes", "as evaluation.autoencoders takes it"),
        Option("data", "", "a folder of photographs in place of drawings"),
        Option("train", 500, "pictures that refiners are trained on"),
        Option("test", 100, "others, that they are measured on"),
        Option("steps", 1000, "of each refiner, 16 crops of 64 pixels each"),
    ),
)
