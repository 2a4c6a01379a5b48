"""Classifier-free guidance (Ho & Salimans 2022): how hard, and when, to push towards the prompt.

One convention for the whole project:

    guided = uncond + w (cond - uncond)

w = 1 is no guidance and needs the conditional prediction alone; w = 0 is unconditional and needs the other alone;
0 < w < 1 lies between. (The paper's own w is smaller by one; diffusers' classic pipelines turn every w <= 1 into 1.)
Time t runs from 1.0 (pure noise) to 0.0 (clean latent), whatever units the scheduler uses.
"""

from __future__ import annotations

import math
from collections.abc import Callable

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


def rescale(guided: Tensor, cond: Tensor, amount: float) -> Tensor:
    """Bring each row's standard deviation back towards the conditional prediction's (Lin et al. 2024, eq. 15-16).

    amount 0 changes nothing, 1 restores it fully; the paper finds 0.7 good against over-exposure at large w.
    """
    dims = tuple(range(1, guided.ndim))
    restored = guided * (cond.std(dims, keepdim=True) / guided.std(dims, keepdim=True))
    return amount * restored + (1 - amount) * guided
