"""Muon (Jordan et al. 2024): steps along the momentum made orthogonal, for matrices and convolutions; Adam for the rest.

torch's own takes matrices alone; most weights here are convolutions, which are matrices of (out, in x height x width).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor

from ..precision import fast

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


def orthogonalised_stack(matrices: Tensor, rounds: int = 5) -> Tensor:
    """The same of each of a stack of matrices (k, n, m), in what is fast, round by round: on a GPU all of them at once cost
    little more than one."""
    tall = matrices.shape[1] > matrices.shape[2]
    wide = (matrices.mT if tall else matrices).to(fast(matrices.device.type))
    made = _by_rounds(wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7), rounds)
    return (made.mT if tall else made).float()


def _by_rounds(x: Tensor, rounds: int) -> Tensor:
    """Of a matrix, or of each of a stack."""
    (a, b, c), multiply_add = COEFFICIENTS, torch.addmm if x.ndim == 2 else torch.baddbmm
    for _ in range(rounds):
        gram = x @ x.mT
        x = multiply_add(x, multiply_add(gram, gram, gram, beta=b, alpha=c), x, beta=a)
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

    `capturable`, as torch calls it, is for a step that is recorded as a CUDA graph: the rate is a tensor beside the
    parameters, to be filled, and the count of steps is one too; matrices of one shape move together, which takes a few
    launches where one by one they are thousands.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        plain: Iterable[Tensor] = (),
        capturable: bool = False,
    ):
        apart = {id(parameter) for parameter in plain}
        every = list(parameters)
        matrices = [p for p in every if p.ndim >= 2 and id(p) not in apart]
        others = [p for p in every if p.ndim < 2 or id(p) in apart]
        self.capturable = capturable
        rate = torch.tensor(float(lr), device=every[0].device) if capturable else lr
        shared = {"lr": rate, "weight_decay": weight_decay, "momentum": momentum, "betas": betas}
        groups = [{"params": matrices, "orthogonal": True}, {"params": others, "orthogonal": False}]
        super().__init__([group for group in groups if group["params"]], shared)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # none of ours is given a closure
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            if self.capturable:
                (self._muon_together if group["orthogonal"] else self._adam_together)(group)
                continue
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
        step = orthogonalised(matrix, dtype=fast(matrix.device.type))  # bfloat16 in the reference implementation
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

    def _muon_together(self, group: dict) -> None:
        """Shape by shape."""
        alike: dict[tuple[int, int], list[Tensor]] = {}
        for parameter in group["params"]:
            if parameter.grad is not None:
                self.state[parameter] = self.state[parameter] or {"momentum": torch.zeros_like(parameter)}
                alike.setdefault((len(parameter), parameter.numel() // len(parameter)), []).append(parameter)
        for shape, parameters in alike.items():
            gradients = [cast(Tensor, parameter.grad) for parameter in parameters]
            momenta = [self.state[parameter]["momentum"] for parameter in parameters]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])  # Nesterov's
            steps = orthogonalised_stack(torch.stack([each.reshape(shape) for each in ahead]))
            steps = steps * (group["lr"] * (0.2 * math.sqrt(max(shape))))
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_sub_(parameters, [step.view(p.shape) for step, p in zip(steps, parameters)])

    def _adam_together(self, group: dict) -> None:
        moved = [parameter for parameter in group["params"] if parameter.grad is not None]
        if not moved:
            return
        for parameter in moved:
            if not self.state[parameter]:
                count = torch.zeros((), device=parameter.device)
                fresh = {"mean": torch.zeros_like(parameter), "square": torch.zeros_like(parameter), "step": count}
                self.state[parameter] = fresh
        means, squares, counts = ([self.state[p][name] for p in moved] for name in ("mean", "square", "step"))
        gradients, (first, second) = [cast(Tensor, parameter.grad) for parameter in moved], group["betas"]
        torch._foreach_add_(counts, 1)
        torch._foreach_lerp_(means, gradients, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
        taken = counts[0]  # all alike
        spreads = torch._foreach_div(squares, 1 - second**taken)
        torch._foreach_sqrt_(spreads)
        torch._foreach_add_(spreads, 1e-8)
        steps = torch._foreach_div(means, spreads)
        torch._foreach_mul_(steps, group["lr"] / (1 - first**taken))
        torch._foreach_mul_(moved, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_sub_(moved, steps)
