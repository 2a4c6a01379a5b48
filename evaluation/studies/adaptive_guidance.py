"""Does guidance that varies with time, w(t), steady sampling and keep more fine detail than a fixed w?

Pictures from noise, and held-out drawings noised half-way and drawn anew, whose details can be compared with the drawing's
own. Every schedule at every w on the same captions and seeds, by the ordinary runner: the study resumes as a run does.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..generation.axes import parse_scales
from ..metrics.metric import ImageScore
from ..worlds import DRAWN, drawings
from .guidance import AXIS, SCALE, draw_rules, evidence_of
from .paired import interval
from .study import FAILS, HOLDS, IN_PART, MEASURED, Option, Outcome, Study

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from ..metrics.evidence import Evidence
    from ..metrics.metric import Metric

FIXED = "fixed"
SCHEDULES: dict[str, dict[str, object]] = {
    FIXED: {},
    "linear": {"guidance_schedule": "linear"},
    "cosine": {"guidance_schedule": "cosine"},
    "interval 0.2:0.8": {"guidance_interval": (0.2, 0.8)},
    "rescale 0.7": {"guidance_rescale": 0.7},
}
CONTRAST = {"rescale 0.7"}  # which does not vary with time: it is told, and decides nothing
NOISE, DRAWING = "from noise", "from a drawing"
# Against the drawing of the caption. From noise things stand elsewhere, so that only the amount of detail can be compared.
GAP = ImageScore(name="energy_gap", higher_is_better=False, captions=False)
DETAILS = (
    GAP,
    ImageScore(name="high_psnr", higher_is_better=True, captions=False),
    ImageScore(name="high_ssim", higher_is_better=True, captions=False),
)
OF_DRAWINGS = ("scene_accuracy", "start_psnr")


def run(options: argparse.Namespace, work: Path) -> Outcome:
    """Both kinds of pictures; each schedule against fixed w at every w, and each at its best."""
    import pandas as pd

    from ldm_core.registry import find as find_model

    if find_model(options.model).world not in DRAWN:
        raise ValueError(
            f"--model {options.model} draws none of the worlds that have drawings to compare with: {', '.join(DRAWN)}"
        )
    if options.prompts < 6:
        raise ValueError(f"--prompts must be 6 or more, half to choose w and half to compare, got {options.prompts}")
    tables: list[list[pd.DataFrame]] = [[], [], []]
    for kind, evidence, metrics in _drawn(options, work):
        for parts, table in zip(tables, compared(evidence, metrics)):
            parts.append(table.assign(pictures=kind))
    each, best, values = (pd.concat(parts, ignore_index=True) for parts in tables)
    verdict, words = concluded(each, best)
    columns = ["pictures", "metric", AXIS, SCALE, "value", "low", "high", "n"]
    told = {"best": best, "each": each, "conditions": values[columns]}
    return Outcome(verdict, words, told, _figures(values, best), _notes(options))


def _notes(options: argparse.Namespace) -> tuple[str, ...]:
    half = options.prompts // 2
    return (
        (
            "Each schedule averages w over all times; the interval is w inside and 1 outside, and needs fewer network rows. Drawings "
            f"are noised to t = {options.strength:g} and drawn anew with their captions, so that w(t) is above its mean there."
        ),
        (
            f"At the best w: chosen by each metric on {options.prompts - half} captions, compared on {half} others. At each w: all "
            "captions. p and intervals are Holm's over the schedules of a metric (at one w)."
        ),
        (
            "energy_gap: octaves between the energy of a picture's finest Haar details and that of the drawing of its caption. high_psnr "
            "and high_ssim: of those details alone, where the drawing is the one that was begun at. clipped: share of pixels with a "
            "channel at either end of its range."
        ),
        "Guidance acts at sampling here; the network was trained once, with captions dropped, as both ways need it.",
    )


def _drawn(options: argparse.Namespace, work: Path) -> Iterator[tuple[str, Evidence, list[Metric]]]:
    """The evidence of both kinds of pictures, with the details' scores, and the metrics to be told."""
    from ldm_core.registry import find as find_model
    from ldm_core.settings import SamplingSettings

    from ..held_out_prompts import held_out_prompts

    world = find_model(options.model).world
    prompts, file = held_out_prompts(world, options.prompts, work)
    groups = ((SCHEDULES, parse_scales(options.scales)),)
    drawn, labels = draw_rules(options, prompts, file, work / "noise", groups)
    reals = real_drawings(world, options.prompts, drawn.model.height)
    metrics: list[Metric] = [metric for metric in drawn.instruments.computed if metric.of_generated]
    yield NOISE, with_details(evidence_of(drawn, labels), reals), [*metrics, GAP]
    folder = save_drawings(reals, work / "drawings")
    settings = SamplingSettings.of(strength=options.strength)
    more = {"init_images": folder, "settings": settings, "metrics": OF_DRAWINGS}
    drawn, labels = draw_rules(options, prompts, file, work / "drawn-anew", groups, **more)
    metrics = [metric for metric in drawn.instruments.computed if metric.of_generated]
    yield DRAWING, with_details(evidence_of(drawn, labels), reals), [*metrics, *DETAILS]


def real_drawings(world: str, count: int, side: int) -> Tensor:
    """The drawings (count, 3, side, side) in [0, 1] of a world's held-out captions."""
    from ldm_core.images import from_uint8

    return from_uint8(drawings(world, DRAWN[world].HELD_OUT_SEEDS[:count], side))


def save_drawings(pictures: Tensor, folder: Path) -> Path:
    """The folder of them, a PNG each, in the captions' order; what is there from before is left."""
    from ldm_core.images import to_pil

    folder.mkdir(exist_ok=True)
    for place, drawing in enumerate(pictures):
        if not (path := folder / f"{place:06d}.png").exists():
            to_pil(drawing).save(path)
    return folder


