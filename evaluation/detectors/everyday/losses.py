"""What the reader learns from: what is wrong in what it says of drawings whose things, places and captions are known."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ldm_core.data.everyday.truth import ATTRIBUTES, GRID, UNSEEN, points
from ldm_core.precision import mixed

from .detector import EverydayDetector
from .network import SCENE, Maps, Things


def loss_of(
    detector: EverydayDetector, images: Tensor, truth: dict[str, Tensor], said: Tensor | None, jitter: Tensor
) -> dict[str, Tensor]:
    """The parts of the loss: things, the scene's attributes, and, where texts are given, images against them (Radford et
    al. 2021)."""
    with mixed(images.device.type):
        maps, whole = detector.eye((images * 2 - 1).contiguous(memory_format=torch.channels_last))
        logits = detector.things(maps).float()
        words = None if said is None else F.normalize(detector.text(said).float(), dim=1)
    whole = whole.float()
    maps = Maps(*(features.float() for features in maps))
    found = thing_losses(detector.things, maps, logits, truth, jitter)
    scores = detector.scene(whole).split(list(SCENE.values()), dim=1)
    found |= {name: F.cross_entropy(score, truth["scene"][:, k]) for k, (name, score) in enumerate(zip(SCENE, scores))}
    if words is not None:
        pictures = F.normalize(detector.project(whole), dim=1)
        cosines = detector.log_scale.exp().clamp(max=50) * pictures @ words.T
        target = torch.arange(len(images), device=images.device)
        found["contrast"] = 0.5 * (F.cross_entropy(cosines, target) + F.cross_entropy(cosines.T, target))
    return found


def thing_losses(
    things: Things, maps: Maps, logits: Tensor, truth: dict[str, Tensor], jitter: Tensor
) -> dict[str, Tensor]:
    """Cross-entropy of which cells hold a thing, of its kind and attributes; L1 of its box and of where its partner is.

    What a thing is is also asked a little beside its point (jitter, of cells), since it may be found there (asked). Every one
    of the MOST rows is asked, and those without a thing weigh nothing: shapes that depend on the batch could not be recorded.
    """
    there = truth["kind"] != UNSEEN  # (B, MOST)
    count, most = there.shape
    target = torch.zeros(count, GRID * GRID, device=logits.device)
    target = target.scatter_reduce(1, truth["cell"], there.float(), "amax")
    found = {"where": F.binary_cross_entropy_with_logits(logits.flatten(1), target, reduction="sum") / there.sum()}
    box = truth["box"].flatten(0, 1)
    at = torch.stack(points(truth["box"], truth["relation"]), dim=2)
    column, line = asked(at, there, jitter).flatten(0, 1).T
    picture = torch.arange(count, device=logits.device).repeat_interleave(most)
    about = things.describe(maps, picture, line * GRID + column)
    for name in ("kind", *ATTRIBUTES):
        found[name] = F.cross_entropy(about[name], truth[name].flatten(), ignore_index=UNSEEN)
    centre = torch.stack([column, line], dim=1).add(0.5) / GRID
    sides = torch.cat([centre - box[:, :2], box[:, 2:] - centre], dim=1)
    found["box"] = 10 * mean_where(there.flatten(), (about["box"] - sides).abs())
    steps = (about["partner"] - truth["partner"].flatten(0, 1)).abs()
    found["partner"] = 5 * mean_where(truth["relation"].flatten() > 0, steps)
    return found


def asked(at: Tensor, there: Tensor, jitter: Tensor) -> Tensor:
    """The cells (B, MOST, 2), across and down, in which it is asked what things are that are looked for at these points
    (B, MOST, 2) of the picture: jitter (B, MOST, 2), in cells, beside them, but not where the point of another of them
    (`there`) is nearer.

    A ball on a bed may be looked for two cells from the bed: told between them that it is both, the reader calls the bed as
    brown as the ball.
    """
    at = GRID * at
    cells = (at + jitter).long().clamp(0, GRID - 1)
    away = torch.cdist(cells + 0.5, at).masked_fill(~there[:, None], torch.inf)
    nearest = away.argmin(2) == torch.arange(at.shape[1], device=at.device)
    return torch.where(nearest[..., None], cells, at.long().clamp(0, GRID - 1))


def mean_where(there: Tensor, values: Tensor) -> Tensor:
    """The mean of the rows of values (n, k) at which `there` (n,) is true; 0 where it nowhere is."""
    return (values * there[:, None]).sum() / there.sum().clamp(min=1) / values.shape[1]
