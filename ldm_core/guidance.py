"""Classifier-free guidance (Ho & Salimans 2022): how hard, and when, to push towards the prompt.

One convention for the whole project:

    guided = uncond + w (cond - uncond)

w = 1 is no guidance and needs the conditional prediction alone; w = 0 is unconditional and needs the other alone;
0 < w < 1 lies between. (The paper's own w is smaller by one; diffusers' classic pipelines turn every w <= 1 into 1.)
Other rules of combining the two stand in guidance_rules.py; where w is 0 or 1, and outside the interval, they are off and
the prediction is the one or the other (of CFG++, at w = 1 within the interval, the step still differs).
Time t runs from 1.0 (pure noise) to 0.0 (clean latent), whatever units the scheduler uses.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .checks import check_interval, check_real, shown
from .guidance_rules import RULES, Guider, parse_rule

if TYPE_CHECKING:  # --help reads the names here, and must not wait for torch
    from torch import Tensor

WeightSchedule = Callable[[float, float], float]  # (w, t) -> the weight at time t


def constant(w: float, t: float) -> float:
    """w at every t."""
    return w


def linear(w: float, t: float) -> float:
    """1 + (w - 1) 2 (1 - t): from no guidance at first to twice as much at the end; averages w (Wang et al. 2024)."""
    return 1 + (w - 1) * 2 * (1 - t)


def cosine(w: float, t: float) -> float:
    """1 + (w - 1) (1 + cos(pi t)): the same ends as linear, gently; averages w (Wang et al. 2024)."""
    return 1 + (w - 1) * (1 + math.cos(math.pi * t))


SCHEDULES: dict[str, WeightSchedule] = {"constant": constant, "linear": linear, "cosine": cosine}


@dataclass(frozen=True)
class Guidance:
    """How hard, and when, the prompt pulls: guided = uncond + w (cond - uncond) (Ho & Salimans 2022)."""

    scale: float | None = dataclasses.field(default=None, metadata={"help": "w; 1 is no guidance", "metavar": "W"})
    schedule: str = dataclasses.field(
        default="constant", metadata={"help": f"{', '.join(SCHEDULES)}: w over time; each averages w"}
    )
    interval: tuple[float, float] | None = dataclasses.field(
        default=None,
        metadata={"help": "guide only while LOW <= t <= HIGH, t from 1 (noise) to 0 (clean)", "metavar": "LOW,HIGH"},
    )
    rescale: float = dataclasses.field(
        default=0.0, metadata={"help": "0 to 1: bring the prediction's spread back after guidance", "metavar": "X"}
    )
    rule: str = dataclasses.field(
        default="cfg",
        metadata={
            "later": True,
            "alias": "guidance",
            "help": f"{', '.join(RULES)}, with parameters as in apg:eta=0,norm=15: how the two predictions are combined",
            "metavar": "RULE",
        },
    )

    def __post_init__(self) -> None:
        if self.scale is not None:
            object.__setattr__(
                self, "scale", check_real("guidance_scale", self.scale, 0, math.inf, "; 1 is no guidance")
            )
        if not isinstance(self.schedule, str) or self.schedule not in SCHEDULES:
            raise ValueError(f"guidance_schedule must be one of {', '.join(SCHEDULES)}, got {shown(self.schedule)}")
        object.__setattr__(self, "interval", check_interval("guidance_interval", self.interval))
        object.__setattr__(self, "rescale", check_real("guidance_rescale", self.rescale, 0, 1))
        if not isinstance(self.rule, str):
            raise ValueError(f"guidance_rule must be a text like apg or apg:eta=0,norm=15, got {shown(self.rule)}")
        object.__setattr__(self, "rule", parse_rule(self.rule).text)
        if self.guider.rule.renoises and (self.schedule != "constant" or (self.scale is not None and self.scale > 1)):
            given = f"guidance_scale={self.scale}, guidance_schedule={self.schedule}"
            raise ValueError(f"guidance_rule {self.rule} takes a constant guidance_scale from 0 to 1, got {given}")

    @property
    def guider(self) -> Guider:
        """The rule with its parameters."""
        return parse_rule(self.rule)

    def guides(self, t: float) -> bool:
        """Whether t is within the interval, where there is one."""
        return self.interval is None or self.interval[0] <= t <= self.interval[1]

    def weight(self, t: float) -> float:
        """w at time t, from 1 (noise) to 0 (clean); the scale must be set."""
        if self.scale is None:
            raise ValueError("guidance_scale is open: SamplingSettings.resolved writes the model's own in")
        return weight(self.scale, t, self.schedule, self.interval)


def weight(w: float, t: float, schedule: str = "constant", interval: tuple[float, float] | None = None) -> float:
    """The weight at time t; outside the interval t_low <= t <= t_high it is 1 (Kynkaanniemi et al. 2024).

    Unconditional sampling (w = 0) has no prompt to push towards or away from, so it stays 0 everywhere.
    """
    if w == 0:
        return 0.0
    if interval is not None and not interval[0] <= t <= interval[1]:
        return 1.0
    return SCHEDULES[schedule](w, t)


def combine(cond: Tensor, uncond: Tensor, w: Tensor) -> Tensor:
    """uncond + w (cond - uncond), for predictions (B, C, h, w) and a weight per row (B,)."""
    return uncond + w.view(-1, 1, 1, 1) * (cond - uncond)


def rescale(guided: Tensor, cond: Tensor, amount: float | Sequence[float]) -> Tensor:
    """Bring each row's standard deviation back towards the conditional prediction's (Lin et al. 2024, eq. 15-16).

    Predictions are (B, C, h, w); amount is 0 (changes nothing) to 1 (restores it fully), one or one per row. The paper
    finds 0.7 good against over-exposure at large w.
    """
    amounts = [amount] * len(guided) if isinstance(amount, int | float) else amount
    part, rest = (guided.new_tensor(shares).view(-1, 1, 1, 1) for shares in (amounts, [1 - each for each in amounts]))
    dims = tuple(range(1, guided.ndim))
    restored = guided * (cond.std(dims, keepdim=True) / guided.std(dims, keepdim=True))
    return part * restored + rest * guided
