"""The detector of the drawn world: what a picture of a scene shows, and how well it fits a caption.

A small contrastive image-text network in the manner of CLIP (Radford et al. 2021) with attribute heads, trained on
drawings by `python -m evaluation.detectors.train_scenes`. It shares nothing with any generator.

    features    64 numbers an image, for fd_scenes, kd_scenes: few enough that some hundred images fix a covariance
    cosine      of image and text features, for clip_scenes
    read        the scene a picture shows, for scene_accuracy
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ldm_core.data.drawing import COLUMN
from ldm_core.data.scenes import (
    COLOURED_KINDS,
    COLOURS,
    GROUND_KINDS,
    GROUNDS,
    HELD_OUT_SEEDS,
    PLACES,
    SKIES,
    SKY_KINDS,
    Scene,
    Thing,
    caption,
    draw,
    known_words,
    parse,
    random_scene,
)
from ldm_core.images import from_uint8

from ..statistics import Estimate, mean
from .located import Located
from .weights_file import OwnDetector, load_weights

WEIGHTS = Path(__file__).parent / "weights" / "scenes_detector" / "model.safetensors"
FEATURES = 64
INPUT_SIZE = 64  # pixels; any image is resized to this, bicubic with antialias
MAX_WORDS = 64
CEILING_COUNT = 400  # drawings
NONE = "none"
HEIGHTS = {"sky": 0.19, "ground": 0.74}  # of things' middles, as a share of the picture, on average
_LOWER, _UPPER = (NONE, *GROUND_KINDS), (NONE, *SKY_KINDS)
# One head an attribute: its name and the answers it chooses from.
HEADS: dict[str, tuple[str, ...]] = {
    "sky": SKIES,
    "ground": GROUNDS,
    "mountains": ("no", "yes"),
    "clouds": ("no", "yes"),
    **{f"lower {place}": _LOWER for place in PLACES},
    **{f"lower {place} colour": COLOURS for place in PLACES},
    **{f"upper {place}": _UPPER for place in PLACES},
    **{f"upper {place} colour": COLOURS for place in PLACES},
}


class ScenesDetector(OwnDetector):
    """Images (B, 3, H, W) in [0, 1] and texts, into one 64-dimensional space; attributes from images."""

    scores: tuple[str, ...] = ("clip_scenes", "scene_accuracy", "scene_prompt_accuracy", "scene_extra")
    name, dimension, resize, weights = "scenes_detector", FEATURES, f"clean-{INPUT_SIZE}", WEIGHTS

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *_block(3, 32, stride=2),
            *_block(32, 64, stride=2),
            *_block(64, 64),
            *_block(64, 128, stride=2),
            *_block(128, 128),
            nn.Conv2d(128, 32, 1),
            nn.Flatten(),
            nn.LayerNorm(32 * 8 * 8),
        )
        self.project = nn.Linear(32 * 8 * 8, FEATURES)
        self.attributes = nn.Sequential(
            nn.Linear(32 * 8 * 8, 256), nn.GELU(), nn.Linear(256, sum(len(answers) for answers in HEADS.values()))
        )
        self.words = {word: index for index, word in enumerate(known_words(), start=2)}  # 0 pads, 1 is any other word
        self.embed = nn.Embedding(len(self.words) + 2, 96, padding_idx=0)
        self.position = nn.Parameter(0.02 * torch.randn(MAX_WORDS, 96))
        layer = nn.TransformerEncoderLayer(
            96, 3, 192, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.reader = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.project_text = nn.Linear(96, FEATURES)
        self.log_scale = nn.Parameter(torch.tensor(2.3))  # of the cosines, learned with the rest

    def image_features(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> features (B, 64), float32, not normalised."""
        return self.project(self.trunk(prepare(images)))

    def text_features(self, texts: list[str]) -> Tensor:
        """Texts -> features (len(texts), 64); words outside the drawn world share one embedding."""
        tokens = self._tokens(texts).to(self.position.device)
        absent = tokens == 0
        hidden = self.reader(self.embed(tokens) + self.position[: tokens.shape[1]], src_key_padding_mask=absent)
        return self.project_text(hidden.masked_fill(absent[..., None], 0).sum(1) / (~absent).sum(1, keepdim=True))

    def _tokens(self, texts: list[str]) -> Tensor:
        """(len(texts), MAX_WORDS), filled up with 0: one shape whatever the texts, so that none depends on the others."""
        rows = [
            [self.words.get(w, 1) for w in re.findall(r"[^\W\d_]+", text.lower())][:MAX_WORDS] or [1] for text in texts
        ]
        return torch.tensor([row + [0] * (MAX_WORDS - len(row)) for row in rows])

    def logits(self, prepared: Tensor) -> dict[str, Tensor]:
        """Images as `prepare` returns them -> (B, answers) for every head."""
        scores = self.attributes(self.trunk(prepared))
        return dict(zip(HEADS, scores.split([len(answers) for answers in HEADS.values()], dim=1)))

    @torch.inference_mode()
    def read(self, images: Tensor) -> list[Scene]:
        """The scene that each image (B, 3, H, W) in [0, 1] shows."""
        chosen = {name: scores.argmax(1).tolist() for name, scores in self.logits(prepare(images)).items()}
        answers = [{name: HEADS[name][indices[row]] for name, indices in chosen.items()} for row in range(len(images))]
        return [_scene(answer) for answer in answers]

    def located(self, images: Tensor) -> list[list[Located]]:
        """The things that each image (B, 3, H, W) in [0, 1] shows, each in the middle of its place."""
        return [
            [
                Located(
                    thing.kind,
                    thing.colour,
                    COLUMN[thing.place],
                    HEIGHTS["sky" if thing.kind in SKY_KINDS else "ground"],
                )
                for thing in scene.things
            ]
            for scene in self.read(images)
        ]

    @torch.inference_mode()
    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """Features (B, 64); clip_scenes, 100 times the clamped cosine; by what is asked and seen scene_accuracy, whether all of
        it is right, and how many things nobody asked for, NaN where a prompt names nothing."""
        features, shown, asked = self.image_features(images), self.read(images), [parse(prompt) for prompt in prompts]
        cosines = 100 * F.cosine_similarity(features, self.text_features(list(prompts))).clamp(min=0)
        pairs = list(zip(shown, asked))
        accuracy = [np.nan if wanted is None else scene_accuracy(found, wanted) for found, wanted in pairs]
        scores = {
            "clip_scenes": cosines.tolist(),
            "scene_accuracy": accuracy,
            "scene_prompt_accuracy": [share if np.isnan(share) else float(share == 1) for share in accuracy],
            "scene_extra": [np.nan if wanted is None else float(extra(found, wanted)) for found, wanted in pairs],
        }
        return features.numpy(), scores

    def ceiling(self, metric: str) -> tuple[Estimate, str]:
        """What real drawings score against their own captions: the most that any model can by a metric."""
        scores: list[float] = []
        for start in range(0, CEILING_COUNT, 50):
            pictured = [random_scene(seed) for seed in HELD_OUT_SEEDS[start : start + 50]]
            captions = [caption(scene, start + index) for index, scene in enumerate(pictured)]
            scores += self.extract(from_uint8(np.stack([draw(scene) for scene in pictured])), captions)[1][metric]
        return mean(
            scores, bounds=None if metric == "scene_extra" else (0, 1)
        ), "real drawings against their own captions"


