"""The detector of the everyday world; see the package."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ldm_core.data.everyday import HELD_OUT_SEEDS, caption, draw, look_names, random_scene
from ldm_core.data.everyday.atoms import SKILLS
from ldm_core.images import from_uint8

from ...statistics import Estimate, mean
from ..located import Located
from ..weights_file import OwnDetector, load_weights
from .mirror import Cells, mirrored, said_of_both
from .network import FEATURES, INPUT_SIZE, SCENE, Eye, TextReader, Things, prepare
from .reading import NATURAL, Reading, found_in, looked_again, readings, sightings, sized
from .scores import COLUMNS, EXTRA, scores_of
from .sizes import Sizes

WEIGHTS = Path(__file__).parents[1] / "weights" / "everyday_detector" / "model.safetensors"
CEILING_COUNT = 1000  # drawings
ALL = "all atoms"  # the audit's row of every skill together


class EverydayDetector(OwnDetector):
    """Images (B, 3, H, W) in [0, 1] and texts, into one 64-dimensional space; things and their attributes from images."""

    scores: tuple[str, ...] = ("clip_scenes", *COLUMNS)
    name, dimension, resize, weights = "everyday_detector", FEATURES, f"clean-{INPUT_SIZE}", WEIGHTS

    def __init__(self) -> None:
        super().__init__()
        self.eye, self.things, self.sizes = Eye(), Things(), Sizes()
        self.project = nn.Linear(2048, FEATURES)
        self.scene = nn.Linear(2048, sum(SCENE.values()))
        self.text = TextReader()
        self.log_scale = nn.Parameter(torch.tensor(2.3))  # of the cosines, learned with the rest
        self.of_real: dict[str, list[float]] = {}  # scores of held-out drawings against their own captions
        self.measured: dict[str, Any] = {}  # its own error, as found when it was trained: rows of audit.py

    def image_features(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> features (B, 64), float32, not normalised."""
        return self.project(self.eye(prepare(images))[1])

    def text_features(self, texts: Sequence[str]) -> Tensor:
        """Texts -> features (len(texts), 64); words outside the everyday world share one embedding."""
        return self.text(torch.tensor([self.text.tokens(text) for text in texts]))

    @torch.inference_mode()
    def read(self, images: Tensor) -> list[Reading]:
        """What each image (B, 3, H, W) in [0, 1] shows."""
        return self._seen(prepare(images))[1]

    def located(self, images: Tensor) -> list[list[Located]]:
        """The single things that each image (B, 3, H, W) in [0, 1] shows."""
        return [
            [
                Located(one.kind, None if one.colour == NATURAL else one.colour, *one.middle)
                for group in reading.sightings
                for one in group
            ]
            for reading in self.read(images)
        ]

    @torch.inference_mode()
    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """Features (B, 64); clip_scenes, 100 times the clamped cosine; and the columns of scores.py."""
        whole, seen = self._seen(prepare(images))
        features = self.project(whole)
        cosines = 100 * F.cosine_similarity(features, self.text_features(prompts)).clamp(min=0)
        scored = [scores_of(text, seen) for text, seen in zip(prompts, seen)]
        columns = {name: [row[name] for row in scored] for name in COLUMNS}
        return features.numpy(), {"clip_scenes": cosines.tolist(), **columns}

    def _seen(self, prepared: Tensor) -> tuple[Tensor, list[Reading]]:
        """The vector of each picture, and what it shows."""
        said, whole = self._said(prepared)
        scene = self.scene(whole)
        said, found = looked_again(said, found_in(said), prepared, lambda images: self._said(images)[0])
        return whole, readings(sightings(sized(said, found, self.sizes, scene), found), scene)

    def _said(self, prepared: Tensor) -> tuple[Cells, Tensor]:
        """What is said of the cells of each picture, and the vector of each."""
        maps, whole = self.eye(prepared)
        maps_of_mirrored, _ = self.eye(mirrored(prepared))
        return said_of_both(self.things, maps, maps_of_mirrored), whole

    def judge_words(self) -> str:
        """How often it is right on real drawings, for whoever uses its scores."""
        shares = {row["skill"]: row for row in self.measured.get("audit", [])}
        if ALL not in shares:
            return ""
        skills = ", ".join(f"{name} {shares[name]['value']:.3f}" for name in SKILLS if name in shares)
        one = shares[ALL]
        return (
            f"the judge is right on {one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f}) of all atoms of real "
            f"drawings: {skills}"
        )

    def ceiling(self, metric: str) -> tuple[Estimate, str]:
        """What real drawings score against their own captions: the most that any model can by a metric."""
        if not self.of_real:
            self.of_real = self.scores_of_real(CEILING_COUNT)
        values = [value for value in self.of_real[metric] if not math.isnan(value)]
        return mean(values, bounds=None if metric == EXTRA else (0, 1)), "real drawings against their own captions"

    def scores_of_real(self, count: int) -> dict[str, list[float]]:
        """Each score of so many held-out drawings against their own captions, NaN where one does not apply."""
        found: dict[str, list[float]] = {}
        for start in range(0, count, 50):
            seeds = HELD_OUT_SEEDS[start : min(start + 50, count)]
            scenes = [random_scene(seed) for seed in seeds]
            said = [caption(scene, seed, looks=look_names(scene)) for scene, seed in zip(scenes, seeds)]
            scores = self.extract(from_uint8(np.stack([draw(scene) for scene in scenes])), said)[1]
            found = {name: [*found.get(name, []), *values] for name, values in scores.items()}
        return found


@functools.cache
def load_everyday_detector() -> EverydayDetector:
    """The trained detector: float32, on the CPU, ready to use; `.sha256` names its weights."""
    detector = EverydayDetector()
    detector.measured = load_weights(detector)
    detector.of_real = detector.measured.get("real", {})  # else they are worked out where they are asked for
    return detector
