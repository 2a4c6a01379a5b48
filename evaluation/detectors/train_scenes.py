"""Train the detector of the drawn world on drawings, and measure it on drawings it has never seen.

python -m evaluation.detectors.train_scenes                trains, saves, measures
python -m evaluation.detectors.train_scenes --measure      measures what is saved
"""

from __future__ import annotations

import argparse
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from ldm_core.data import scenes
from ldm_core.data.scenes import COLOURED_KINDS, GROUND_KINDS, PLACES, Scene

from .. import command
from .scenes import HEADS, INPUT_SIZE, NONE, ScenesDetector, load_scenes_detector, scene_accuracy
from .weights_file import save_weights

UNSEEN = -100  # cross_entropy's mark for a label that does not count: the colour of a thing that has none


def labels_of(scene: Scene) -> list[int]:
    """The right answer of every head, in the order of HEADS."""
    answers = {"sky": scene.sky, "ground": scene.ground}
    answers |= {name: "yes" if getattr(scene, name) else "no" for name in ("mountains", "clouds")}
    answers |= {f"{row} {place}": NONE for row in ("lower", "upper") for place in PLACES}
    for thing in scene.things:
        slot = f"{'lower' if thing.kind in GROUND_KINDS else 'upper'} {thing.place}"
        answers[slot] = thing.kind
        if thing.kind in COLOURED_KINDS:
            answers[f"{slot} colour"] = thing.colour
    return [HEADS[name].index(answers[name]) if name in answers else UNSEEN for name in HEADS]


def drawings(seeds: range) -> tuple[list[Scene], Tensor]:
    """The scenes of the seeds, and their drawings at 128 pixels resized for the detector: (N, 3, 64, 64) in [0, 1]."""
    pictured = [scenes.random_scene(seed) for seed in seeds]
    small = torch.empty(len(pictured), 3, INPUT_SIZE, INPUT_SIZE)
    for index, scene in enumerate(tqdm(pictured, desc="drawing", unit="scene", mininterval=2)):
        image = torch.from_numpy(scenes.draw(scene)).permute(2, 0, 1)[None].float() / 255
        small[index] = F.interpolate(image, (INPUT_SIZE, INPUT_SIZE), mode="bicubic", antialias=True)[0].clamp(0, 1)
    return pictured, small


def augment(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Blur some, add a little noise and colour cast: generated pictures are softer than drawings, and must read the same."""
    soft = F.interpolate(F.interpolate(images, scale_factor=0.5, mode="area"), images.shape[-2:], mode="bilinear")
    mix = torch.from_numpy(rng.uniform(0, 0.8, (len(images), 1, 1, 1)).astype(np.float32))
    cast = torch.from_numpy(rng.normal(0, 0.02, (len(images), 3, 1, 1)).astype(np.float32))
    noise = torch.from_numpy(rng.normal(0, 0.02, images.shape).astype(np.float32))
    return (images.lerp(soft, mix) + cast + noise).clamp(0, 1)


def loss_of(detector: ScenesDetector, images: Tensor, labels: Tensor, texts: list[str]) -> Tensor:
    """Cross-entropy of every head, and the symmetric contrastive loss of images and texts (Radford et al. 2021)."""
    prepared = images * 2 - 1
    hidden = detector.trunk(prepared)
    scores = detector.attributes(hidden).split([len(answers) for answers in HEADS.values()], dim=1)
    attributes = sum(
        F.cross_entropy(score, target, ignore_index=UNSEEN, reduction="sum") for score, target in zip(scores, labels.T)
    ) / len(images)
    pictures = F.normalize(detector.project(hidden), dim=1)
    words = F.normalize(detector.text_features(texts), dim=1)
    cosines = detector.log_scale.exp().clamp(max=50) * pictures @ words.T
    target = torch.arange(len(images))
    return attributes + F.cross_entropy(cosines, target) + F.cross_entropy(cosines.T, target)


def train(steps: int, batch: int, pool: int) -> ScenesDetector:
    """AdamW with a one-cycle learning rate, everything seeded; the weights are saved as fp16."""
    torch.manual_seed(0)
    detector = ScenesDetector().train()
    pictured, images = drawings(scenes.TRAINING_SEEDS[-pool:])
    labels = torch.tensor([labels_of(scene) for scene in pictured])
    optimizer = torch.optim.AdamW(detector.parameters(), lr=2e-3, weight_decay=0.02, fused=True)
    for step in (bar := tqdm(range(steps), unit="step", mininterval=2)):
        rng = np.random.default_rng((1, step))
        chosen = rng.integers(pool, size=batch)
        texts = [scenes.caption(pictured[i], int(i) * 1009 + step) for i in chosen]
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / steps))
        loss = loss_of(detector, augment(images[chosen], rng), labels[chosen], texts)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return detector


@torch.inference_mode()
def measure(count: int) -> None:
    """Print the detector's ceiling on held-out drawings against their own captions."""
    detector, (pictured, images) = load_scenes_detector(), drawings(scenes.HELD_OUT_SEEDS[:count])
    shown = [scene for start in range(0, count, 250) for scene in detector.read(images[start : start + 250])]
    texts = [scenes.caption(scene, index) for index, scene in enumerate(pictured)]
    asked = [scenes.parse(text) for text in texts]
    accuracy = [scene_accuracy(found, wanted) for found, wanted in zip(shown, asked) if wanted is not None]
    pictures = F.normalize(torch.cat([detector.image_features(part) for part in images.split(250)]), dim=1)
    words = F.normalize(detector.text_features(texts), dim=1)
    right, wrong = (pictures * words).sum(1).mean(), (pictures * words.roll(1, 0)).sum(1).mean()
    whole = np.mean(
        [
            all(getattr(a, n) == getattr(b, n) for n in ("sky", "ground", "things", "mountains", "clouds"))
            for a, b in zip(shown, pictured)
        ]
    )
    print(f"held-out drawings: {count}")
    print(f"scene_accuracy ceiling: {np.mean(accuracy):.4f} (+/- {np.std(accuracy) / math.sqrt(count):.4f})")
    print(f"whole scene read without a mistake: {whole:.4f}")
    print(f"clip_scenes: {100 * right:.1f} with its own caption, {100 * wrong:.1f} with another's")


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("evaluation.detectors.train_scenes", __doc__)
    parser.add_argument("--measure", action="store_true", help="only measure the saved detector")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--pool", type=int, default=20_000, help="drawings to learn from")
    parser.add_argument("--held-out", type=int, default=1000, help="drawings to measure on")
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    if not arguments.measure:
        save_weights(train(arguments.steps, arguments.batch, arguments.pool))
        load_scenes_detector.cache_clear()
    measure(arguments.held_out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
