"""Pictures moved by some pixels, as a part of what the reader learns from is: whoever has only seen drawings knows at what
heights they put their things, and reads a picture badly whose things stand elsewhere, as a model's may."""

from __future__ import annotations

import torch
from torch import Tensor

from ldm_core.data.everyday.truth import GRID, UNSEEN, points

from .network import INPUT_SIZE

FURTHEST = 16  # pixels


def moved(images: Tensor, steps: Tensor) -> Tensor:
    """Images (B, 3, H, W), each moved by steps (B, 2) of whole pixels to the right and down; its edge is repeated where nothing
    was."""
    height, width = images.shape[-2:]
    across, down = steps.long().unbind(1)
    columns = (torch.arange(width, device=images.device) - across[:, None]).clamp(0, width - 1)
    lines = (torch.arange(height, device=images.device) - down[:, None]).clamp(0, height - 1)
    picture = torch.arange(len(images), device=images.device)[:, None, None, None]
    colour = torch.arange(images.shape[1], device=images.device)[:, None, None]
    return images[picture, colour, lines[:, None, :, None], columns[:, None, None, :]]


def moved_truth(truth: dict[str, Tensor], steps: Tensor) -> dict[str, Tensor]:
    """Labels (truth.labels_of) of B pictures, as they are once these are moved. On which side a thing is, is no longer asked
    where its picture was moved to a side, nor its size where it was moved up or down: big and near look much alike, and what
    is called small stands a little farther away."""
    across, down = (steps.float() / INPUT_SIZE).unbind(1)
    way = torch.stack([across, down, across, down], dim=1)[:, None]
    box = (truth["box"] + way).clamp(0, 1)
    column, line = ((GRID * at).long().clamp(0, GRID - 1) for at in points(box, truth["relation"]))
    elsewhere, (aside, higher) = (steps != 0).any(1)[:, None], (steps != 0).T[..., None]
    return truth | {
        "box": box,
        "cell": torch.where(elsewhere, line * GRID + column, truth["cell"]),
        "place": truth["place"].masked_fill(aside, UNSEEN),
        "size": truth["size"].masked_fill(higher, UNSEEN),
    }
