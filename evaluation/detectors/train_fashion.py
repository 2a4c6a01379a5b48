"""Train the detector of Fashion-MNIST on the official training images, and measure it on the test images.

python -m evaluation.detectors.train_fashion --data FOLDER                trains, measures, saves
python -m evaluation.detectors.train_fashion --data FOLDER --measure      measures what is saved

With the weights it leaves the features of the test images: the reference for fd_fashion (the data set does not ship).
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from ldm_core.data import fashion_mnist
from ldm_core.precision import mixed

from .. import command
from .fashion import FashionDetector, load_fashion_detector
from .reference_sources import write_world_reference
from .weights_file import save_weights

LEARNING_RATE = 2e-3


def pictures(split: str, folder: Path | None) -> tuple[Tensor, Tensor]:
    """Images (N, 3, 32, 32) in [0, 1], grey in three channels without a copy, and labels (N,)."""
    images, labels = fashion_mnist.load(split, folder)
    grey = torch.from_numpy(fashion_mnist.pad(images)).float()[:, None] / 255
    return grey.expand(-1, 3, -1, -1), torch.from_numpy(labels.astype(np.int64))


def augment(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Shift by up to two pixels, and blur some: generated pictures are a little softer and must read the same.

    No mirror images: in the data set shoes point one way.
    """
    across, down = (int(value) for value in rng.integers(-2, 3, size=2))
    shifted = torch.roll(images, (down, across), (2, 3))
    soft = F.avg_pool2d(F.pad(shifted, (1, 1, 1, 1), mode="replicate"), 3, 1)
    mix = torch.from_numpy(rng.uniform(0, 0.7, (len(images), 1, 1, 1)).astype(np.float32))
    return shifted.lerp(soft, mix)


def train(images: Tensor, labels: Tensor, epochs: int, batch: int = 128) -> FashionDetector:
    """AdamW with a linear warm-up and a cosine to zero, everything seeded."""
    torch.manual_seed(0)
    detector = FashionDetector().train()
    optimizer = torch.optim.AdamW(detector.parameters(), lr=LEARNING_RATE, weight_decay=0.05, fused=True)
    order, steps = np.random.default_rng(0), epochs * (len(images) // batch)
    places = (
        part for _ in range(epochs) for part in np.array_split(order.permutation(len(images)), len(images) // batch)
    )
    for step, chosen in enumerate(bar := tqdm(places, total=steps, unit="step", mininterval=2)):
        for group in optimizer.param_groups:
            rate = min(1.0, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * step / steps))
            group["lr"] = LEARNING_RATE * rate
        with mixed("cpu", cached=True):
            scores = detector.classes(
                detector.image_features(augment(images[chosen], np.random.default_rng((1, step))))
            )
        loss = F.cross_entropy(scores.float(), labels[chosen], label_smoothing=0.05)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return detector.eval()


@torch.inference_mode()
def accuracy(detector: FashionDetector, images: Tensor, labels: Tensor) -> float:
    """The share of images whose label it finds."""
    found = [label for part in images.split(500) for label in detector.classify(part)]
    return float((torch.tensor(found) == labels).float().mean())


@torch.inference_mode()
def save_reference(images: Tensor) -> None:
    """The features of every third test image, by the saved detector."""
    load_fashion_detector.cache_clear()
    detector = load_fashion_detector()
    features = torch.cat([detector.image_features(part) for part in images[::3].split(500)])
    write_world_reference(detector, features.half().numpy())


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("evaluation.detectors.train_fashion", __doc__)
    parser.add_argument("--data", type=Path, default=None, metavar="FOLDER", help="the four official files")
    parser.add_argument("--measure", action="store_true", help="only measure the saved detector")
    parser.add_argument("--epochs", type=int, default=12)
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    test = pictures("test", arguments.data)
    wanted = () if arguments.measure else pictures("train", arguments.data)
    detector = train(*wanted, arguments.epochs) if wanted else load_fashion_detector()
    measured = {"accuracy": accuracy(detector, *test), "n": len(test[1])}
    if not arguments.measure:
        save_weights(detector, measured)
        save_reference(test[0])
    print(f"accuracy on {measured['n']} test images: {measured['accuracy']:.4f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
