"""Whether what a mask had drawn anew fits its prompt: the picture cut to the mask, and the things that lie in it.

Outside the mask a picture is its start image to the bit, so a score of the whole picture hardly tells one inpainting from
another; these are of the part that was drawn.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..detectors.detector import Detector
from ..detectors.located import Located
from ..generation.starts import StartFiles
from ..worlds import DRAWN


class InsideDetector:
    """A detector with the start images' masks and the prompts, by the prompts' places. It has no features of its own."""

    reads = "prompt_id"  # the column whose values it is given in the captions' place
    dimension = 0

    def __init__(
        self,
        starts: Mapping[int, StartFiles],
        texts: Mapping[int, str],
        protocol: Mapping[str, str],
        name: str,
        detector: Detector,
    ):
        """`name` is that by which load_detector knows the detector: a drawn world, or clip."""
        self.starts, self.texts, self.world, self.detector = starts, texts, name if name in DRAWN else "", detector
        self.name, self.resize = f"{detector.name}, inside the masks", detector.resize
        self.sha256 = hashlib.sha256(f"{protocol} {detector.sha256} 1".encode()).hexdigest()

    def image_features(self, images: Tensor) -> Tensor:
        """None of images (B, 3, H, W): (B, 0)."""
        return torch.zeros(len(images), 0)

    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """No features; of images (B, 3, H, W) in [0, 1] and their prompts' places the scores of what their masks cover, NaN
        where nothing is covered, or nothing that is asked for can be expected there."""
        places = [int(place) for place in prompts]
        masks = [self.starts[place].tensors(*images.shape[2:])[1] for place in places]
        texts = [self.texts[place] for place in places]
        own = "clip_scenes" if self.world else "clip_score"
        scores = {f"{own}_inside": [self._fit(own, *each) for each in zip(images, masks, texts)]}
        if self.world:
            seen = self.detector.located(images)  # type: ignore[attr-defined]  # a drawn world's has it
            scores["scene_accuracy_inside"] = [
                things_inside(self.world, text, things, mask) for text, things, mask in zip(texts, seen, masks)
            ]
        return np.zeros((len(images), 0), np.float32), scores

    def _fit(self, score: str, image: Tensor, mask: Tensor | None, text: str) -> float:
        """A score of the image cut to the mask, against the prompt."""
        if mask is None or not mask.any():
            return math.nan
        return self.detector.extract(cut(image, mask)[None], [text])[1][score][0]


def cut(image: Tensor, mask: Tensor) -> Tensor:
    """The part (3, h, w) of an image (3, H, W) that its mask (1, H, W) covers: its bounding box, widened to a square as far as
    the image goes."""
    rows, columns = (mask[0].any(dim=axis).nonzero() for axis in (1, 0))
    box = [(int(each.min()), int(each.max()) + 1) for each in (rows, columns)]
    side = max(end - start for start, end in box)
    (top, bottom), (left, right) = (_widened(*ends, side, length) for ends, length in zip(box, image.shape[1:]))
    return image[:, top:bottom, left:right]


def _widened(start: int, end: int, side: int, length: int) -> tuple[int, int]:
    """An interval of `side` (or of all there is) around another, within 0 to length."""
    side = min(side, length)
    first = min(max(0, (start + end - side) // 2), length - side)
    return first, first + side


def things_inside(world: str, text: str, seen: Sequence[Located], mask: Tensor | None) -> float:
    """Of the things that a prompt asks for and the kept part of its picture does not show, the share found where the mask
    (1, H, W) covers their middle, with the colour where one is asked for; NaN where there is none such."""
    asked = DRAWN[world].parse(text)
    if asked is None or mask is None or not mask.any():
        return math.nan
    height, width = mask.shape[1:]
    covered = [bool(mask[0, int(thing.y * (height - 1)), int(thing.x * (width - 1))]) for thing in seen]
    kept, drawn = ([one for one, inside in zip(seen, covered) if inside is which] for which in (False, True))
    expected = [thing for thing in asked.things if not _take(kept, thing)]
    return sum(_take(drawn, thing) for thing in expected) / len(expected) if expected else math.nan


def _take(seen: list[Located], asked: object) -> bool:
    """Whether a thing is among those seen, which is then taken out: each stands for one."""
    for one in seen:
        if one.kind == asked.kind and asked.colour in (None, one.colour):  # type: ignore[attr-defined]  # a world's Thing
            seen.remove(one)
            return True
    return False
