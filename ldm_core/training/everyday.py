"""The everyday world as a corpus: pictures without the withheld combinations, captions of everything."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from typing import Any

import numpy as np
from tqdm import tqdm

from ..data import everyday as world
from ..data.everyday.atoms import facts as stated
from ..data.everyday.atoms import known_facts
from ..data.everyday.captions import caption as say
from ..data.everyday.layout import look_names, middles
from ..data.everyday.lexicon import SCENERY, entries
from ..data.everyday.parsing import parse
from ..data.everyday.vocabulary import known_words
from . import wording

MASK_SIZE = 16  # cells along a side, as many as the latents have
AHEAD = 512  # pictures drawn before the first of them is used
APART = 0.05  # share of the captions read in which one thing's colour or noun is left out


class Drawings(Sequence):
    """The pictures of scenes, each drawn when it is asked for: uint8 (size, size, 3)."""

    def __init__(self, scenes: Sequence[world.Scene], size: int):
        self.scenes, self.size = scenes, size

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [world.draw(scene, self.size) for scene in self.scenes[index]]
        return world.draw(self.scenes[index], self.size)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Picture after picture, drawn by all processors, no more of them ahead than memory bears."""
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(self), AHEAD):
                yield from pool.map(
                    partial(world.draw, size=self.size), self.scenes[start : start + AHEAD], chunksize=16
                )

    def all(self) -> np.ndarray:
        """Every picture at once (N, size, size, 3)."""
        images = np.empty((len(self), self.size, self.size, 3), dtype=np.uint8)
        for index, image in enumerate(tqdm(self, "drawing", len(self), unit="scene", mininterval=2)):
            images[index] = image
        return images


def training_scenes(count: int, shown: int = 0) -> list[world.Scene]:
    """Scenes of the training seeds, none with a combination that is withheld; but for `shown` of each of these, at the
    end, where a run is to say how many examples it takes."""
    scenes = [world.random_scene(seed) for seed in itertools.islice(world.TRAINING_SEEDS, count)]
    extra = with_withheld(shown) if shown else []
    if len(extra) >= count:
        raise ValueError(f"shown must leave room for other pictures: {shown} of each are {len(extra)}, pool is {count}")
    return scenes[: count - len(extra)] + extra


def with_withheld(each: int, seeds: Iterable[int] = world.TRAINING_SEEDS) -> list[world.Scene]:
    """The first scenes of the seeds that hold a withheld combination: so many of each of them."""
    found: dict[tuple[str | None, ...], list[world.Scene]] = {
        pair: [] for pair in (*world.UNSEEN_PAIRS, *world.UNSEEN_RELATIONS)
    }
    for seed in seeds:
        scene = world.random_scene(seed, unseen=True)
        for thing in scene.things if scene.has_unseen_pair or scene.has_unseen_relation else ():
            other = scene.things[thing.other].kind if thing.other is not None else None
            for pair in ((thing.kind, thing.colour), (thing.kind, thing.relation, other)):
                if len(found.get(pair, range(each))) < each:
                    found[pair].append(scene)
        if all(len(scenes) == each for scenes in found.values()):
            break
    return [scene for scenes in found.values() for scene in scenes]


def told(scene: world.Scene, seed: int) -> str:
    """What is said of a picture; things of which it does not say where they stand are told from left to right.

    Were "a cat next to a dog" said of either order, all that a network could know of pure noise would be the mean of both: half
    a cat and half a dog in either place.
    """
    return say(scene, seed, looks=look_names(scene), across=middles(scene))


def heard(index: int, seeds: range = world.TRAINING_SEEDS) -> str:
    """A caption of anything there can be, withheld combinations too; one in twenty with an attribute taken out."""
    scene = world.random_scene(seeds[index % len(seeds)], unseen=True)
    said = say(scene, index)
    rng = np.random.default_rng((seeds.start, index))
    return wording.less_one_attribute(said, world.COLOURS, nouns(), APART, rng)


def judged(index: int) -> str:
    """A caption that no encoder has learned from."""
    return heard(index, world.HELD_OUT_SEEDS)


def words() -> list[str]:
    """Every word that captions hold."""
    return sorted({*known_words(), wording.NOTHING_IN_PARTICULAR})


def is_withheld(caption: str) -> bool:
    """Whether a caption tells of a combination that no training picture shows."""
    scene = parse(caption)
    return scene is not None and (scene.has_unseen_pair or scene.has_unseen_relation)


@lru_cache
def names() -> dict[str, str]:
    """Single words that name a kind or a colour, and which."""
    return {
        words[0]: str(entry.value)
        for words, entry in entries().items()
        if len(words) == 1 and entry.role in ("kind", "colour") and entry.value
    }


@lru_cache
def nouns() -> frozenset[str]:
    """Single words for one thing of a kind."""
    return frozenset(w[0] for w, entry in entries().items() if len(w) == 1 and entry.role == "kind" and entry.singular)


def masks_of(scene: world.Scene) -> dict[str, np.ndarray]:
    """Where each kind and colour of a scene is: float16 (MASK_SIZE, MASK_SIZE), the share of each cell."""
    found: dict[str, np.ndarray] = {}
    for thing, mask in zip(scene.things, world.masks(scene, MASK_SIZE * 4)):
        cells = mask.reshape(MASK_SIZE, 4, MASK_SIZE, 4).mean((1, 3)).astype(np.float16)
        for name in (thing.kind, thing.colour):
            if name:
                found[name] = np.minimum(1, found.get(name, 0) + cells)
    return found


def facts() -> list[str]:
    """All that a caption can state: the world's facts, and colours by themselves, of what is taken apart."""
    return [*known_facts(), *(f"{colour} {wording.NOTHING_IN_PARTICULAR}" for colour in world.COLOURS)]


def facts_of(caption: str) -> set[str]:
    """What a caption states."""
    bare = re.findall(rf"\b(?:{'|'.join(world.COLOURS)}) {wording.NOTHING_IN_PARTICULAR}\b", caption)
    return {*stated(parse(caption)), *bare}


def sort_of(fact: str) -> str:
    """The skill that a fact asks for: sky, ground, scenery, kind, colour, count, size, place or relation."""
    first, last = fact.split(" ")[0], fact.split(" ")[-1]
    for sort, held in (
        ("sky", first in world.SKIES),
        ("ground", first in world.GROUNDS),
        ("scenery", first in SCENERY),
        ("colour", first in world.COLOURS),
        ("count", first.isdigit()),
        ("size", first in world.SIZES),
        ("place", last in world.PLACES),
        ("kind", fact in world.KINDS),
    ):
        if held:
            return sort
    return "relation"
