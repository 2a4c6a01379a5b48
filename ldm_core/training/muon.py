"""Muon (Jordan et al. 2024): steps along the momentum made orthogonal, for matrices and convolutions; Adam for the rest.

torch's own takes matrices alone; most weights here are convolutions, which are matrices of (out, in x height x width).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor

# The quintic iteration of the reference implementation: singular values end between about 0.7 and 1.2.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrix: Tensor, rounds: int = 5, dtype: torch.dtype = torch.float32) -> Tensor:
    """A matrix (n, m) of the same row and column spaces whose singular values are all near 1, by Newton and Schulz.

    Each round is x <- (a + b g + c g g) x with g = x x^T, in `dtype`. Since g of the next round is a polynomial in this
    one's, all rounds of a wide matrix are worked out in g, which of a convolution is nine times smaller than x, and x is
    multiplied once: in float32, as squares of small singular values are lost in the rounding of less.
    """
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide / (wide.norm() + 1e-7)
    made = _by_products(x, rounds) if x.shape[1] > 4 * x.shape[0] else _by_rounds(x.to(dtype), rounds).to(x.dtype)
    return made.T if matrix.shape[0] > matrix.shape[1] else made


def _by_rounds(x: Tensor, rounds: int) -> Tensor:
    a, b, c = COEFFICIENTS
    for _ in range(rounds):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _by_products(x: Tensor, rounds: int) -> Tensor:
    a, b, c = COEFFICIENTS
    gram, identity = x @ x.T, torch.eye(len(x), dtype=x.dtype, device=x.device)
    total = identity
    for _ in range(rounds):
        factor = a * identity + b * gram + c * gram @ gram
        total, gram = factor @ total, factor @ gram @ factor
    return total @ x


class Muon(torch.optim.Optimizer):
    """Muon for parameters of two and more dimensions, Adam for biases, norms and whatever is named as such.

    A matrix's step has the root mean square `lr` x 0.2, about that of an Adam step at the same rate (Liu et al. 2025,
    section 2.2), so both kinds of parameter share one rate. `plain` are parameters of more dimensions that Adam moves.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        plain: Iterable[Tensor] = (),
    ):
        apart = {id(parameter) for parameter in plain}
        every = list(parameters)
        matrices = [p for p in every if p.ndim >= 2 and id(p) not in apart]
        others = [p for p in every if p.ndim < 2 or id(p) in apart]
        shared = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas}
        groups = [{"params": matrices, "orthogonal": True}, {"params": others, "orthogonal": False}]
        super().__init__([group for group in groups if group["params"]], shared)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # none of ours is given a closure
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            move = self._muon if group["orthogonal"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    move(parameter, group)

    def _muon(self, parameter: Tensor, group: dict) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        gradient, momentum = cast(Tensor, parameter.grad), state["momentum"]
        momentum.lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(momentum, group["momentum"])  # Nesterov's
        matrix = ahead.flatten(1)
        size = 0.2 * math.sqrt(max(matrix.shape))
        step = orthogonalised(matrix, dtype=torch.bfloat16)  # as the reference implementation does
        parameter.add_(step.view(parameter.shape), alpha=-group["lr"] * size)

    def _adam(self, parameter: Tensor, group: dict) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        (first, second), gradient = group["betas"], cast(Tensor, parameter.grad)
        state["mean"].lerp_(gradient, 1 - first)
        state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        scale = group["lr"] / (1 - first ** state["step"])
        spread = (state["square"] / (1 - second ** state["step"])).sqrt_().add_(1e-8)
        parameter.addcdiv_(state["mean"], spread, value=-scale)
