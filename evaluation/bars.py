"""The bars of the everyday world: each figure that decides whether its model is good enough, beside what it is to reach.

    python -m evaluation.card FOLDER      prints them last, of a model of that world

The figures are those of the card's runs on held-out captions; nothing is drawn here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ldm_core.data import everyday
from ldm_core.data.everyday.nearest import substitute
from ldm_core.training.everyday import is_withheld, with_withheld

from . import statistics
from .detectors.everyday.scores import ACCURACY, EXTRA, OF_SKILL, PROMPT
from .statistics import Estimate
from .worlds import caption_of

SHARE = (0.0, 1.0)


@dataclass(frozen=True)
class Bar:
    """A figure, what it must reach, and what would be splendid."""

    name: str
    found: Estimate
    bar: float
    moonshot: float
    lowest: bool = False  # whether less is better

    def row(self) -> dict[str, object]:
        """As the table has it."""
        value = self.found.value
        holds = value <= self.bar if self.lowest else value >= self.bar
        return {
            "what": self.name,
            **self.found.columns(),
            "bar": self.bar,
            "moonshot": self.moonshot,
            "holds": "yes" if holds else "no",
        }


def withheld_captions(each: int) -> list[str]:
    """Captions of held-out scenes, each of which tells of a combination that no training picture shows: up to so many of each."""
    scenes = with_withheld(each, everyday.HELD_OUT_SEEDS)
    said = [everyday.caption(scene, index, looks=everyday.look_names(scene)) for index, scene in enumerate(scenes)]
    return [text for text in said if is_withheld(text)]  # which a caption may leave out


def best_scale(images: pd.DataFrame) -> float:
    """The guidance scale at which most atoms hold."""
    return float(images.groupby("guidance_scale")[ACCURACY].mean().idxmax())


def names_all(caption: str, seed: int) -> bool:
    """Whether a caption names every thing of its held-out scene."""
    asked, scene = everyday.parse(caption), everyday.random_scene(seed)
    kinds = Counter(thing.kind for thing in scene.things)
    return asked is not None and Counter(thing.kind for thing in asked.things) == kinds


def known_prompts(texts: Sequence[str]) -> Estimate:
    """The share of prompts of which the world knows a kind, the nearest in a word's place counted."""
    parsed = (everyday.parse(substitute(text).text) for text in texts)
    return statistics.mean([float(scene is not None and bool(scene.things)) for scene in parsed], bounds=SHARE)


def of_images(images: pd.DataFrame, count: int) -> list[Bar]:
    """The bars of pictures drawn of the first `count` held-out captions, all at one guidance scale."""
    of_skills = {skill: statistics.mean(images[column].dropna(), bounds=SHARE) for skill, column in OF_SKILL.items()
                 if images[column].notna().any()}  # fmt: skip
    worst = min(of_skills, key=lambda skill: of_skills[skill].value)
    seeds = {caption_of("everyday", seed): seed for seed in everyday.HELD_OUT_SEEDS[:count]}
    told = images[[names_all(text, seeds[text]) for text in images["prompt"]]]
    return [
        Bar("scene_accuracy, all atoms", statistics.mean(images[ACCURACY].dropna(), bounds=SHARE), 0.93, 0.97),
        Bar(f"the worst skill ({worst})", of_skills[worst], 0.85, 0.93),
        Bar("prompts with every atom right", statistics.mean(images[PROMPT].dropna(), bounds=SHARE), 0.60, 0.80),
        Bar("things nobody asked for, where all are named", statistics.mean(told[EXTRA].dropna()), 0.10, 0.03, True),
    ]


def of_reader(audit: pd.DataFrame, summed: tuple[str, ...]) -> Bar:
    """The reader's worst skill on real drawings; `summed` are the audit's rows that are no skill."""
    skills = audit[~audit["skill"].isin(summed)]
    worst = skills.loc[skills["value"].idxmin()]
    found = Estimate(worst["value"], int(worst["n"]), worst["se"], worst["low"], worst["high"])
    return Bar(f"the reader's worst skill on real drawings ({worst['skill']})", found, 0.985, 0.995)


def of_withheld(asked_for: pd.DataFrame) -> list[Bar]:
    """The bar of combinations that training never showed, of what prompts ask for (metrics/composition.py)."""
    unseen = asked_for[asked_for["unseen"]]
    return [Bar("withheld combinations", statistics.mean(unseen["right"], unseen["prompt_id"], SHARE), 0.60, 0.85)]


def drawn_at(run: Path, scale: float) -> pd.DataFrame:
    """A run's images at one guidance scale."""
    images = pd.read_csv(run / "images.csv")
    return images[images["guidance_scale"] == scale]
