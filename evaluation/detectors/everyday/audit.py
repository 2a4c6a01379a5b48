"""The reader's own error: what it says of real drawings that it has never seen, beside what is true of them."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ldm_core.data.everyday import HELD_OUT_SEEDS, Scene, draw, random_scene
from ldm_core.data.everyday.atoms import SKILLS, extra_things, judge
from ldm_core.data.everyday.truth import shown_scenery, shown_sizes
from ldm_core.images import from_uint8

from ...statistics import Estimate, mean
from .detector import ALL, EverydayDetector
from .moved import moved
from .reading import Reading

COUNT = 2000  # drawings
BATCH = 50
SIZE = 256  # pixels, as the model draws
MOVED_BY = 8  # pixels, up or down: of one picture in turn up, of the next down
WHOLE, EXTRA = "every atom of a picture", "things that are not there, a picture"
# How large a thing is for its height is not known of a moved picture.
ELSEWHERE = f"all atoms but sizes, of pictures moved by {MOVED_BY} pixels"
SUMMED = (ALL, WHOLE, EXTRA, ELSEWHERE)  # the rows that are no single skill's


def shown(scene: Scene) -> Scene:
    """What of a complete scene its drawing shows; the rest is not stated."""
    things = [dataclasses.replace(thing, size=size) for thing, size in zip(scene.things, shown_sizes(scene))]
    scenery = (bool(there) for there in shown_scenery(scene).values())
    return Scene(scene.sky, scene.ground, tuple(things), *scenery)


def audit(detector: EverydayDetector, count: int = COUNT) -> pd.DataFrame:
    """A row a skill, and for all of them, for whole pictures, for things that are not there and for moved pictures: value, n, se,
    low, high.

    A skill's value is the share of its atoms that are read right, each picture a cluster.
    """
    right: dict[str, list[tuple[bool, int]]] = defaultdict(list)
    whole, extra, elsewhere = [], [], []
    for picture, (scene, reading, of_moved) in enumerate(_read(detector, count)):
        asked = shown(scene)
        judged = judge(asked, reading.scene, reading.also)
        judged_elsewhere = judge(asked, of_moved.scene, of_moved.also)
        elsewhere += [(holds, picture) for atom, holds in judged_elsewhere if atom.skill != "size"]
        for atom, holds in judged:
            right[atom.skill].append((holds, picture))
        whole.append(all(holds for _, holds in judged))
        extra.append(extra_things(scene, reading.scene))
    every = [pair for pairs in right.values() for pair in pairs]
    found = {skill: _share(right[skill]) for skill in SKILLS if right[skill]}
    found |= {ALL: _share(every), WHOLE: mean(whole, bounds=(0, 1)), EXTRA: mean(extra)}
    found |= {ELSEWHERE: _share(elsewhere)}
    return pd.DataFrame([{"skill": name} | _numbers(estimate) for name, estimate in found.items()])


def _read(detector: EverydayDetector, count: int) -> Iterator[tuple[Scene, Reading, Reading]]:
    """Held-out scenes, what is read in their drawings, and what in these once moved."""
    with tqdm(total=count, desc="reading drawings", unit="drawing", mininterval=2) as bar:
        for start in range(0, count, BATCH):
            scenes = [random_scene(seed) for seed in HELD_OUT_SEEDS[start : min(start + BATCH, count)]]
            images = from_uint8(np.stack([draw(scene, SIZE) for scene in scenes]))
            steps = torch.tensor([[0, MOVED_BY if index % 2 else -MOVED_BY] for index in range(len(scenes))])
            yield from zip(scenes, detector.read(images), detector.read(moved(images, steps)))
            bar.update(len(scenes))


def _share(pairs: list[tuple[bool, int]]) -> Estimate:
    return mean([holds for holds, _ in pairs], [picture for _, picture in pairs], (0, 1))


def _numbers(estimate: Estimate) -> dict[str, float | int | None]:
    names = ("value", "n", "se", "low", "high")
    return {name: getattr(estimate, name) for name in names}
