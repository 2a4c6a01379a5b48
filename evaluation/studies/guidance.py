"""Do the guidance rules of recent papers better plain classifier-free guidance, at equal network rows and on equal seeds?

The ordinary runner draws every rule at every w, so that the study resumes as a run does; metrics/best_values.py compares
each rule at its best w with plain guidance at its own.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalogue import METRICS
from ..config import RunConfig
from ..generation.axes import Axis, Value, parse_scales
from ..worlds import DRAWN, drawings
from .study import FAILS, HOLDS, IN_PART, MEASURED, Option, Outcome, Study

if TYPE_CHECKING:
    import pandas as pd

    from ..metrics.evidence import Evidence
    from ..metrics.metric import Metric
    from ..prompts import Prompt
    from ..runner import Run

PLAIN, AXIS, SCALE = "cfg", "rule", "guidance_scale"
# APG's bound of 15 is for SDXL's 65,536 latent values; a quarter of it is the same length a value for 4,096.
RULES: dict[str, dict[str, object]] = {
    PLAIN: {},
    "w(t) linear": {"guidance_schedule": "linear"},
    "w(t) cosine": {"guidance_schedule": "cosine"},
    "interval 0.2:0.8": {"guidance_interval": (0.2, 0.8)},
    "rescale 0.7": {"guidance_rescale": 0.7},
    "apg": {"guidance_rule": "apg"},
    "apg norm 3.75": {"guidance_rule": "apg:norm=3.75"},
    "cfg-zero": {"guidance_rule": "cfg-zero"},
    "fdg": {"guidance_rule": "fdg"},
    "tcfg": {"guidance_rule": "tcfg"},
    "mambo-g": {"guidance_rule": "mambo-g"},
}
BOUNDED: dict[str, dict[str, object]] = {"cfg++": {"guidance_rule": "cfg++"}}  # w from 0 to 1 alone
BOUNDED_SCALES = (0.2, 0.4, 0.6, 0.8, 1.0)
# By the world that a model draws; those that are not in the catalogue are passed over. The first two decide the verdict.
MEASURES = {
    **dict.fromkeys(DRAWN, ("scene_accuracy", "fd_scenes", "scene_extra", "clip_scenes", "coverage_scenes", "clipped")),
    "fashion": ("fashion_accuracy", "fd_fashion", "coverage_fashion", "clipped"),
}
DECIDING = 2


def run(options: argparse.Namespace, work: Path) -> Outcome:
    """Draw, score, compare."""
    from ldm_core.settings import SamplingSettings

    from ..metrics import best_values

    prompts, file = prompts_of(options, work)
    groups = ((RULES, parse_scales(options.scales)), (BOUNDED, BOUNDED_SCALES))
    by_one = SamplingSettings.of(scheduler="ddim")  # the step that the papers' formulas are of, and cfg++ is exact with
    drawn, labels = draw_rules(options, prompts, file, work / "run", groups, settings=by_one)
    evidence = evidence_of(drawn, labels)
    chosen, judged = (best_values.half_of(evidence, place) for place in (0, 1))
    metrics = [metric for metric in drawn.instruments.computed if metric.of_generated]
    found = _in_order(best_values.by_condition(evidence, metrics))
    best = best_values.best_values(_in_order(best_values.by_condition(chosen, metrics)), AXIS, SCALE)
    compared = best_values.best_differences(judged, metrics, best, AXIS, SCALE, PLAIN)
    verdict, words = concluded(compared, [metric.name for metric in metrics[:DECIDING]])
    halves = [part.images.table["prompt_id"].nunique() for part in (chosen, judged)]
    notes = [
        f"w of each rule was chosen on {halves[0]} captions, by each metric apart, and compared on {halves[1]} others.",
        "p is Holm's over the rules of a metric, and the intervals are of the same step.",
        "cfg++ takes w from 0 to 1, another scale than the others'. An interval needs fewer network rows (column rows).",
        *([] if options.captions else [_of_real(drawn, len(prompts))]),
    ]
    tables = {"compared": compared, "conditions": _summary(found, drawn), "knees": _knees(found)}
    return Outcome(verdict, words, tables, _figures(found, compared, metrics), tuple(notes))


def prompts_of(options: argparse.Namespace, work: Path) -> tuple[list[Prompt], Path]:
    """The captions, and the file of them: those of held-out scenes, or of a file that was given."""
    from ldm_core.registry import find as find_model

    from ..held_out_prompts import held_out_prompts
    from ..prompts import load_prompts, prompt_file

    world = find_model(options.model).world
    if world not in MEASURES:
        raise ValueError(
            f"--model {options.model} draws none of the worlds that can be measured ({', '.join(MEASURES)})"
        )
    if options.captions:
        file = prompt_file(options.captions)
        return load_prompts(file, options.prompts), file
    if world not in DRAWN:
        raise ValueError(f"--model {options.model} has no held-out captions of its own: give --captions FILE")
    return held_out_prompts(world, options.prompts, work)


def draw_rules(
    options: argparse.Namespace,
    prompts: list[Prompt],
    file: Path,
    out: Path,
    groups: Sequence[tuple[Mapping[str, Mapping[str, object]], Sequence[float]]],
    **more: Any,
) -> tuple[Run, list[str]]:
    """The run of all conditions, carried out: each group's rules (names with their settings) at its scales, in one folder; and
    the conditions' labels. `more` are fields of RunConfig."""
    from ldm_core.registry import find as find_model

    from ..runner import Run

    names = MEASURES[find_model(options.model).world]
    known = tuple(name for name in names if name in METRICS)
    more = {"model": options.model, "device": options.device or None, "metrics": known, "out": out} | more
    base, labels = RunConfig(file, **more), list[str]()
    for rules, scales in groups:
        axis = Axis(AXIS, tuple(Value(name, tuple(settings.items())) for name, settings in rules.items()))
        made = Run(dataclasses.replace(base, guidance_scales=tuple(scales), sweep=(axis,)), prompts)
        made.carry_out()
        labels += [condition.label for condition in made.plan.asked]
    return made, labels