def with_details(evidence: Evidence, reals: Tensor) -> Evidence:
    """Three more columns: each picture's finest details against those of the drawing of its caption."""
    import dataclasses

    import pandas as pd

    from ldm_core.data.photos import open_photo
    from ldm_core.images import from_pil

    from ..metrics import wavelet

    rows = []
    for path, prompt in zip(evidence.images.paths, evidence.images.table["prompt_id"]):
        picture, real = from_pil(open_photo(path))[None], reals[int(prompt)][None]
        measures = {"energy_gap": wavelet.energy_gap, "high_psnr": wavelet.high_psnr, "high_ssim": wavelet.high_ssim}
        rows.append({name: float(measure(picture, real)) for name, measure in measures.items()})
    return dataclasses.replace(evidence, images=evidence.images.with_scores(pd.DataFrame(rows)))


def compared(evidence: Evidence, metrics: Sequence[Metric]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Each schedule minus fixed w at every w; at its best w, chosen on half of the captions, minus fixed w at its own on the
    other half; and all values."""
    import pandas as pd

    from ..metrics import best_values

    found = best_values.by_condition(evidence, metrics)
    each = []
    for w in dict.fromkeys(found[SCALE]):
        same = found.loc[found[SCALE] == w, ["metric", AXIS, SCALE, "value", "condition"]]
        each.append(best_values.best_differences(evidence, metrics, same, AXIS, SCALE, FIXED))
    chosen, judged = (best_values.half_of(evidence, place) for place in (0, 1))
    best = best_values.best_values(best_values.by_condition(chosen, metrics), AXIS, SCALE)
    at_best = best_values.best_differences(judged, metrics, best, AXIS, SCALE, FIXED)
    return pd.concat(each, ignore_index=True), at_best, found


def balance(rows: pd.DataFrame) -> dict[str, int]:
    """By schedule: 1 where it is better than fixed w by some metric and worse by none, -1 the other way round, else 0."""
    found = {}
    for schedule, own in rows.groupby(AXIS, sort=False):
        better = (own["verdict"] == f"{schedule} is better").any()
        worse = (own["verdict"] == f"{FIXED} is better").any()
        found[str(schedule)] = int(better) - int(worse)
    return found


def concluded(each: pd.DataFrame, best: pd.DataFrame) -> tuple[str, str]:
    """A schedule steadies where at the largest w it is better by some metric of pictures from noise and worse by none; it keeps
    detail where that is so of the details of drawings drawn anew, each at its best w. The claim holds where all that vary with
    time do both, in part where any does something."""
    largest = each[SCALE].max()
    at_largest = each[(each["pictures"] == NOISE) & (each[SCALE] == largest)]
    details = best[(best["pictures"] == DRAWING) & best["metric"].isin([metric.name for metric in DETAILS])]
    at_best = best[best["pictures"] == NOISE]
    steady, detailed, better = (
        {name for name, sign in balance(rows).items() if sign > 0} for rows in (at_largest, details, at_best)
    )
    words = (
        f"Better than fixed w by some metric and worse by none: at w = {largest:g} {_named(steady)} ({_sentences(at_largest)}); each at "
        f"its best w {_named(better)} ({_sentences(at_best)}); by the fine details of drawings drawn anew {_named(detailed)} "
        f"({_sentences(details)})."
    )
    judged = set(each[AXIS]) - CONTRAST
    both, any_of = judged & steady & detailed, judged & (steady | detailed | better)
    return HOLDS if both == judged else IN_PART if any_of else FAILS, words


def _named(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _sentences(rows: pd.DataFrame) -> str:
    """What is not tied, by metric."""
    told = rows[rows["verdict"].str.endswith("is better")]
    parts = [
        f"{metric} of fixed w {own.iloc[0][f'value of {FIXED}']:.3g}: "
        + ", ".join(f"{row[AXIS]} {interval(row, 3)}" for _, row in own.iterrows())
        for metric, own in told.groupby("metric", sort=False)
    ]
    return "; ".join(parts) or "all tied"


def _figures(values: pd.DataFrame, best: pd.DataFrame) -> Mapping[str, str]:
    from ..report.charts import chart, difference_chart

    figures: dict[str, Any] = {}
    for (kind, metric), rows in values.groupby(["pictures", "metric"], sort=False):
        higher, place = bool(rows["higher_is_better"].iloc[0]), "noise" if kind == NOISE else "drawing"
        figures[f"{place}_{metric}"] = chart(rows, f"{metric}, {kind}", higher, None, SCALE, [AXIS])
        apart = best[(best["pictures"] == kind) & (best["metric"] == metric)]
        if kind == DRAWING and len(apart.dropna(subset=["difference"])):
            figures[f"{place}_{metric}_best"] = difference_chart(apart, metric, higher, AXIS, FIXED)
    return figures


STUDY = Study(
    name="adaptive-guidance",
    claim="Guidance schedules w(t) that vary with time stabilise sampling and restore more of the high-frequency detail than a fixed w",
    source="“Latent Diffusion Models”, What's still open, and Build it (applied researcher)",
    kind=MEASURED,
    minutes=12,
    run=run,
    options=(
        Option("prompts", 120, "captions of held-out drawings, half to choose w and half to compare"),
        Option("scales", "2,4,8", "w, as --guidance-scales of the runner takes them"),
        Option("strength", 0.5, "how far drawings are noised"),
        Option("model", "scenes", "registry name of a model of the drawn world"),
        Option("device", "", "cuda, mps or cpu; the best there is where it is empty"),
    ),
)
