"""What a call of a network needs: operations and live bytes, counted as PyTorch's eager mode allocates, on the meta device
too, where nothing is calculated and no memory taken. Workspaces of kernels and the allocator's waste are not in it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Need:
    """Of one call; parameters and their gradients are not in the bytes."""

    flops: int  # of matrix products and convolutions, a multiplication and an addition being two
    peak_bytes: int  # of activations, the most that live at once
    scores_bytes: int  # of all attention's softmax outputs together: what a training step keeps
    largest_scores_bytes: int  # of the largest of them: what a forward pass needs at the least


class LiveBytes(TorchDispatchMode):
    """Within the block: bytes of the storages that operations made and that still live, and the most there were."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = self.scores = self.largest_scores = 0
        self._known: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping | None = None) -> Any:
        given = {self._key(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and self._key(leaf) not in given:
                self._take(leaf)
        if func is torch.ops.aten._softmax.default:
            size = result.numel() * result.element_size()
            self.scores, self.largest_scores = self.scores + size, max(self.largest_scores, size)
        return result

    @staticmethod
    def _key(tensor: Tensor) -> int:
        return tensor.untyped_storage()._cdata

    def _take(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata in self._known:
            return
        self._known[storage._cdata] = storage
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._give, storage.nbytes())

    def _give(self, size: int) -> None:
        self.now -= size


class _Fused(torch.autograd.Function):
    """Attention as a fused kernel keeps it (Dao et al. 2022): inputs, output and one number a query; no scores."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, out, query.new_empty(query.shape[:-1], dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value, *_ = ctx.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


class FusedAttention(TorchFunctionMode):
    """Within the block scaled_dot_product_attention allocates as a fused kernel does, and calculates nothing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping | None = None) -> Any:
        if func is F.scaled_dot_product_attention:
            given = dict(zip(("query", "key", "value"), args)) | dict(kwargs or {})
            return _Fused.apply(given["query"], given["key"], given["value"])
        return func(*args, **(kwargs or {}))


def set_attention(network: nn.Module, fused: bool) -> None:
    """A diffusers network's attention by one fused call, or by a matrix of all scores (diffusers' plain processor)."""
    network.set_attn_processor(AttnProcessor2_0() if fused else AttnProcessor())  # type: ignore[operator]  # ModelMixin's own


def need_of(call: Callable[[], Tensor], training: bool) -> Need:
    """What `call` needs: a forward pass, or with `training` one that is followed by the backward pass of its output.

    FLOPs are those of the forward pass. On the meta device plain attention's alone are complete: a fused call has none there.
    """
    with torch.set_grad_enabled(training), FlopCounterMode(display=False) as counter:
        live = LiveBytes()
        with live:
            out = call()
            forward = counter.get_total_flops()
            if training:
                out.backward(torch.empty_like(out))
            del out
    return Need(forward, live.peak, live.scores, live.largest_scores)


def parameters(network: nn.Module) -> int:
    """How many."""
    return sum(each.numel() for each in network.parameters())