def evidence_of(drawn: Run, labels: Sequence[str]) -> Evidence:
    """What the detectors extracted of the run's images under these conditions, for the folder may hold others: from its
    folder, where it is kept."""
    from ..metrics.best_values import part_of
    from ..metrics.scoring import gather_evidence

    tools = drawn.instruments
    found = gather_evidence(
        drawn.images, tools.computed, tools.detectors, tools.references, drawn.out / "features", tools.autoencoder
    )
    assert found is not None, "one process"
    return part_of(found, found.images.table["condition"].isin(labels).to_numpy())


def concluded(compared: pd.DataFrame, deciding: Sequence[str]) -> tuple[str, str]:
    """Whether any rule betters plain guidance by a metric that decides (and is worse by none), and in words by all."""
    if not len(compared):
        return FAILS, "nothing could be compared"
    better = compared["verdict"] == compared[AXIS] + " is better"
    worse = compared["verdict"] == f"{PLAIN} is better"
    decides = compared["metric"].isin(deciding)
    winners = set(compared[better & decides][AXIS])
    spotless = winners - set(compared[worse & decides][AXIS])
    named = ", ".join(sorted(spotless)) or "none"
    sentences = [f"Better than {PLAIN} by {' or '.join(deciding)}, and worse by neither: {named}."]
    for metric, rows in compared.groupby("metric", sort=False):
        parts = [
            f"{word} {', '.join(_in_words(row) for _, row in rows[mask[rows.index]].iterrows())}"
            for word, mask in (("better", better), ("worse", worse))
            if mask[rows.index].any()
        ]
        first = rows.iloc[0]
        tied = f"{int((~(better | worse))[rows.index].sum())} of {len(rows)} tied"
        base = f"{PLAIN} {first[f'value of {PLAIN}']:.4g} at w = {first[f'{SCALE} of {PLAIN}']:g}"
        sentences.append(f"{metric} ({base}): {'; '.join([*parts, tied])}.")
    return HOLDS if spotless else IN_PART if winners else FAILS, " ".join(sentences)


def _in_words(row: pd.Series) -> str:
    return f"{row[AXIS]} at w = {row[SCALE]:g} ({row['difference']:+.3g}, {row['low']:.3g} to {row['high']:.3g})"


