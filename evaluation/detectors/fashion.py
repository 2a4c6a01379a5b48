"""The detector of Fashion-MNIST: what piece of clothing a picture shows.

A small convolutional classifier trained on the official training set by
`python -m evaluation.detectors.train_fashion --data FOLDER`. It shares nothing with any generator.

    features    64 numbers an image, for fd_fashion, kd_fashion, coverage_fashion
    classify    the label a picture shows, for fashion_accuracy
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ldm_core.data import fashion_mnist

from ..intervals import Share, wilson
from ..statistics import Estimate
from .weights_file import OwnDetector, load_weights

WEIGHTS = Path(__file__).parent / "weights" / "fashion_detector" / "model.safetensors"
FEATURES = 64
INPUT_SIZE = 32  # pixels: the 28 of the data set with a black rim of two, as the generator draws them


class FashionDetector(OwnDetector):
    """Images (B, 3, H, W) in [0, 1], taken as grey, into 64 features and ten classes."""

    scores: tuple[str, ...] = ("fashion_accuracy",)
    name, dimension, resize, weights = "fashion_detector", FEATURES, f"clean-{INPUT_SIZE}", WEIGHTS
    test_accuracy: float  # on the official test images, of which there are test_count
    test_count: int

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *_block(1, 32),
            *_block(32, 32),
            nn.MaxPool2d(2),
            *_block(32, 64),
            *_block(64, 64),
            nn.MaxPool2d(2),
            *_block(64, 128),
            *_block(128, 128),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.4),
            nn.Linear(128 * 4 * 4, FEATURES),
        )
        self.classes = nn.Sequential(nn.GELU(), nn.Linear(FEATURES, len(fashion_mnist.LABELS)))

    def image_features(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> features (B, 64), float32."""
        return self.trunk(prepare(images))

    @torch.inference_mode()
    def classify(self, images: Tensor) -> list[int]:
        """The label, 0 to 9, that each image (B, 3, H, W) in [0, 1] shows."""
        return self.classes(self.image_features(images)).argmax(1).tolist()

    @torch.inference_mode()
    def extract(self, images: Tensor, prompts: Sequence[str]) -> tuple[np.ndarray, dict[str, list[float]]]:
        """Features (B, 64), and whether each image shows what its prompt names; NaN where it names no clothing."""
        features = self.image_features(images)
        shown, asked = self.classes(features).argmax(1).tolist(), map(fashion_mnist.parse, prompts)
        right = [np.nan if label is None else float(found == label) for found, label in zip(shown, asked)]
        return features.numpy(), {"fashion_accuracy": right}

    def ceiling(self, metric: str) -> tuple[Estimate, str]:
        """Its own accuracy on the official test set, as measured when it was trained."""
        n, p = self.test_count, self.test_accuracy
        ends = wilson(Share(p, n, n - 1))
        return Estimate(p, n, (p * (1 - p) / n) ** 0.5, *ends), "the classifier on the official test images"


def _block(channels_in: int, channels: int) -> list[nn.Module]:
    return [nn.Conv2d(channels_in, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.SiLU()]


def prepare(images: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] of any size -> grey (B, 1, 32, 32) in [-1, 1]."""
    grey = images.float().mean(1, keepdim=True)
    if grey.shape[-2:] != (INPUT_SIZE, INPUT_SIZE):
        grey = F.interpolate(grey, (INPUT_SIZE, INPUT_SIZE), mode="bicubic", antialias=True).clamp(0, 1)
    return grey * 2 - 1


@functools.cache
def load_fashion_detector() -> FashionDetector:
    """The trained detector: float32, on the CPU, ready to use; `.sha256` names its weights."""
    detector = FashionDetector()
    measured = load_weights(detector)
    detector.test_accuracy, detector.test_count = measured["accuracy"], measured["n"]
    return detector
