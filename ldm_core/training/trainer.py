"""The one training loop: optimiser, averaged weights, checkpoints, progress and a clean stop.

A run lives in a folder: `config.json` (what is being trained), `checkpoint.pt` (weights, averages, optimiser, step),
`log.csv` (a line each report) and `samples/`. The same command goes on where the folder stands; Ctrl-C saves first.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..files import whole_file
from .config import Recipe
from .losses import update_ema
from .muon import Muon

OUTER = re.compile(r"embedding|conv_in|conv_out")  # layers between the network and what is outside it


class Trainer:
    """Trains a module and keeps an exponential moving average of its weights.

    `minutes` ends the run after so much training, however many steps that were, the learning rate falling to zero by
    then: for a machine that is shared, and for comparisons at equal time. They are those of `clock`, in seconds.
    """

    def __init__(
        self,
        module: nn.Module,
        config: Recipe,
        folder: Path,
        warmup_steps: int,
        device: str,
        minutes: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.module, self.config, self.folder, self.minutes = module.to(device), config, folder, minutes
        self.clock = clock
        self.warmup_steps, self.device, self.step, self.seconds = warmup_steps, device, 0, 0.0
        self.average = {name: value.detach().clone().float() for name, value in module.state_dict().items()}
        self.optimizer = optimizer_of(module, config)
        self._open()

    def _open(self) -> None:
        """Start the folder, or take up what it holds; a folder of another recipe is refused."""
        self.folder.mkdir(parents=True, exist_ok=True)
        recipe = json.loads(json.dumps(dataclasses.asdict(self.config)))
        known = self.folder / "config.json"
        before = json.loads(known.read_text()) if known.exists() else recipe
        # An option that is off is as good as none: recipes gain some, and lose some, while runs go on.
        changed = sorted(key for key in {*before, *recipe} if (before.get(key) or None) != (recipe.get(key) or None))
        if changed:
            raise ValueError(
                f"--out {self.folder} holds a run with other settings ({', '.join(changed)}); choose a new folder"
            )
        known.write_text(json.dumps(recipe, indent=1))
        checkpoint = self.folder / "checkpoint.pt"
        if checkpoint.exists():
            self._load(torch.load(checkpoint, map_location=self.device, weights_only=True))

    def _load(self, state: dict) -> None:
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.step, self.seconds = state["average"], state["step"], state["seconds"]

    def save(self) -> None:
        """Write the checkpoint beside the old one, then put it in its place: a kill at any moment loses nothing."""
        state = {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "step": self.step,
            "seconds": self.seconds,
        }
        with whole_file(self.folder / "checkpoint.pt") as partial:
            torch.save(state, partial)

    def learning_rate(self) -> float:
        """Linear warm-up, then half a cosine down to zero (Loshchilov & Hutter 2017)."""
        if self.step < self.warmup_steps:
            return self.config.learning_rate * (self.step + 1) / self.warmup_steps
        done = (self.step - self.warmup_steps) / max(1, self.config.steps - self.warmup_steps)
        done = max(done, self.seconds / (60 * self.minutes) if self.minutes else 0.0)
        return self.config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    @property
    def finished(self) -> bool:
        """Whether the last step, or the last minute, has been."""
        return self.step >= self.config.steps or bool(self.minutes and self.seconds >= 60 * self.minutes)

    def run(self, loss_of: Callable[[int], Tensor], sample: Callable[[Path], None], every: int = 250) -> bool:
        """Train to the last step; loss_of(step) computes a fresh batch's loss. False where Ctrl-C stopped it.

        sample(path) shows what the averaged weights have come to, now and then and after the last step; path is for a picture.
        """
        bar = tqdm(total=self.config.steps, initial=self.step, unit="step", dynamic_ncols=True, mininterval=2)
        try:
            if self.finished:  # what stopped an earlier run may have come between its last checkpoint and this
                self._show(sample)
            while not self.finished:
                began = self.clock()
                loss = self._take_step(loss_of(self.step))
                self.seconds += self.clock() - began
                bar.update()
                bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
                if self.step % every == 0 or self.finished:
                    self._report(loss, sample)
        except KeyboardInterrupt:
            self.save()
            tqdm.write(f"Stopped at step {self.step}, saved. The same command goes on from here.")
            return False
        finally:
            bar.close()
        return True

    def _take_step(self, loss: Tensor) -> float:
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {self.step}; try a lower learning rate")
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        update_ema(self.average, self.module.state_dict(), self.config.ema_decay, self.step)
        self.step += 1
        return loss.item()

    def _report(self, loss: float, sample: Callable[[Path], None]) -> None:
        self.save()
        with (self.folder / "log.csv").open("a", newline="") as file:
            csv.writer(file).writerow([self.step, f"{loss:.5f}", f"{self.seconds:.0f}"])
        self._show(sample)

    def _show(self, sample: Callable[[Path], None]) -> None:
        (self.folder / "samples").mkdir(exist_ok=True)
        with averaged(self):
            sample(self.folder / "samples" / f"{self.step:06d}.png")


def generator_of_step(config: Recipe, step: int) -> torch.Generator:
    """A step's own randomness, on the CPU: a resumed run sees what an unbroken one would have seen."""
    return torch.Generator().manual_seed(config.seed * 1_000_003 + step)


def optimizer_of(module: nn.Module, config: Recipe, capturable: bool = False) -> torch.optim.Optimizer:
    """AdamW, or Muon with Adam for what is no inner layer: embeddings, and the first and last of the convolutions.

    `capturable`: its rate is a tensor beside the parameters, and its steps can be recorded (resident/step.py).
    """
    rate, decay, betas = config.learning_rate, config.weight_decay, (0.9, 0.99)
    if config.optimizer == "adamw" and capturable:
        learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
        device = learned[0].device
        on_gpu = device.type == "cuda"  # torch's wants both there, and with a rate that is a tensor neither elsewhere
        rate_there = torch.tensor(float(rate), device=device)
        return torch.optim.AdamW(
            learned, lr=rate_there, weight_decay=decay, betas=betas, capturable=on_gpu, foreach=on_gpu
        )
    if config.optimizer == "adamw":
        return torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=decay, betas=betas, fused=True)
    if config.optimizer == "muon":
        outer = [weights for name, weights in module.named_parameters() if OUTER.search(name)]
        return Muon(module.parameters(), lr=rate, weight_decay=decay, betas=betas, plain=outer, capturable=capturable)
    raise ValueError(f"optimizer must be adamw or muon, got {config.optimizer!r}")


@contextmanager
def averaged(trainer: Trainer) -> Iterator[nn.Module]:
    """Within the block, the trainer's module carries its averaged weights, in evaluation mode."""
    module = trainer.module
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    module.load_state_dict(trainer.average)
    try:
        yield module.eval()
    finally:
        module.load_state_dict(weights)
        module.train()