def _summary(found: pd.DataFrame, drawn: Run) -> pd.DataFrame:
    """A row for each metric and condition, with the network rows of a picture."""
    rows = {condition.label: count for condition, count in drawn.plan.network_rows.items()}
    columns = ["metric", AXIS, SCALE, "value", "se", "low", "high", "n", "rows"]
    return found.assign(rows=found["condition"].map(rows))[columns]


def _knees(found: pd.DataFrame) -> pd.DataFrame:
    """Of each rule by itself: the w that no other w betters in both distance and fit, and the knee among them."""
    import pandas as pd

    from ..report.pareto import find_front

    rows = []
    for rule, own in found.groupby(AXIS, sort=False):
        front = find_front(own)
        if front is None:
            continue
        scales = own.drop_duplicates("condition").set_index("condition")[SCALE]
        row: dict[str, Any] = {AXIS: rule, "front": " ".join(f"{scales[name]:g}" for name in front.best)}
        if front.knee is not None:
            point = front.points.loc[front.knee]
            row |= {"knee": scales[front.knee], front.distance: point["value_distance"], front.fit: point["value_fit"]}
        rows.append(row)
    return pd.DataFrame(rows)


def _in_order(found: pd.DataFrame) -> pd.DataFrame:
    """Rows by the rules' order here, then w."""
    order = {name: place for place, name in enumerate([*RULES, *BOUNDED])}
    sorts = found.assign(order=found[AXIS].map(order)).sort_values(["order", SCALE], kind="stable")
    return sorts.drop(columns="order").reset_index(drop=True)


def _figures(found: pd.DataFrame, compared: pd.DataFrame, metrics: Sequence[Metric]) -> Mapping[str, str]:
    """The front of all conditions with its knee; by each metric the differences from plain guidance, and the curves over w,
    but for CFG++, whose w is another."""
    from ..report.charts import chart, difference_chart, front_chart
    from ..report.pareto import find_front

    short = found[AXIS] + " " + found[SCALE].map("{:g}".format)
    front = find_front(found.assign(condition=short))
    figures = {"front": front_chart(front)} if front is not None else {}
    for metric in metrics:
        apart = compared[compared["metric"] == metric.name] if len(compared) else compared
        if len(apart):
            name = f"{metric.name}_differences"
            figures[name] = difference_chart(apart, metric.name, metric.higher_is_better, AXIS, PLAIN)
        rows = found[(found["metric"] == metric.name) & ~found[AXIS].isin(list(BOUNDED))]
        figures[metric.name] = chart(rows, metric.name, metric.higher_is_better, None, SCALE, [AXIS])
    return figures


def _of_real(drawn: Run, count: int) -> str:
    """How much of real drawings is clipped: those of the same captions."""
    from ldm_core.images import from_uint8

    from ..detectors.pixels import clipped

    world, side = drawn.model.spec.world, drawn.model.height
    seeds = DRAWN[world].HELD_OUT_SEEDS[:count]
    shares = [float(clipped(from_uint8(drawings(world, [seed], side)))) for seed in seeds]
    return f"Of real drawings of the same captions {sum(shares) / count:.4f} of the pixels are clipped."


STUDY = Study(
    name="guidance",
    claim="A guidance rule of recent papers betters plain classifier-free guidance, each at its best scale",
    source="Wang 2404.13040, Kynkäänniemi 2404.07724, Lin 2305.08891, Sadat 2410.02416 and 2506.19713, Fan 2503.18886, "
    "Kwon 2503.18137, MAMBO-G 2508.03442, Chung 2406.08070",
    kind=MEASURED,
    minutes=90,
    run=run,
    options=(
        Option("prompts", 300, "captions, half to choose w and half to compare"),
        Option("scales", "1.5,2,3,4,6,8", "w of the rules, as --guidance-scales of the runner takes them"),
        Option("model", "scenes", "registry name"),
        Option("captions", "", "a prompt file in place of captions of held-out scenes"),
        Option("device", "", "cuda, mps or cpu; the best there is where it is empty"),
    ),
)
