"""Training of the detector on drawings, step by step; the command is ..train_everyday."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ldm_core.data.everyday.truth import MOST
from ldm_core.files import whole_file
from ldm_core.training.losses import update_ema
from ldm_core.training.muon import Muon
from ldm_core.training.soup import interpolated

from .detector import EverydayDetector
from .lessons import CAPTIONS, Lessons, augment, kept_lessons
from .losses import loss_of
from .mirror import some_mirrored
from .moved import FURTHEST, moved, moved_truth

RATE, GO_ON_RATE = 4e-3, 2e-3  # the learning rate at its highest
WARM_UP, DECAY = 50, 0.4  # its steps of rise, its share of linear fall at the end
KEPT_EVERY = 50  # steps
AVERAGED = 0.999  # of the running average of the weights, how much a step leaves of it
JITTER = 0.8  # cells
TEXTS = 0.5  # the share of the steps that also learn from captions
MIRRORED = 0.5  # the share of the pictures of which the mirror images are learned from
MOVED = 0.3  # the share of the pictures that are moved by up to FURTHEST pixels
# What Adam moves, not Muon: embeddings, and the first and the last of the layers.
OUTER = re.compile(r"embed|position|stem\.1|where\.2|where_detail|about|quarter|scene\.")


def rate_at(step: int, steps: int, most: float = RATE) -> float:
    """The learning rate of a step: up, level, and down to nothing at the end."""
    return most * min(1.0, (step + 1) / WARM_UP, max((steps - step) / (DECAY * steps), 0.0))


def train(
    steps: int,
    batch: int,
    pool: int,
    folder: Path,
    begin: EverydayDetector | None = None,
    first: int = 0,
    compiler: str | None = None,
) -> EverydayDetector:
    """Muon, everything seeded; returns the average of the weights over the last steps. The state of the training is kept in the
    folder. `begin` is a detector to go on from, `first` the number of the first drawing of the pool, `compiler` a backend of
    torch.compile for its eye. ValueError where the folder holds a training on other drawings or batches."""
    torch.manual_seed(0)
    settings = {"batch": batch, "pool": pool, "first": first}
    kept, start = folder / "state.pt", 0
    state = torch.load(kept, weights_only=True) if kept.exists() else None
    check_settings(folder, settings if state is None else state["settings"], settings)
    drawn = kept_lessons(pool, folder, first)
    detector = begun(begin)
    if compiler is not None:
        detector.eye.compile(backend=compiler)
    most = RATE if begin is None else GO_ON_RATE
    optimizer = optimizer_of(detector)
    if state is not None:
        detector.load_state_dict(state["detector"])
        optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
    average = {name: value.clone() for name, value in weights_of(detector).items()}
    average |= {} if state is None else state.get("average", {})  # of an older training none was kept
    for step in (bar := tqdm(range(start, steps), unit="step", mininterval=10, initial=start, total=steps)):
        losses = learn(detector, optimizer, drawn, np.random.default_rng((1, step)), batch, rate_at(step, steps, most))
        update_ema(average, weights_of(detector), AVERAGED, step)
        bar.set_postfix_str(" ".join(f"{name} {value:.3f}" for name, value in losses.items()), refresh=False)
        if (step + 1) % KEPT_EVERY == 0 or step + 1 == steps:
            with whole_file(kept) as partial:
                learned = {"detector": detector.state_dict(), "optimizer": optimizer.state_dict(), "average": average}
                torch.save({**learned, "step": step + 1, "settings": settings}, partial)
    detector.load_state_dict(detector.state_dict() | average)
    return detector


def weights_of(detector: EverydayDetector) -> dict[str, torch.Tensor]:
    """All of its numbers but counts."""
    return {name: value for name, value in detector.state_dict().items() if value.is_floating_point()}


def check_settings(folder: Path, before: dict[str, int], now: dict[str, int]) -> None:
    """ValueError unless a training goes on with what it began with; only its steps may be more."""
    changed = [f"--{name} {now[name]} ({before[name]} before)" for name in now if now[name] != before[name]]
    if changed:
        raise ValueError(
            f"--out {folder} holds a training with other settings: {', '.join(changed)}; choose a new folder"
        )


def begun(begin: EverydayDetector | None) -> EverydayDetector:
    """A detector to be trained, with the weights of another or with random ones."""
    detector = EverydayDetector()
    if begin is not None:
        detector.load_state_dict(begin.state_dict())
    return detector.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # it takes that too


def optimizer_of(detector: EverydayDetector, capturable: bool = False) -> Muon:
    """At the rate of a training from random weights; `capturable` as Muon says."""
    outer = [weights for name, weights in detector.named_parameters() if OUTER.search(name)]
    return Muon(detector.parameters(), lr=RATE, weight_decay=0.02, plain=outer, capturable=capturable)


def learn(
    detector: EverydayDetector,
    optimizer: torch.optim.Optimizer,
    drawn: Lessons,
    rng: np.random.Generator,
    batch: int,
    rate: float,
) -> dict[str, float]:
    """One step on a batch of the lessons; returns the parts of its loss."""
    chosen = np.sort(rng.integers(len(drawn), size=batch))
    images = torch.from_numpy(drawn.images[chosen]).permute(0, 3, 1, 2).float() / 255
    truth = {name: torch.from_numpy(values[chosen]) for name, values in drawn.truth.items()}
    turned = torch.from_numpy(rng.random(batch) < MIRRORED)
    jitter = torch.from_numpy(rng.uniform(-JITTER, JITTER, (batch, MOST, 2)).astype(np.float32))
    said = truth["said"][:, int(rng.integers(CAPTIONS))].long()
    said = said[:, : int((said != 0).sum(1).max())]  # the rest is padding
    images, truth, said = some_mirrored(turned, images, truth, said, detector.text.words)
    steps = torch.from_numpy(rng.integers(-FURTHEST, FURTHEST + 1, (batch, 2)) * (rng.random((batch, 1)) < MOVED))
    images, truth = moved(images, steps), moved_truth(truth, steps)
    for group in optimizer.param_groups:
        group["lr"] = rate
    losses = loss_of(detector, augment(images, rng), truth, said if rng.random() < TEXTS else None, jitter)
    optimizer.zero_grad(set_to_none=True)
    sum(losses.values(), torch.zeros(())).backward()
    torch.nn.utils.clip_grad_norm_(detector.parameters(), 5.0)
    optimizer.step()
    return {name: value.item() for name, value in losses.items()}


def half_way(before: EverydayDetector, after: EverydayDetector) -> EverydayDetector:
    """The mean of the weights before and after a training that went on from the former (WiSE-FT: Wortsman et al. 2022, arXiv
    2109.01903): it reads what either reads best."""
    found = EverydayDetector()
    found.load_state_dict(after.state_dict() | interpolated(weights_of(before), weights_of(after), 0.5))
    return found.eval()
