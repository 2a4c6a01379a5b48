"""What sizes are learned from: how things stand in scenes that need not be drawn, of which there may be many.

How large a thing is called hangs on where it stands, on what is beside it and on what it is, by rules with sharp edges that fifty
thousand drawings do not show often enough.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from ldm_core.data.everyday import KINDS, TRAINING_SEEDS, Scene, random_scene
from ldm_core.data.everyday.truth import MOST, UNSEEN, all_labels_of
from ldm_core.training.muon import Muon

from .lessons import CHECKED, identity_of_truth, kept_arrays
from .mirror import mirrored_truth
from .network import SCENE
from .sizes import Sizes

FIRST = 15_000_000  # the seed of the first of the scenes: those of drawings that were learned from so far are lower
CHUNK = 1000  # scenes a job
BATCH = 256  # scenes a step
RATE = 4e-3
ERROR = 0.005  # the standard deviation of what boxes err, as those that are read do


def arrangements(count: int, first: int = FIRST) -> dict[str, np.ndarray]:
    """The labels of `count` scenes (truth.labels_of), and as `scene` those of the whole; all processors work."""
    jobs = [TRAINING_SEEDS[start : min(start + CHUNK, first + count)] for start in range(first, first + count, CHUNK)]
    with ProcessPoolExecutor() as pool:
        made = list(tqdm(pool.map(_labels, jobs), "arranging", len(jobs), unit=f" {CHUNK} scenes", mininterval=2))
    return {name: np.concatenate([part[name] for part in made]) for name in made[0]}


def _scenes(seeds: range) -> list[Scene]:
    return [random_scene(seed, unseen=True) for seed in seeds]


def _labels(seeds: range) -> dict[str, np.ndarray]:
    rows = [all_labels_of(scene) for scene in _scenes(seeds)]
    small = {name: np.int16 if values.dtype == np.int64 else values.dtype for name, values in rows[0].items()}
    return {name: np.stack([row[name] for row in rows]).astype(small[name]) for name in rows[0]}


def kept_arrangements(count: int, folder: Path) -> dict[str, np.ndarray]:
    """The same, made once, then read from the folder; of a world that is arranged otherwise they are others."""
    identity = identity_of_truth("", _scenes(TRAINING_SEEDS[FIRST : FIRST + CHECKED]))
    return kept_arrays(folder / f"arrangements-{count}-{identity[:12]}.npz", lambda: arrangements(count))


def learn_sizes(sizes: Sizes, truth: dict[str, np.ndarray], steps: int, batch: int = BATCH) -> list[float]:
    """Muon, everything seeded, half of the scenes mirrored; returns the loss of each step."""
    torch.manual_seed(0)
    outer = [weights for name, weights in sizes.named_parameters() if name.startswith(("say", "scene", "box.0"))]
    optimizer = Muon(sizes.parameters(), lr=RATE, weight_decay=0.01, plain=outer)
    rng, losses = np.random.default_rng(0), []
    for step in tqdm(range(steps), "sizes", unit="step", mininterval=2):
        chosen = rng.integers(len(truth["kind"]), size=batch)
        rows = {name: torch.from_numpy(values[chosen]) for name, values in truth.items()}
        rows = {name: values if values.is_floating_point() else values.long() for name, values in rows.items()}
        loss = loss_of_sizes(sizes, mirrored_truth(rows, torch.from_numpy(rng.random(batch) < 0.5)))
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, 2 * (steps - step) / steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(sizes.parameters(), 5.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def loss_of_sizes(sizes: Sizes, truth: dict[str, Tensor]) -> Tensor:
    """Cross-entropy of the sizes of things of known kinds and nearly known boxes."""
    there = truth["kind"] != UNSEEN
    kinds = F.one_hot(truth["kind"].clamp(min=0), len(KINDS)).float()
    answers = [F.one_hot(truth["scene"][:, k], count).float() for k, count in enumerate(SCENE.values())]
    wrong = ERROR * torch.randn(len(there), MOST, 4)
    scores = sizes(kinds, truth["box"] + wrong, there, torch.cat(answers, dim=1))
    return F.cross_entropy(scores.flatten(0, 1), truth["size"].flatten(), ignore_index=UNSEEN)
