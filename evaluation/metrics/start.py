"""How far a picture has gone from the image that it began at: by its pixels, by a detector's features, outside the mask."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..detectors.detector import Detector
from ..generation.starts import StartFiles
from ..worlds import DRAWN
from .reconstruction import psnr


class StartDetector:
    """The start images in the place of a detector: what is asked of it is told by the prompt's place. It has no features."""

    reads = "prompt_id"  # the column whose values it is given in the captions' place
    dimension = 0

    def __init__(self, starts: Mapping[int, StartFiles], protocol: Mapping[str, str], features: Detector | None = None):
        self.starts, self.features = starts, features
        self.name = "the start images" + (f", {features.name}" if features else "")
        self.resize = features.resize if features else ""
        told = f"{protocol} {features.sha256 if features else ''}"
        self.sha256 = hashlib.sha256(told.encode()).hexdigest()

    def image_features(self, images: Tensor) -> Tensor:
        """None of images (B, 3, H, W): (B, 0)."""
        return torch.zeros(len(images), 0)

    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """No features; of images (B, 3, H, W) in [0, 1] and their prompts' places the scores against their starts."""
        pairs = [self.starts[int(place)].tensors(*images.shape[2:]) for place in prompts]
        begun = torch.stack([image for image, _ in pairs])
        none = np.zeros((len(images), 0), np.float32)
        if self.features is not None:
            drawn, known = (self.features.image_features(each) for each in (images, begun))
            cosine, of = F.cosine_similarity(drawn, known), self.features.name.removesuffix("_detector")
            return none, {f"start_distance_{'scenes' if of in DRAWN else of}": (1 - cosine).tolist()}
        scores = {"start_psnr": psnr(images, begun).tolist()}
        if pairs[0][1] is not None:
            kept_of = [mask < 1 for _, mask in pairs if mask is not None]
            scores["start_psnr_outside"] = [
                float(psnr(image[:, kept[0]][None, :, None], start[:, kept[0]][None, :, None]))
                if kept.any()
                else math.nan
                for image, start, kept in zip(images, begun, kept_of)
            ]
        return none, scores
