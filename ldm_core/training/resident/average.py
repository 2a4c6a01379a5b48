"""The average of weights, kept on the device, and a way back where they were lost."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EVERY = 4  # steps: an average over thousands needs no finer ones


class Average:
    """An exponential moving average of what a module learns and counts, as trainer.py's but for its being taken every
    EVERY steps."""

    def __init__(self, module: nn.Module, decay: float):
        buffers = [value for value in module.buffers() if value.is_floating_point()]
        self.live: list[Tensor] = [p.data for p in module.parameters() if p.requires_grad] + buffers
        self.kept = [value.clone() for value in self.live]
        self.safe = [value.clone() for value in self.live]
        self.decay, self.step = decay, 0

    @torch.no_grad()
    def update(self) -> None:
        """After a step."""
        self.step += 1
        if self.step % EVERY == 0:
            rate = min(self.decay**EVERY, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(self.kept, self.live, 1 - rate)

    @torch.no_grad()
    def secure(self) -> bool:
        """Remember the average as a place to go back to; False, and the former one stays, where it is not finite."""
        finite = bool(torch.stack(torch._foreach_norm(self.kept)).isfinite().all())
        if finite:
            torch._foreach_copy_(self.safe, self.kept)
        return finite

    @torch.no_grad()
    def go_back(self) -> None:
        """Weights and average as they were when they were last secured."""
        torch._foreach_copy_(self.live, self.safe)
        torch._foreach_copy_(self.kept, self.safe)

    def swap(self) -> None:
        """The averaged weights in the module, and those that learn aside; again, and they are back."""
        for live, kept in zip(self.live, self.kept):
            aside = live.clone()
            live.copy_(kept)
            kept.copy_(aside)
