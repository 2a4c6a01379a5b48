"""A second glance: things of which the eye is not sure are looked at once more, at twice the size.

What is small is hard to tell, a cup on a bench from a cat there; and there are large cups and large benches among what the eye has
learned from. So it needs no other weights for a part of the picture that is brought to the size of the whole.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ldm_core.data.everyday.truth import GRID

from .mirror import Cells
from .network import INPUT_SIZE

ZOOM = 2
SURE = 0.97  # the chance of a kind from which no second glance is needed
CLEAR = 0.85  # the chance from which what a glance says counts: what is soft is softer yet at twice its size
LARGEST = 0.4  # how wide or high a thing may be, a fraction of the picture, to be seen whole at ZOOM times its size
BESIDE, ABOVE = 2.5, 4.5  # cells from a thing's middle, to a side or below it, and above it, in which it may be seen
NOTHING = 1e-3  # what a glance that sees none of a kind leaves of its chance


def second_glance(said: Cells, boxes: Tensor, rows: Tensor, images: Tensor, look: Callable[[Tensor], Cells]) -> Cells:
    """What is said of cells, once things in rows (n,) of them, where their kind is unsure, have been looked at again: where that
    was clear, the product of both chances.

    boxes: of all cells, as reading.boxes_of. images: (B, 3, 256, 256) in [-1, 1]. look: what the eye says of such images.
    """
    kinds, extent = said.about["kind"], (boxes[:, 2:] - boxes[:, :2]).amax(1)
    rows = rows[(kinds[rows].exp().amax(1) < SURE) & (extent[rows] < LARGEST)]
    if not len(rows):
        return said
    middles = (boxes[rows, :2] + boxes[rows, 2:]) / 2
    corners = corners_of(middles)
    parts = torch.cat([part_of(images[said.pictures[row]], corner) for row, corner in zip(rows, corners)])
    seen = kinds_at((middles - corners / INPUT_SIZE) * ZOOM, look(parts))
    clear = seen.amax(1) >= CLEAR
    both = kinds[rows[clear]] + (seen[clear] + NOTHING).log()
    return said._replace(about=said.about | {"kind": kinds.index_copy(0, rows[clear], both.log_softmax(1))})


def corners_of(middles: Tensor) -> Tensor:
    """The left upper pixels (n, 2) of the parts of a picture around middles (n, 2), fractions of it."""
    side = INPUT_SIZE // ZOOM
    return (middles * INPUT_SIZE - side / 2).long().clamp(0, INPUT_SIZE - side)


def part_of(image: Tensor, corner: Tensor) -> Tensor:
    """The part of an image (3, 256, 256) whose left upper pixel is a corner (2,), as large as the whole: (1, 3, 256, 256)."""
    left, top = corner.tolist()
    side = INPUT_SIZE // ZOOM
    cut = image[None, :, top : top + side, left : left + side]
    return F.interpolate(cut, scale_factor=ZOOM, mode="bicubic").clamp(-1, 1)


def kinds_at(middles: Tensor, said: Cells) -> Tensor:
    """The chances (n, kinds) of what is around the middles (n, 2) of n pictures, a middle each; nought where nothing is."""
    across = said.cells % GRID + 0.5 - GRID * middles[said.pictures, 0]
    down = said.cells // GRID + 0.5 - GRID * middles[said.pictures, 1]
    near = (across.abs() <= BESIDE) & (down <= BESIDE) & (down >= -ABOVE)
    kinds = said.about["kind"].exp() * (said.chances.flatten(1)[said.pictures, said.cells] * near)[:, None]
    total = kinds.new_zeros(len(middles), kinds.shape[1]).index_add(0, said.pictures, kinds)
    return total / total.sum(1, keepdim=True).clamp(min=NOTHING)
