"""What the reader learns from: drawings of the everyday world, softened a little, and what is true of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from ldm_core.data import everyday as world
from ldm_core.data.everyday.truth import all_labels_of
from ldm_core.files import whole_file
from ldm_core.training.everyday import Drawings
from ldm_core.training.kept import identity_of_pictures, kept_array

from .detector import EverydayDetector
from .network import INPUT_SIZE

CAPTIONS = 4  # of each drawing
CHOICES = 3  # scenes of which one is learned from
CHECKED = 200  # scenes by which it is known that what was held true of them still is
BLURS = (0.75, 0.5)  # to which size pictures are brought and back


@dataclass
class Lessons:
    """Drawings, uint8 (N, 256, 256, 3) in a file, and what is true of them: arrays of N rows."""

    images: np.ndarray
    truth: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.images)


def kept_lessons(count: int, folder: Path, first: int = 0) -> Lessons:
    """Drawings to learn from, the first-th and so many, made once, then read from the folder."""
    scenes = [scene_of(index) for index in range(first, first + count)]
    drawings = Drawings(scenes, INPUT_SIZE)
    identity = identity_of_pictures(drawings)  # of a world that is drawn otherwise it is another
    folder.mkdir(parents=True, exist_ok=True)
    images = kept_array(folder / f"drawings-{first}-{count}.npy", identity, drawings.all)
    truth = folder / f"truth-{identity_of_truth(identity, scenes)[:12]}.npz"
    return Lessons(images, kept_arrays(truth, lambda: truth_of(scenes, first)))


def kept_arrays(path: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What `make` gives, made once, then read from the path, whose name says of what it is."""
    if not path.exists():
        with whole_file(path) as partial, partial.open("wb") as file:
            np.savez(file, **make())  # type: ignore[arg-type]  # numpy's hint takes every keyword for its own
    return dict(np.load(path))


def identity_of_truth(identity: str, scenes: list[world.Scene]) -> str:
    """SHA-256 of the pictures' own identity and of what is held true of the first of them today."""
    digest = hashlib.sha256(identity.encode())
    for scene in scenes[:CHECKED]:
        for name, values in all_labels_of(scene).items():
            digest.update(name.encode() + values.tobytes())
    return digest.hexdigest()


def scene_of(index: int) -> world.Scene:
    """The index-th scene to learn from: of CHOICES training seeds the first in which a thing stands in a relation to another.

    What is small, and on or before something, is hardest to read, and in two of three scenes there is no such thing.
    Withheld combinations are among them: the reader has to know what a generator never saw.
    """
    seeds = world.TRAINING_SEEDS[CHOICES * index : CHOICES * (index + 1)]
    scenes = [world.random_scene(seed, unseen=True) for seed in seeds]
    return next((scene for scene in scenes if any(thing.relation for thing in scene.things)), scenes[0])


def truth_of(scenes: list[world.Scene], start: int = 0) -> dict[str, np.ndarray]:
    """The labels of every scene, and tokens of some of its captions; `start` is the number of the first."""
    text = EverydayDetector().text
    rows = []
    for index, scene in enumerate(tqdm(scenes, desc="labels", unit="scene", mininterval=2, delay=2), start):
        looks = world.look_names(scene)
        said = [text.tokens(world.caption(scene, CAPTIONS * index + k, looks=looks)) for k in range(CAPTIONS)]
        rows.append({**all_labels_of(scene), "said": np.array(said, np.int16)})
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def augment(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Blur some, add a little noise and colour cast: generated pictures are softer than drawings, and must read the same."""
    factor = rng.choice(BLURS)
    soft = F.interpolate(F.interpolate(images, scale_factor=factor, mode="area"), images.shape[-2:], mode="bilinear")
    mix = torch.from_numpy(rng.uniform(0, 1, (len(images), 1, 1, 1)).astype(np.float32))
    cast = torch.from_numpy(rng.normal(0, 0.02, (len(images), 3, 1, 1)).astype(np.float32))
    noise = 0.02 * torch.randn(images.shape, generator=torch.Generator().manual_seed(int(rng.integers(2**32))))
    return (images.lerp(soft, mix) + cast + noise).clamp(0, 1)
