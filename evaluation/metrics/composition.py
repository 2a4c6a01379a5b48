"""How far a model of a drawn world composes: things in a colour that their kind never had in training.

    python -m evaluation.card scenes      prints this table too

Of every coloured thing that a prompt asks for, the detector says whether the picture shows that kind in that colour at
that place. Where training never paired the kind with the colour (a world's `UNSEEN_PAIRS`; it knew each of the two from
others), a model that had only learned pictures by heart would fail. So it would where two kinds never stood in the relation
that is asked for (`UNSEEN_RELATIONS`). Where the text encoder's reading can be asked (training/fact_reader.py), the table says
beside what was drawn what was read: a model may fail at either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldm_core.data import everyday
from ldm_core.data.everyday.atoms import judge
from ldm_core.images import from_uint8, load_png

from .. import statistics
from ..detectors.detector import WORLDS

BATCH = 50  # images
# Of a coloured thing or a relation: `about`, `unseen`, `right`, `kind`, and `facts`, all of which state it.
Found = dict[str, Any]
Reader = Callable[[list[str]], list[frozenset[str]]]  # prompts -> the facts that are read in each


def composition(run: Path, world: str, reader: Reader | None = None) -> pd.DataFrame:
    """Of a finished run folder, a row for each guidance scale, for colours and relations, seen and unseen.

    `right` is the share of things found with kind, colour and place, or of relations found; `kind` the share found whatever
    their colour or relation; with a reader, `read` is the share that the text encoder reads in its prompt.
    """
    table = asked_for(run, world, reader)
    rows = []
    for (scale, about, unseen), part in table.groupby(["guidance_scale", "about", "unseen"]):
        row = {"guidance_scale": scale, "about": about, "pair": "never seen" if unseen else "seen", "n": len(part)}
        for name in ("right", "kind", *(["read"] if reader else [])):
            found = statistics.mean(part[name], part["prompt_id"], (0, 1))
            row |= {name: found.value, f"{name}_se": found.se}
        rows.append(row)
    return pd.DataFrame(rows)


def asked_for(run: Path, world: str, reader: Reader | None = None) -> pd.DataFrame:
    """A row for each coloured thing, and each relation, that a prompt of a run asks for: guidance_scale, prompt_id, about,
    unseen, right, kind, facts, read."""
    return pd.DataFrame(_asked_for(run, world, reader))


def _asked_for(run: Path, world: str, reader: Reader | None) -> Iterator[dict]:
    images, detector, found = pd.read_csv(run / "images.csv"), WORLDS[world](), FOUND[world]
    for start in range(0, len(images), BATCH):
        part = images.iloc[start : start + BATCH]
        seen = detector.read(from_uint8(np.stack([load_png(run / file) for file in part["file"]])))  # type: ignore[attr-defined]  # the detectors of the drawn worlds read
        read = reader(part["prompt"].tolist()) if reader else [frozenset[str]()] * len(part)
        for picture, facts, (_, image) in zip(seen, read, part.iterrows()):
            place = {name: image[name] for name in ("guidance_scale", "prompt_id")}
            yield from (place | one | {"read": one["facts"] <= facts} for one in found(picture, image["prompt"]))


def _of_everyday(picture: Any, prompt: str) -> Iterator[Found]:
    asked = everyday.parse(prompt)
    if asked is None:
        return
    judged = judge(asked, picture.scene, picture.also)
    holds = [{atom.skill: right for atom, right in judged if atom.thing == i} for i in range(len(asked.things))]
    for thing, own in zip(asked.things, holds):
        if thing.colour:
            kind = own["kind"] and own.get("place", True)
            unseen = (thing.kind, thing.colour) in everyday.UNSEEN_PAIRS
            facts = frozenset({f"{thing.colour} {thing.kind}"})
            yield {"about": "colour", "unseen": unseen, "right": kind and own["colour"], "kind": kind, "facts": facts}
        if thing.relation is not None and thing.other is not None:
            other = asked.things[thing.other].kind
            yield {
                "about": "relation",
                "unseen": (thing.kind, thing.relation, other) in everyday.UNSEEN_RELATIONS,
                "right": own["relation"],
                "kind": own["kind"] and holds[thing.other]["kind"],
                "facts": frozenset({f"{thing.kind} {thing.relation}", f"{thing.relation} {other}"}),
            }


FOUND: dict[str, Callable[[Any, str], Iterator[Found]]] = {"everyday": _of_everyday}
