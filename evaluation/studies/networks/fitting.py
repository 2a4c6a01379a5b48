"""Networks that a study trains itself, by the repository's own loop: the same command goes on where it was stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from ldm_core.training.config import Recipe
from ldm_core.training.trainer import Trainer


def fit(
    module: nn.Module,
    recipe: Recipe,
    folder: Path,
    loss_of: Callable[[int], Tensor],
    minutes: float | None = None,
    warmup_steps: int = 20,
) -> Trainer:
    """Train a module on the CPU to the recipe's last step, or for so many minutes; it then carries its averaged weights and is
    in evaluation mode. loss_of(step) is a fresh batch's loss.

    Minutes are of processor time, all threads together, which what else runs on the machine does not take away.
    KeyboardInterrupt where Ctrl-C stopped it; all is saved then.
    """
    trainer = Trainer(module, recipe, folder, warmup_steps, "cpu", minutes, clock=time.process_time)
    if not trainer.run(loss_of, lambda path: None):
        raise KeyboardInterrupt
    module.load_state_dict(trainer.average)
    module.eval()
    return trainer
