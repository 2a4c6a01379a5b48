"""Can a latent adapt its compression to what a place shows, at no more computation, and lose nothing to a fixed one?

One autoencoder, trained with tails of its channels dropped at random, keeps as many channels at each place as water-filling
on its own error estimate allots; the map of how many counts as bits. Against the same network with one number everywhere,
and against one trained for that number alone for as long.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .paired import differences, interval, summarise
from .study import FAILS, HOLDS, IN_PART, MEASURED, Option, Outcome, Study

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

    from .networks.ordered import ErrorEstimate, Ordered

FIXED, ESTIMATED, MEASURED_ERRORS = "same number everywhere", "by estimate", "by measured errors"
ALONE = "trained for it alone"
BUDGETS, JUDGED = (4, 6, 8), 6  # values a place; the one that the specialist is trained for
SQUARE = 176  # pixels of training photographs
FITTED = 40  # of them, that the error estimate is fitted to
EQUAL = 1.05  # times the seconds that still are equal


def run(options: argparse.Namespace, work: Path) -> Outcome:
    """Train both networks for as long, then every way at every budget on photographs that neither has seen."""
    import pandas as pd

    from .networks.ordered import estimate_of, train

    known, asked = photographs(options)
    networks = {}
    for name, fixed in (("any", None), ("alone", JUDGED)):
        folder = work / f"{name}-{options.minutes:g}-{len(known)}"
        networks[name] = train(known, options.minutes, fixed, folder)
    estimate = estimate_of(networks["any"], known[:FITTED])
    rows = []
    for name, image in asked:
        rows += [{"image": name} | row for row in measured(image, networks["any"], networks["alone"], estimate)]
    table = pd.DataFrame(rows)
    apart = judged(table)
    summary = summarise(table, ["budget", "way"], ["psnr", "values", "seconds"])
    verdict, words = concluded(apart, summary)
    tables = {"differences": apart, "summary": summary, "images": table}
    return Outcome(verdict, words, tables, _figures(apart, summary), _notes(options, len(asked)))


def _notes(options: argparse.Namespace, count: int) -> tuple[str, ...]:
    return (
        (
            f"Both networks began with photo-f8 (12 channels at f = 8) and were trained for {options.minutes:g} processor minutes each. "
            f"{count} photographs, differences paired over them, Holm's over the ways at a budget; seconds are of one thread's processor."
        ),
        (
            "values are a place's (64 pixels'), at 8 bits each, with the bits of the map of levels at their entropy; fixed numbers need no "
            "map. By estimate: squared error taken for linear in the energy that is dropped, fitted on training photographs; by measured "
            "errors: the encoder decodes every level first, six times a decoder's work, as a bound on what an estimate could reach."
        ),
        (
            "The decoder computes as much whatever is kept: what adapts is the size, not the work. Whether a denoiser could draw such "
            "latents was not looked at."
        ),
    )


def photographs(options: argparse.Namespace) -> tuple[np.ndarray, list[tuple[str, Tensor]]]:
    """Training squares, uint8 (N, S, S, 3), and named images (1, 3, H, W) in [0, 1] to measure on: the middles of those of
    --test, else squares spread over --data that are not trained on."""
    import numpy as np

    from ldm_core.data.photos import open_photo, photo_files, squares
    from ldm_core.images import from_pil, from_uint8

    if not options.data:
        raise ValueError("--data must name a folder of photographs to train on: none ship here")
    held = 0 if options.test else options.count
    found = list(squares(Path(options.data), options.pool + held, SQUARE))
    if len(found) < held + 8:
        raise ValueError(f"--data {options.data} has {len(found)} photographs of {SQUARE} pixels, too few to train on")
    if not options.test:
        apart = [int(place) for place in np.linspace(0, len(found) - 1, held).round()]
        asked = [(f"square {place}", from_uint8(found[place][None])) for place in apart]
        return np.stack([image for place, image in enumerate(found) if place not in set(apart)]), asked
    files = photo_files(Path(options.test))[: options.count]
    return np.stack(found), [(path.name, middle(from_pil(open_photo(path)), options.side)[None]) for path in files]


def middle(image: Tensor, side: int, multiple: int = 8) -> Tensor:
    """The middle of an image (3, H, W), at most side x side, its sides multiples of a number."""
    height, width = (min(side, length) // multiple * multiple for length in image.shape[1:])
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    return image[:, top : top + height, left : left + width]


def measured(image: Tensor, module: Ordered, alone: Ordered, estimate: ErrorEstimate) -> list[dict[str, object]]:
    """A row for each budget and way, of an image (1, 3, H, W) in [0, 1]: PSNR, values a place, seconds both ways."""
    import torch

    from .networks import ordered

    rows: list[dict[str, object]] = []
    for budget in BUDGETS:
        ways = {FIXED: module, ESTIMATED: module, MEASURED_ERRORS: module} | (
            {ALONE: alone} if budget == JUDGED else {}
        )
        for way, network in ways.items():
            began = time.process_time()
            with torch.inference_mode():
                components = network.encode(image * 2 - 1)
            counts, values = torch.full(components.shape[2:], budget), float(budget)
            if way in (ESTIMATED, MEASURED_ERRORS):
                known = way == MEASURED_ERRORS
                errors = ordered.measured_errors(network, image, components) if known else estimate.errors(components)
                places = ordered.water_filled(errors, budget)
                counts, values = torch.tensor(ordered.LEVELS)[places], ordered.cost_of(places)
            rebuilt = ordered.decoded(network, components, counts)
            spent = time.process_time() - began
            rows.append(
                {"budget": budget, "way": way, "psnr": _psnr(image, rebuilt), "values": values, "seconds": spent}
            )
    return rows


def _psnr(image: Tensor, rebuilt: Tensor) -> float:
    from ldm_core.images import rounded

    from ..metrics.reconstruction import psnr

    return float(psnr(image, rounded(rebuilt)))


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """Adaptive minus fixed at every budget, and minus the network that was trained for it alone."""
    import pandas as pd

    found = []
    for budget, rows in table.groupby("budget", sort=False):
        baselines = [FIXED] + [ALONE] * (budget == JUDGED)
        for plain in baselines:
            apart = differences(rows, (ESTIMATED, MEASURED_ERRORS), plain, {"psnr": True})
            found.append(apart.assign(budget=budget, baseline=plain))
    return pd.concat(found, ignore_index=True)


def concluded(apart: pd.DataFrame, summary: pd.DataFrame) -> tuple[str, str]:
    """The falsifier: PSNR by the estimate below the fixed baseline, which is the network trained for that number alone."""
    own = apart[apart["way"] == ESTIMATED].set_index(["budget", "baseline"])
    values = summary.set_index(["budget", "way", "measure"])["value"]
    against_alone = own.loc[(JUDGED, ALONE)]
    everywhere = all(own.loc[(budget, FIXED), "verdict"] == f"{ESTIMATED} is better" for budget in BUDGETS)
    slower = values[JUDGED, ESTIMATED, "seconds"] / values[JUDGED, FIXED, "seconds"]
    bound = apart[apart["way"] == MEASURED_ERRORS].set_index(["budget", "baseline"])
    parts = [f"{budget}: {interval(own.loc[(budget, FIXED)])} dB" for budget in BUDGETS]
    words = (
        f"At {JUDGED} values a place the adaptive latent has {values[JUDGED, ESTIMATED, 'psnr']:.2f} dB, the network trained for {JUDGED} "
        f"alone {values[JUDGED, ALONE, 'psnr']:.2f} ({interval(against_alone)} dB), the same network with {JUDGED} everywhere "
        f"{values[JUDGED, FIXED, 'psnr']:.2f}. Adaptive minus the same number everywhere, by budget: {', '.join(parts)}. With the errors "
        f"known: {interval(bound.loc[(JUDGED, FIXED)])} dB at {JUDGED}, {interval(bound.loc[(JUDGED, ALONE)])} against the one trained "
        f"alone. Encoding and decoding take {slower:.2f} times as long."
    )
    if against_alone["verdict"] == f"{ALONE} is better":
        return FAILS, f"Falsified: PSNR falls below the fixed baseline. {words}"
    whole = everywhere and slower <= EQUAL and against_alone["verdict"] == f"{ESTIMATED} is better"
    return HOLDS if whole else IN_PART, words


def _figures(apart: pd.DataFrame, summary: pd.DataFrame) -> dict[str, str]:
    from ..report.charts import chart, difference_chart

    psnr = summary[summary["measure"] == "psnr"]
    rows = apart[apart["baseline"] == FIXED]
    named = rows.assign(way=[f"{row['budget']} {row['way'].removeprefix('by ')}" for _, row in rows.iterrows()])
    return {
        "psnr": chart(psnr, "PSNR, dB, by values a place", True, axis="budget", others=["way"]),
        "differences": difference_chart(named, "PSNR, dB", True, "way", FIXED),
    }


STUDY = Study(
    name="adaptive-compression",
    claim="A latent space can adapt its compression to local complexity without more computation; falsified where PSNR falls below the "
    "fixed-resolution baseline",
    source="“Latent Diffusion Models”, What's still open, and Build it (frontier researcher)",
    kind=MEASURED,
    minutes=14,
    run=run,
    options=(
        Option("data", "", "a folder of photographs to train on, such as Caltech-101"),
        Option(
            "test",
            "",
            "a folder of photographs to measure on, such as Kodak's 24; some of --data, then not trained on, if empty",
        ),
        Option("minutes", 4.0, "of processor time that each of the two networks is trained for"),
        Option("pool", 1500, "photographs trained on"),
        Option("count", 24, "photographs measured on"),
        Option("side", 384, "pixels of the middle of each that is measured"),
    ),
    needs="data",
)
