"""How far a model of the drawn world composes: things in a colour that their kind never had in training.

    python -m evaluation.card scenes      prints this table too

Of every coloured thing that a prompt asks for, the detector says whether the picture shows that kind in that colour at
that place. Where training never paired the kind with the colour (`scenes.UNSEEN_PAIRS`; it knew each of the two from
others), a model that had only learned pictures by heart would fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from ldm_core.data.scenes import UNSEEN_PAIRS, Scene, Thing, parse
from ldm_core.images import from_uint8, load_png

from .. import statistics
from ..detectors.scenes import ScenesDetector, shows

BATCH = 50  # images


def composition(run: Path, detector: ScenesDetector) -> pd.DataFrame:
    """Of a finished run folder, a row for each guidance scale and for things of seen and of unseen pairs.

    `right` is the share of things found with kind, colour and place; `kind` the share found whatever their colour.
    """
    table = pd.DataFrame(_things(run, detector))
    rows = []
    for (scale, unseen), part in table.groupby(["guidance_scale", "unseen"]):
        right, kind = (statistics.mean(part[name], part["prompt_id"], (0, 1)) for name in ("right", "kind"))
        rows.append(
            {
                "guidance_scale": scale,
                "pair": "never seen" if unseen else "seen",
                "n": len(part),
                "right": right.value,
                "right_se": right.se,
                "kind": kind.value,
                "kind_se": kind.se,
            }
        )
    return pd.DataFrame(rows)


def _things(run: Path, detector: ScenesDetector) -> Iterator[dict]:
    """A row for each coloured thing that a prompt of the run asks for."""
    images = pd.read_csv(run / "images.csv")
    for start in range(0, len(images), BATCH):
        part = images.iloc[start : start + BATCH]
        shown = detector.read(from_uint8(np.stack([load_png(run / file) for file in part["file"]])))
        for picture, (_, image) in zip(shown, part.iterrows()):
            for thing in (parse(image["prompt"]) or Scene()).things:
                if thing.colour:
                    yield {
                        "guidance_scale": image["guidance_scale"],
                        "prompt_id": image["prompt_id"],
                        "unseen": (thing.kind, thing.colour) in UNSEEN_PAIRS,
                        "right": shows(picture, thing),
                        "kind": shows(picture, Thing(thing.kind, None, thing.place)),
                    }
