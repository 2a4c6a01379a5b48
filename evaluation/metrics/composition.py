"""How far a model of a drawn world composes: things in a colour that their kind never had in training.

    python -m evaluation.card scenes      prints this table too

Of every coloured thing that a prompt asks for, the detector says whether the picture shows that kind in that colour at
that place. Where training never paired the kind with the colour (a world's `UNSEEN_PAIRS`; it knew each of the two from
others), a model that had only learned pictures by heart would fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldm_core.data import everyday, scenes
from ldm_core.data.everyday.atoms import judge
from ldm_core.images import from_uint8, load_png

from .. import statistics
from ..detectors.detector import WORLDS
from ..detectors.scenes import shows

BATCH = 50  # images
Found = dict[str, bool]  # of a coloured thing: `unseen`, `right` and `kind`


def composition(run: Path, world: str) -> pd.DataFrame:
    """Of a finished run folder, a row for each guidance scale and for things of seen and of unseen pairs.

    `right` is the share of things found with kind, colour and place; `kind` the share found whatever their colour.
    """
    table = pd.DataFrame(_things(run, world))
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


def _things(run: Path, world: str) -> Iterator[dict]:
    """A row for each coloured thing that a prompt of the run asks for."""
    images, detector, found = pd.read_csv(run / "images.csv"), WORLDS[world](), FOUND[world]
    for start in range(0, len(images), BATCH):
        part = images.iloc[start : start + BATCH]
        seen = detector.read(from_uint8(np.stack([load_png(run / file) for file in part["file"]])))  # type: ignore[attr-defined]  # the detectors of the drawn worlds read
        for picture, (_, image) in zip(seen, part.iterrows()):
            place = {name: image[name] for name in ("guidance_scale", "prompt_id")}
            yield from (place | one for one in found(picture, image["prompt"]))


def _of_scenes(picture: scenes.Scene, prompt: str) -> Iterator[Found]:
    for thing in (scenes.parse(prompt) or scenes.Scene()).things:
        if thing.colour:
            yield {
                "unseen": (thing.kind, thing.colour) in scenes.UNSEEN_PAIRS,
                "right": shows(picture, thing),
                "kind": shows(picture, scenes.Thing(thing.kind, None, thing.place)),
            }


def _of_everyday(picture: Any, prompt: str) -> Iterator[Found]:
    asked = everyday.parse(prompt)
    if asked is None:
        return
    judged = judge(asked, picture.scene, picture.also)
    for index, thing in enumerate(asked.things):
        if thing.colour:
            holds = {atom.skill: right for atom, right in judged if atom.thing == index}
            kind = holds["kind"] and holds.get("place", True)
            unseen = (thing.kind, thing.colour) in everyday.UNSEEN_PAIRS
            yield {"unseen": unseen, "right": kind and holds["colour"], "kind": kind}


FOUND: dict[str, Callable[[Any, str], Iterator[Found]]] = {"scenes": _of_scenes, "everyday": _of_everyday}
