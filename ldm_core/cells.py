"""The cells of a picture grid (one image each), and the network rows that a step of all of them needs.

Cells that have had the same inputs so far hold the same latent: all scales of a prompt before the first step, all
prompts at w = 0, all scales outside a guidance interval. Such cells share their rows, which is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from . import guidance
from .conditioning import Conditioning
from .denoisers import Denoiser
from .guidance import Guidance

ROWS_PER_CALL = {"cpu": 16, "cuda": 32}  # at most; enough to fill the device, see `python -m evaluation.benchmark`


@dataclass(frozen=True)
class Cell:
    """One image to make."""

    prompt: str
    negative_prompt: str | None  # None: what the family takes for no prompt
    seed: int
    guidance: Guidance  # its scale set


@dataclass(frozen=True)
class _Need:
    """What a cell asks of the network at a step: texts, conditional first and unconditional last; how they are combined."""

    texts: tuple[str | None, ...]
    weight: float
    rescale: float  # 0 where nothing is combined
    embedded: float | None  # the weight that the network itself is given, where it takes one


class GuidedCells:
    """Predicts for all cells at once: `predict` is what the denoising loop calls."""

    def __init__(
        self,
        cells: list[Cell],
        texts: dict[str | None, Conditioning],
        denoiser: Denoiser,
        rows_per_call: int | None,
    ):
        self.cells, self.texts, self.denoiser, self.rows_per_call = cells, texts, denoiser, rows_per_call
        # Equal histories mean equal latents; cells of one seed begin equal.
        self.history: list[tuple] = [(cell.seed,) for cell in cells]

    def predict(self, latents: Tensor, timestep: Tensor, t: float) -> Tensor:
        """The guided predictions (B, C, h, w) for the cells' latents (B, C, h, w) at time t."""
        needs = [self._need(cell, t) for cell in self.cells]
        rows: dict[tuple, int] = {}  # (history, text, embedded weight) -> row
        origin: list[int] = []  # the cell whose latent a row takes
        for index, (history, need) in enumerate(zip(self.history, needs)):
            for text in need.texts:
                if rows.setdefault((history, text, need.embedded), len(rows)) == len(origin):
                    origin.append(index)
        conditioning = Conditioning.stack([self.texts[text] for _, text, _ in rows])
        weights = [1.0 if weight is None else weight for *_, weight in rows]
        per_call = self.rows_per_call or self._even(len(rows))
        predictions = self.denoiser(latents[origin], timestep, conditioning, per_call, torch.tensor(weights))
        cond, uncond = (
            predictions[[rows[history, need.texts[side], need.embedded] for history, need in zip(self.history, needs)]]
            for side in (0, -1)
        )
        self._remember(needs)
        return _combined(cond, uncond, needs)

    def _even(self, rows: int) -> int:
        """Rows per call where none are asked for: in the fewest calls that fill the device, all of them even. A compiled
        network is asked for one shape in all steps, another engine's for a few."""
        needed = 2 * len(self.cells) if self.denoiser.compiled else rows
        even = math.ceil(needed / math.ceil(needed / ROWS_PER_CALL.get(self.denoiser.device.type, 16)))
        return next((count for count in self.denoiser.row_counts if count >= even), even)

    def _need(self, cell: Cell, t: float) -> _Need:
        weight = cell.guidance.weight(t)
        texts = texts_needed(cell, weight, self.denoiser.embeds_guidance)
        if self.denoiser.embeds_guidance:  # without the prompt there is nothing that the network was taught to weigh
            return _Need(texts, weight, 0.0, 1.0 if weight == 0 else weight)
        return _Need(texts, weight, cell.guidance.rescale if len(texts) == 2 else 0.0, None)

    def _remember(self, needs: list[_Need]) -> None:
        """Number the distinct (history, inputs of this step): short labels in place of growing histories."""
        labels: dict[tuple, int] = {}
        keys = list(zip(self.history, needs))
        self.history = [(cell.seed, labels.setdefault(key, len(labels))) for cell, key in zip(self.cells, keys)]


def texts_needed(cell: Cell, weight: float, embedded: bool = False) -> tuple[str | None, ...]:
    """Conditional first, unconditional last; one text where the other would be multiplied by zero, or where the network
    takes the weight itself."""
    if weight == 0:
        return (cell.negative_prompt,)
    return (cell.prompt,) if weight == 1 or embedded else (cell.prompt, cell.negative_prompt)


def _combined(cond: Tensor, uncond: Tensor, needs: list[_Need]) -> Tensor:
    """Predictions (B, C, h, w) with and without the prompt -> guided, each row as its cell asks."""
    guided = guidance.combine(cond, uncond, torch.tensor([need.weight for need in needs], device=cond.device))
    amounts = [need.rescale for need in needs]
    if not any(amounts):
        return guided
    chosen = torch.tensor([amount > 0 for amount in amounts], device=cond.device).view(-1, 1, 1, 1)
    return torch.where(chosen, guidance.rescale(guided, cond, amounts), guided)
