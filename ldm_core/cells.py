"""The cells of a picture grid (one image each), and the network rows that a step of all of them needs.

Cells that have had the same inputs so far hold the same latent: all scales of a prompt before the first step, all
prompts at w = 0, all scales outside a guidance interval. Such cells share their rows, which is exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from diffusers import SchedulerMixin
from torch import Tensor

from . import guidance, predictions
from .conditioning import Blend, Conditioning
from .denoisers import Denoiser
from .guidance import Guidance
from .guidance_rules import Guider

if TYPE_CHECKING:
    from .tasks.control import ControlRows, PreparedControl

ROWS_PER_CALL = {"cpu": 16, "cuda": 32}  # at most; enough to fill the device, see `python -m evaluation.benchmark`


@dataclass(frozen=True)
class Cell:
    """One image to make."""

    prompt: str | Blend
    negative_prompt: str | None  # None: what the family takes for no prompt
    seed: int
    guidance: Guidance  # its scale set
    start: object = None  # what it begins from beside its seed's noise, if anything: a hashable


class Network(NamedTuple):
    """A denoiser, and what its own text encoder makes of the cells' texts."""

    denoiser: Denoiser
    texts: Mapping[str | Blend | None, Conditioning]


class Row(NamedTuple):
    """What a row of a network call is conditioned on, and by which network: "" is the model's own, else a weaker one's name."""

    text: str | Blend | None
    network: str = ""


@dataclass(frozen=True)
class _Need:
    """What a cell asks at a step: rows, conditional first and unconditional last; how they are combined."""

    rows: tuple[Row, ...]  # none: a step that moves nowhere
    weight: float
    rescale: float  # 0 where nothing is combined
    embedded: float | None  # the weight that the network itself is given, where it takes one
    guider: Guider | None  # the rule, where it is on and combines otherwise than plain guidance, or renoises


