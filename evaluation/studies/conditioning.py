"""Do words attend to the places of what they name, and does an image that says where things go get its way?

The maps and the obedience are measured by evaluation/word_maps.py and evaluation/obedience.py; here they are judged.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .study import FAILS, HOLDS, IN_PART, MEASURED, Option, Outcome, Study

if TYPE_CHECKING:
    import pandas as pd

    from ldm_core.pipeline import LatentDiffusion

CHANCE = {"iou": "iou by chance", "pointing": "pointing by chance"}


def run(options: argparse.Namespace, work: Path) -> Outcome:
    """Word maps at several times; the control's obedience where there is one."""
    import ldm_core
    from ldm_core.registry import control_names
    from ldm_core.training.held_out import WORLDS

    model = ldm_core.load(options.model, dtype="float32", engine="torch")
    if model.spec.world not in WORLDS:
        raise ValueError(f"--model {options.model} draws no world with masks; those of {', '.join(WORLDS)} do")
    known = f"{model.spec.name}-control"
    control = options.control or (known if known in control_names() else "")
    maps = map_table(model, options.count, options.calibration)
    tables, notes = {"maps": maps}, list(NOTES)
    if control:
        tables["control"] = control_table(model.with_control(control), options.count)
    else:
        notes.append(
            "No trained control ships for this model: layout, edges and masks were not measured (--control FOLDER does)."
        )
    verdict, words = concluded(maps, tables.get("control"))
    return Outcome(verdict, words, tables, _figures(maps), tuple(notes))


NOTES = (
    (
        "iou: of a thing's exact mask and what of its noun's map lies above a threshold chosen on training drawings. pointing: how "
        "often the map's maximum lies in the mask. By chance: the same with the mask of a thing of that kind in another drawing."
    ),
    "The ceiling is the iou of the mask itself at the finest map's resolution. Intervals of 95 % are over drawings.",
)


def map_table(model: LatentDiffusion, count: int, calibration: int) -> pd.DataFrame:
    """A row for each time and figure of the words' maps."""
    import pandas as pd

    from ldm_core.training.held_out import WORLDS
    from ldm_core.word_maps import check_watchable

    from .. import word_maps

    check_watchable(model.denoiser)
    world = model.spec.world
    module, _ = WORLDS[world]
    asked, tuning = (
        list(itertools.islice(word_maps.drawings(world, seeds, model.height), number))
        for seeds, number in ((module.HELD_OUT_SEEDS, count), (module.TRAINING_SEEDS, calibration))
    )
    found, tuned = (word_maps.compare(model, each, word_maps.TIMES) for each in (asked, tuning))
    rows = []
    for t in word_maps.TIMES:
        for name, estimate in word_maps.figures(found[t], tuned[t]).items():
            rows.append({"t": t, "figure": name, **estimate.columns()})
    return pd.DataFrame(rows)


def control_table(model: LatentDiffusion, count: int) -> pd.DataFrame:
    """The obedience of a model that has a control, as evaluation.obedience tells it."""
    import pandas as pd

    from ldm_core.training.held_out import WORLDS

    from .. import obedience
    from ..detectors.silhouettes import Drawings, load_silhouette_reader

    seeds = itertools.islice(WORLDS[model.spec.world][0].HELD_OUT_SEEDS, count)
    asked = Drawings.of(model.spec.world, seeds, model.height)
    pictures = obedience.ways(model, asked, (1.0,))
    return pd.DataFrame(obedience.table(pictures, load_silhouette_reader(model.spec.world), asked))


def concluded(maps: pd.DataFrame, control: pd.DataFrame | None) -> tuple[str, str]:
    """Words attend to their places where the interval of iou or pointing lies above chance's; a control obeys where its iou is
    above that of pictures without it."""
    best = {name: _best(maps, name) for name in CHANCE}
    above = {name: row["low"] > row["chance high"] for name, row in best.items()}
    ceiling = maps[maps["figure"] == "iou ceiling"]["value"].max()
    words = [
        f"{name} of the words' maps at their best (t = {row['t']:g}): {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}], by "
        f"chance {row['chance']:.3f} [{row['chance low']:.3f}, {row['chance high']:.3f}]"
        for name, row in best.items()
    ]
    said = f"{'; '.join(words)}; the ceiling of iou is {ceiling:.3f}."
    attends = all(above.values())
    if control is None:
        return HOLDS if attends else IN_PART if any(above.values()) else FAILS, said
    ious = control.set_index("picture")["iou"]
    obeys = _low(ious["drawn with control, scale 1"]) > _high(ious["drawn without control"])
    said += (
        f" Silhouettes: iou {ious['drawn with control, scale 1']} with the control, {ious['drawn without control']} without, "
        f"{ious['the real drawing']} of the real drawings."
    )
    return HOLDS if attends and obeys else IN_PART if obeys or any(above.values()) else FAILS, said


def _best(maps: pd.DataFrame, name: str) -> Mapping[str, Any]:
    """A figure at the time at which it is highest, and what chance comes to there."""
    own = maps[maps["figure"] == name]
    row = own.loc[own["value"].idxmax()]
    chance = maps[(maps["figure"] == CHANCE[name]) & (maps["t"] == row["t"])].iloc[0]
    of_chance = {"chance": chance["value"], "chance low": chance["low"], "chance high": chance["high"]}
    return dict(row) | of_chance


def _low(said: str) -> float:
    return float(said.split("[")[1].split(",")[0])


def _high(said: str) -> float:
    return float(said.split(",")[1].rstrip("]"))


def _figures(maps: pd.DataFrame) -> dict[str, str]:
    from ..report.charts import chart

    return {
        name: chart(maps[maps["figure"].isin((name, of_chance))], name, True, axis="t", others=["figure"])
        for name, of_chance in CHANCE.items()
    }


STUDY = Study(
    name="conditioning",
    claim="By cross-attention each place looks up the words that matter to it: words attend to the places of what they name, and "
    "layouts, edges and masks steer in the same way",
    source="“What Is Latent Diffusion and How Does It Work?”, How Text Prompts Guide Generation; "
    "“Why Not Diffuse in Pixel Space?”, Text Conditioning via Cross-Attention",
    kind=MEASURED,
    minutes=3,
    run=run,
    options=(
        Option("model", "scenes", "registry name or folder of a model of a drawn world"),
        Option("control", "", "a control of silhouettes; the one that ships, if one does, where it is empty"),
        Option("count", 100, "held-out drawings"),
        Option("calibration", 40, "training drawings that the maps' threshold is chosen on"),
    ),
)
