"""Pictures and their mirror images: half of what the reader learns from is mirrored, and of a picture it takes the mean of what
it says of the two, which errs less than either.

In a mirror image left is right and right is left, of places, of boxes and in captions; all else is as it was.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ldm_core.data.everyday.truth import ATTRIBUTES, GRID, UNSEEN

from .network import INPUT_SIZE, Maps, Things

LEAST = 0.02  # the chance of a thing's middle from which it is asked what a cell holds
PIXEL = 1 / INPUT_SIZE
TINY = 1e-12  # of probabilities, whose logarithm is to be a number


class Cells(NamedTuple):
    """The chance of a thing's point (truth.points) being in each cell (B, GRID, GRID), and of those cells (n,) of pictures (n,)
    that may hold one what is said: for each name of ABOUT (n, numbers), log-probabilities where it is one of several answers."""

    chances: Tensor
    pictures: Tensor
    cells: Tensor
    about: dict[str, Tensor]


def mirrored(images: Tensor) -> Tensor:
    """Images (B, 3, H, W), left and right exchanged; by a pixel less, so that what lies between two cells is in the mirror image of
    the one that held it."""
    turned = images.flip(3)
    return torch.cat([turned[..., 1:], turned[..., -1:]], dim=3)


def mirrored_cell(cells: Tensor) -> Tensor:
    """The number of the cell that holds in the mirror image what a cell holds."""
    return cells + GRID - 1 - 2 * (cells % GRID)


def mirrored_boxes(boxes: Tensor) -> Tensor:
    """Boxes (..., 4) as they lie in the mirror image."""
    left, top, right, bottom = boxes.unbind(-1)
    return torch.stack([1 - PIXEL - right, top, 1 - PIXEL - left, bottom], dim=-1)


def said_of_both(things: Things, maps: Maps, maps_of_mirrored: Maps) -> Cells:
    """What is said of pictures and of their mirror images: the mean of the probabilities, of boxes and of steps."""
    chances = 0.5 * (things(maps).sigmoid() + things(maps_of_mirrored).flip(2).sigmoid())
    pictures, cells = (chances.flatten(1) > LEAST).nonzero().T
    one = things.describe(maps, pictures, cells)
    other = turned_back(things.describe(maps_of_mirrored, pictures, mirrored_cell(cells)))
    answers = {name: 0.5 * (one[name].softmax(1) + other[name].softmax(1)) for name in ("kind", *ATTRIBUTES)}
    logs = {name: values.clamp(min=TINY).log() for name, values in answers.items()}
    return Cells(
        chances, pictures, cells, logs | {name: 0.5 * (one[name] + other[name]) for name in ("box", "partner")}
    )


def turned_back(about: dict[str, Tensor]) -> dict[str, Tensor]:
    """What is said of things in mirror images, as it is of the things themselves; `place` is left, center, right, and a mirror image
    lies a pixel further left."""
    right, up, left, down = about["box"].unbind(1)
    back = {"box": torch.stack([left + PIXEL, up, right - PIXEL, down], dim=1), "partner": _across(about["partner"])}
    return about | back | {"place": about["place"].flip(1)}


def some_mirrored(
    which: Tensor, images: Tensor, truth: dict[str, Tensor], said: Tensor, words: dict[str, int]
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Images, what is true of them and tokens of a caption of each, of their mirror images where `which` (B,) is true."""
    return some(which, mirrored(images), images), mirrored_truth(truth, which), mirrored_words(said, which, words)


def mirrored_truth(truth: dict[str, Tensor], which: Tensor) -> dict[str, Tensor]:
    """Labels (truth.labels_of) of B pictures, as they are of the mirror images of those of which `which` (B,) is true."""
    place = truth["place"]
    turned = {
        "cell": mirrored_cell(truth["cell"]),
        "place": torch.where(place == UNSEEN, place, len(ATTRIBUTES["place"]) - 1 - place),
        "box": mirrored_boxes(truth["box"]),
        "partner": _across(truth["partner"]),
    }
    return truth | {name: some(which, values, truth[name]) for name, values in turned.items()}


def mirrored_words(said: Tensor, which: Tensor, words: dict[str, int]) -> Tensor:
    """Tokens (B, T) of captions, as they are of mirror images; "right next to" is no place."""
    left, right, following = said == words["left"], said == words["right"], F.pad(said[:, 1:], (0, 1))
    turned = said.masked_fill(left, words["right"])
    turned = turned.masked_fill(right & (following != words["next"]), words["left"])
    return some(which, turned, said)


def some(which: Tensor, ones: Tensor, others: Tensor) -> Tensor:
    """Of two (B, ...) the rows of the one where `which` (B,) is true, elsewhere those of the other."""
    return torch.where(which.view(-1, *[1] * (ones.ndim - 1)), ones, others)


def _across(step: Tensor) -> Tensor:
    """A step (..., 2) in a mirror."""
    return torch.stack([-step[..., 0], step[..., 1]], dim=-1)
