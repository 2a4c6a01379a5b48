"""A step of training that a GPU replays without being told its thousands of parts again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

WARM_UP = 3  # steps before the recording: what is made at the first use must be there


class Step:
    """The loss, its gradients cut to a length of `clip`, and the optimiser's move, as one CUDA graph where there is a GPU.

    Where it cannot be recorded that is said in one line, and steps are taken part by part as on a CPU. The rates are 0
    afterwards (`set_rate`), the weights and the optimiser as before. `loss` is the latest step's, `total` their sum since
    whoever reads it set it to 0; both lie on the device.
    """

    def __init__(
        self,
        loss_of: Callable[[], Tensor],
        optimizer: torch.optim.Optimizer,
        device: str,
        clip: float = 1.0,
        say: Callable[[str], None] = print,
    ):
        self.loss_of, self.optimizer, self.clip = loss_of, optimizer, clip
        self.parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
        self.loss, self.total = (torch.zeros((), device=device) for _ in range(2))
        self.graph: torch.cuda.CUDAGraph | None = None
        set_rate(optimizer, 0.0)
        if device == "cuda":
            try:
                self.graph = self._recorded()
            except TimeoutError:  # whoever set a limit wants to hear of it
                raise
            except Exception as error:  # noqa: BLE001  # whatever forbids a recording, plain steps are right too
                torch.cuda.synchronize()
                say(f"not recorded, steps are taken part by part: {' '.join(repr(error).split())[:300]}")
            optimizer.zero_grad(set_to_none=self.graph is None)
            forget(optimizer)
            self.total.zero_()

    def __call__(self) -> None:
        """Take a step."""
        if self.graph is not None:
            self.graph.replay()
        else:
            self._take()

    def _take(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss_of()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        self.loss.copy_(loss.detach())
        self.total.add_(self.loss)

    def _recorded(self) -> torch.cuda.CUDAGraph:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._take()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._take()
        return graph


def quick_products() -> None:
    """What is left in float32 is multiplied in TF32, and convolutions choose their kernels by trial."""
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Fill the rates where they lie: a recorded step reads them there. TypeError where one is no tensor."""
    for group in optimizer.param_groups:
        if not isinstance(group["lr"], Tensor):
            raise TypeError(f"the optimizer's lr must be a tensor, got {group['lr']!r}")
        group["lr"].fill_(rate)


def forget(optimizer: torch.optim.Optimizer) -> None:
    """Momenta, squares and counts to 0, where they lie."""
    for value in _tensors(optimizer.state.values()):
        value.zero_()


def _tensors(states: Iterable[dict]) -> list[Tensor]:
    return [value for state in states for value in state.values() if isinstance(value, Tensor)]