class GuidedCells:
    """Predicts for all cells at once: `predict` is what the denoising loop calls, and `renoise` behind the scheduler's step."""

    def __init__(
        self,
        cells: list[Cell],
        texts: Mapping[str | Blend | None, Conditioning],
        denoiser: Denoiser,
        rows_per_call: int | None,
        scheduler: SchedulerMixin,
        flow: bool = False,
        weaker: Mapping[str, Network] | None = None,
        beside: Tensor | None = None,
        control: PreparedControl | None = None,
        noise_levels: Tensor | None = None,
    ):
        """`flow`: the model predicts a flow. `weaker` are the networks that autoguidance asks, by their names. `beside`
        (B, D, h, w) are further channels of the network's input, a row a cell, equal where `start` is. `control` steers
        the model's own network, not the weaker ones, a row a cell. `noise_levels` (B,) are those of an upscaler's images,
        equal where `start` is."""
        self.cells, self.denoiser, self.rows_per_call = cells, denoiser, rows_per_call
        self.networks = {"": Network(denoiser, texts), **(weaker or {})}
        self.scheduler, self.flow, self.beside, self.control = scheduler, flow, beside, control
        self.noise_levels = noise_levels
        # Equal histories mean equal latents; cells of one seed, one start and one control begin equal.
        steering = [None if control is None else control.key(index) for index in range(len(cells))]
        self.history: list[tuple] = [(cell.seed, cell.start, key) for cell, key in zip(cells, steering)]
        self.step = 0
        self.averages: list[Tensor | None] = [None] * len(cells)  # what a rule keeps of a cell from step to step
        self.noise_changes: dict[int, Tensor] = {}  # u - guided, of the cells that this step renoises
        self.arrow: Tensor | None = None  # c - u (B, C, h, w) of the last step: guidance goes w times as far

    def predict(self, latents: Tensor, timestep: Tensor, t: float) -> Tensor:
        """The guided predictions (B, C, h, w) for the cells' latents (B, C, h, w) at time t."""
        needs = [self._need(cell, t) for cell in self.cells]
        rows: dict[tuple, int] = {}  # (history, text and network, embedded weight) -> row
        origin: list[int] = []  # the cell whose latent a row takes
        for index, (history, need) in enumerate(zip(self.history, needs)):
            for row in need.rows:
                if rows.setdefault((history, row, need.embedded), len(rows)) == len(origin):
                    origin.append(index)
        inputs = latents if self.beside is None else torch.cat([latents, self.beside], dim=1)
        steering = None if self.control is None or not rows else self.control.rows(origin, t)
        levels = None if self.noise_levels is None else self.noise_levels[origin]
        found = self._predictions(list(rows), inputs[origin], timestep, steering, levels) if rows else latents[:0]
        if not all(need.rows for need in needs):  # a last row of zeros, for the cells that stand still
            found = torch.cat([found, torch.zeros_like(latents[:1])])
        cond, uncond = (
            found[
                [
                    rows[history, need.rows[side], need.embedded] if need.rows else -1
                    for history, need in zip(self.history, needs)
                ]
            ]
            for side in (0, -1)
        )
        self._remember(needs)
        self.step += 1
        self.arrow = cond - uncond
        return self._combined(cond, uncond, needs, latents, timestep)

    def renoise(self, latents: Tensor, timestep: Tensor) -> Tensor:
        """The latents (B, C, h, w) after the scheduler's step, for the cells whose rule has noise of its own (CFG++)."""
        if not self.noise_changes:
            return latents
        latents, share = latents.clone(), predictions.renoising(self.scheduler, timestep)
        for index, change in self.noise_changes.items():
            latents[index] += share * change
        return latents

    def _predictions(
        self,
        rows: list[tuple],
        inputs: Tensor,
        timestep: Tensor,
        steering: ControlRows | None,
        levels: Tensor | None,
    ) -> Tensor:
        """The prediction (R, C, h, w) of each row, by its network."""
        found: dict[int, Tensor] = {}  # by the row's place
        for name, (denoiser, texts) in self.networks.items():
            own = [place for place, (_, row, _) in enumerate(rows) if row.network == name]
            if not own:
                continue
            conditioning = Conditioning.stack([texts[rows[place][1].text] for place in own])
            if not name and steering is not None:
                conditioning = conditioning.controlled(steering.rows(own))
            if levels is not None:
                conditioning = conditioning.noisy(levels[own])
            weights = [1.0 if rows[place][2] is None else rows[place][2] for place in own]
            per_call = self.rows_per_call or self._even(len(own), denoiser)
            found |= zip(
                own,
                denoiser(inputs[own, : denoiser.in_channels], timestep, conditioning, per_call, torch.tensor(weights)),
            )
        return torch.stack([found[place] for place in range(len(rows))])

    def _even(self, rows: int, denoiser: Denoiser) -> int:
        """Rows per call where none are asked for: in the fewest calls that fill the device, all of them even. A compiled
        network is asked for one shape in all steps."""
        needed = 2 * len(self.cells) if denoiser.compiled else rows
        even = math.ceil(needed / math.ceil(needed / ROWS_PER_CALL.get(denoiser.device.type, 16)))
        return next((count for count in denoiser.row_counts if count >= even), even)

    def _need(self, cell: Cell, t: float) -> _Need:
        weight, embedded = cell.guidance.weight(t), self.denoiser.embeds_guidance
        rows = rows_needed(cell, t, self.step, embedded, self.flow)
        if embedded:  # without the prompt there is nothing that the network was taught to weigh
            return _Need(rows, weight, 0.0, 1.0 if weight == 0 else weight, None)
        if len(rows) < 2:
            return _Need(rows, weight, 0.0, None, None)
        guider = cell.guidance.guider
        plain = guider.rule.combine is None and not guider.rule.renoises
        return _Need(rows, weight, cell.guidance.rescale, None, None if plain else guider)

    def _remember(self, needs: list[_Need]) -> None:
        """Number the distinct (history, inputs of this step): short labels in place of growing histories."""
        labels: dict[tuple, int] = {}
        keys = list(zip(self.history, needs))
        self.history = [(cell.seed, labels.setdefault(key, len(labels))) for cell, key in zip(self.cells, keys)]

    def _combined(self, cond: Tensor, uncond: Tensor, needs: list[_Need], latents: Tensor, timestep: Tensor) -> Tensor:
        """Predictions (B, C, h, w) with and without the prompt -> guided, each row as its cell asks."""
        guided = guidance.combine(cond, uncond, torch.tensor([need.weight for need in needs], device=cond.device))
        for index, need in enumerate(needs):
            if need.guider is None or need.guider.rule.combine is None:
                continue
            one = slice(index, index + 1)  # each by itself, whatever its neighbours
            guided[one] = self._by_rule(index, need.guider, need.weight, cond[one], uncond[one], latents[one], timestep)
        amounts = [need.rescale for need in needs]
        if any(amounts):
            chosen = torch.tensor([amount > 0 for amount in amounts], device=cond.device).view(-1, 1, 1, 1)
            guided = torch.where(chosen, guidance.rescale(guided, cond, amounts), guided)
        renoised = [index for index, need in enumerate(needs) if need.guider is not None and need.guider.rule.renoises]
        self.noise_changes = {index: uncond[index] - guided[index] for index in renoised}
        return guided

    def _by_rule(
        self, index: int, guider: Guider, w: float, cond: Tensor, uncond: Tensor, latent: Tensor, timestep: Tensor
    ) -> Tensor:
        """One cell's guided prediction (1, C, h, w) by its rule, in terms of clean latents where the rule is stated so."""
        rule, values, combine = guider.rule, guider.parameters, guider.rule.combine
        assert combine is not None, "plain rules are combined together"
        if not rule.on_clean:
            return combine(cond, uncond, w, **values)
        slope = predictions.clean_slope(self.scheduler, timestep)
        clean = predictions.clean_of(self.scheduler, cond, latent, timestep)
        # z_0 is linear in the prediction: differences of one are those of the other, times the slope.
        guided, self.averages[index] = combine(
            clean, clean - slope * (cond - uncond), w, self.averages[index], **values
        )
        return cond + (guided - clean) / slope


def rows_needed(cell: Cell, t: float, step: int, embedded: bool = False, flow: bool = False) -> tuple[Row, ...]:
    """Conditional first, unconditional last; one row where the other would be multiplied by zero, or where the network takes
    the weight itself; none in the steps in which CFG-Zero* lets a flow model stand still."""
    own, weight = cell.guidance, cell.guidance.weight(t)
    rule = own.guider.rule
    cond, uncond = Row(cell.prompt), Row(cell.negative_prompt)
    if rule.weaker:
        uncond = Row(cell.prompt, own.guider["model"])
    if weight == 0:
        return (uncond,)
    if embedded:
        return (cond,)
    if weight == 1 and not (rule.renoises and own.guides(t)):
        return (cond,)
    if flow and "zero" in own.guider.parameters and step < own.guider["zero"]:
        return ()
    return (cond, uncond)
