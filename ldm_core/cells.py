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

ROWS_PER_CALL = {"cpu": 16, "cuda": 32}  # at most; enough to fill the device, see `python -m evaluation.benchmark`


@dataclass(frozen=True)
class Cell:
    """One image to make."""

    prompt: str
    negative_prompt: str | None  # None: what the family takes for no prompt
    seed: int
    guidance_scale: float


class GuidedCells:
    """Predicts for all cells at once: `predict` is what the denoising loop calls."""

    def __init__(
        self,
        cells: list[Cell],
        texts: dict[str | None, Conditioning],
        denoiser: Denoiser,
        rows_per_call: int | None,
        schedule: str,
        interval: tuple[float, float] | None,
        rescale: float,
        until_alike: float | None = None,
    ):
        self.cells, self.texts, self.denoiser, self.rows_per_call = cells, texts, denoiser, rows_per_call
        self.schedule, self.interval, self.rescale = schedule, interval, rescale
        self.until_alike, self.alike = until_alike, [False] * len(cells)
        self.history: list[tuple] = [(cell.seed,) for cell in cells]  # equal histories mean equal latents

    def predict(self, latents: Tensor, timestep: Tensor, t: float) -> Tensor:
        """The guided predictions (B, C, h, w) for the cells' latents at time t."""
        weights = [self._weight(index, t) for index in range(len(self.cells))]
        needs = [self._texts_needed(cell, w) for cell, w in zip(self.cells, weights)]
        rows: dict[tuple, int] = {}  # (history, text) -> row
        origin: list[int] = []  # the cell whose latent a row takes
        for index, (history, needed) in enumerate(zip(self.history, needs)):
            for text in needed:
                if rows.setdefault((history, text), len(rows)) == len(origin):
                    origin.append(index)
        told = Conditioning.stack([self.texts[text] for _, text in rows])
        predictions = self.denoiser(latents[origin], timestep, told, self.rows_per_call or self._even(len(rows)))
        cond, uncond = (predictions[[rows[h, n[side]] for h, n in zip(self.history, needs)]] for side in (0, -1))
        self._remember(needs, weights)
        if self.until_alike is not None:
            self._compare(cond, uncond, needs)
        return self._combine(cond, uncond, torch.tensor(weights, device=cond.device))

    def _even(self, rows: int) -> int:
        """Rows per call where none are asked for: in the fewest calls that fill the device, all of them even. A compiled
        network is asked for one shape in all steps."""
        needed = 2 * len(self.cells) if self.denoiser.compiled else rows
        return math.ceil(needed / math.ceil(needed / ROWS_PER_CALL.get(self.denoiser.device.type, 16)))

    def _weight(self, index: int, t: float) -> float:
        scale = self.cells[index].guidance_scale
        if self.alike[index]:
            return min(scale, 1.0)
        return guidance.weight(scale, t, self.schedule, self.interval)

    def _compare(self, cond: Tensor, uncond: Tensor, needs: list[tuple]) -> None:
        """Note where the two predictions have become alike: from the next step on the conditional one does by itself
        (Castillo et al. 2023, Adaptive Guidance, section 4.2)."""
        likeness = torch.cosine_similarity(cond.flatten(1), uncond.flatten(1)).tolist()
        for index, needed in enumerate(needs):
            self.alike[index] |= len(needed) == 2 and likeness[index] > self.until_alike

    def _texts_needed(self, cell: Cell, w: float) -> tuple[str | None, ...]:
        """Conditional first, unconditional last; one text where the other would be multiplied by zero."""
        if w == 1:
            return (cell.prompt,)
        return (cell.negative_prompt,) if w == 0 else (cell.prompt, cell.negative_prompt)

    def _combine(self, cond: Tensor, uncond: Tensor, w: Tensor) -> Tensor:
        guided = guidance.combine(cond, uncond, w)
        if self.rescale == 0:
            return guided
        pushed = ((w != 0) & (w != 1)).view(-1, 1, 1, 1)
        return torch.where(pushed, guidance.rescale(guided, cond, self.rescale), guided)

    def _remember(self, needs: list[tuple[str, ...]], weights: list[float]) -> None:
        """Number the distinct (history, inputs of this step): short labels in place of growing histories."""
        labels: dict[tuple, int] = {}
        keys = [(history, needed, w) for history, needed, w in zip(self.history, needs, weights)]
        self.history = [(cell.seed, labels.setdefault(key, len(labels))) for cell, key in zip(self.cells, keys)]