def _block(channels_in: int, channels: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(channels_in, channels, 3, stride, 1), nn.GroupNorm(8, channels), nn.SiLU()]


def prepare(images: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] of any size -> (B, 3, 64, 64) in [-1, 1]."""
    if images.shape[-2:] != (INPUT_SIZE, INPUT_SIZE):
        images = F.interpolate(images.float(), (INPUT_SIZE, INPUT_SIZE), mode="bicubic", antialias=True).clamp(0, 1)
    return images * 2 - 1


def _scene(answer: dict[str, str]) -> Scene:
    things = []
    for place in PLACES:
        for row in ("lower", "upper"):
            kind = answer[f"{row} {place}"]
            if kind != NONE:
                things.append(Thing(kind, answer[f"{row} {place} colour"] if kind in COLOURED_KINDS else None, place))
    yes = {name: answer[name] == "yes" for name in ("mountains", "clouds")}
    return Scene(answer["sky"], answer["ground"], tuple(things), **yes)


def scene_accuracy(shown: Scene, asked: Scene) -> float:
    """The share of what a text asks for that a picture shows, in [0, 1].

    Items: the sky, the ground, mountains, clouds, and each thing: right only if kind, colour and place (as far as
    asked) are found together in one thing. What the text does not say counts neither way.
    """
    items = [
        getattr(shown, name) == getattr(asked, name) for name in ("sky", "ground") if getattr(asked, name) is not None
    ]
    items += [getattr(shown, name) for name in ("mountains", "clouds") if getattr(asked, name)]
    items += [shows(shown, thing) for thing in asked.things]
    if not items:
        raise ValueError("asked must name something of the drawn world; parse() returns None for a text that does not")
    return sum(items) / len(items)


def shows(shown: Scene, asked: Thing) -> bool:
    """Whether one thing of a scene has the kind asked for, and the colour and place as far as asked."""
    return any(
        found.kind == asked.kind and asked.colour in (None, found.colour) and asked.place in (None, found.place)
        for found in shown.things
    )


def extra(shown: Scene, asked: Scene) -> int:
    """How many things are seen of a kind that nobody asked for, or more often than asked for."""
    kinds, wanted = (Counter(thing.kind for thing in scene.things) for scene in (shown, asked))
    return (kinds - wanted).total()


@functools.cache
def load_scenes_detector() -> ScenesDetector:
    """The trained detector: float32, on the CPU, ready to use; `.sha256` names its weights."""
    detector = ScenesDetector()
    load_weights(detector)
    return detector
