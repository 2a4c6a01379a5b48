"""A torch network's call as a graph: its arguments taken apart, its results by name, and both traced into ONNX."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

OPSET = 17  # of ONNX: from there on layer normalisation is one operation
RESULT = "out_"  # before a result's name in a graph, where an input may be called the same
RESULTS = ("sample", "last_hidden_state", "text_embeds", "latents", "latent")  # as the libraries' outputs have them


@dataclass(frozen=True)
class Call:
    """A call's arguments, tensors and others in order, and how args and kwargs nest them."""

    leaves: tuple[Any, ...]
    names: tuple[str, ...]  # of the tensors among them
    nesting: Any

    @classmethod
    def of(cls, *args: Any, **kwargs: Any) -> Call:
        """Positional tensors are named by their place, the others by their keyword."""
        found, nesting = pytree.tree_flatten_with_path((args, kwargs))
        names = tuple(_name(path) for path, leaf in found if isinstance(leaf, Tensor))
        return cls(tuple(leaf for _, leaf in found), names, nesting)

    @property
    def tensors(self) -> list[Tensor]:
        """Those among the arguments."""
        return [leaf for leaf in self.leaves if isinstance(leaf, Tensor)]

    @property
    def arrays(self) -> list[np.ndarray]:
        """The tensors as graphs take them: numbers in float32, tokens as they are."""
        floats = (tensor.float() if tensor.is_floating_point() else tensor for tensor in self.tensors)
        return [tensor.detach().contiguous().numpy() for tensor in floats]

    @property
    def key(self) -> str:
        """What a graph of static shapes depends on: every shape, every kind of number, every argument that is no tensor."""
        shapes = [(name, tuple(t.shape), t.is_floating_point()) for name, t in zip(self.names, self.tensors)]
        return repr((shapes, [leaf for leaf in self.leaves if leaf is not None and not isinstance(leaf, Tensor)]))

    def with_rows(self, count: int) -> Call:
        """The same with so many rows, copies of the first."""
        leaves = [
            leaf[:1].expand(count, *leaf.shape[1:]) if isinstance(leaf, Tensor) and leaf.ndim else leaf
            for leaf in self.leaves
        ]
        return Call(tuple(leaves), self.names, self.nesting)

    def arguments(self, tensors: Sequence[Tensor]) -> tuple[tuple, dict]:
        """args and kwargs again, with other tensors in the places of these."""
        given = iter(tensors)
        leaves = [next(given) if isinstance(leaf, Tensor) else leaf for leaf in self.leaves]
        return pytree.tree_unflatten(leaves, self.nesting)


def _name(path: tuple) -> str:
    key = path[-1]
    if isinstance(key, pytree.MappingKey):
        return key.key
    return f"{path[-2].key if isinstance(path[-2], pytree.MappingKey) else 'input'}_{key.idx}"


def named_results(output: Any) -> dict[str, Tensor]:
    """What the project takes from a network's output, by name; of hidden states the second-last, of a posterior its
    parameters."""
    found = {name: getattr(output, name) for name in RESULTS if isinstance(getattr(output, name, None), Tensor)}
    hidden = getattr(output, "hidden_states", None)
    if hidden is not None:
        found["hidden_state"] = hidden[-2]
    posterior = getattr(output, "latent_dist", None)
    if posterior is not None:
        found["posterior"] = posterior.parameters
    return found


class _Readable(TorchFunctionMode):
    """Two operations of the deep autoencoders by ones that engines read: of repeat_interleave ONNX would get a loop, of
    movedim a permutation with negative places."""

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if func is torch.Tensor.repeat_interleave and isinstance(args[1], int) and given.get("dim") is not None:
            tensor, dim = args[0], given["dim"] % args[0].ndim
            shape = [*tensor.shape[: dim + 1], args[1], *tensor.shape[dim + 1 :]]
            return tensor.unsqueeze(dim + 1).expand(shape).flatten(dim, dim + 1)
        if func is torch.Tensor.movedim and all(isinstance(place, int) for place in args[1:3]) and len(args) == 3:
            tensor, places = args[0], list(range(args[0].ndim))
            source, destination = (place % tensor.ndim for place in args[1:])
            places.insert(destination, places.pop(source))
            return tensor.permute(places)
        return func(*args, **given)


class _AsGraph(nn.Module):
    """Tensors in, tensors out, as tracing wants it."""

    def __init__(self, network: nn.Module, work: Callable, call: Call):
        super().__init__()
        self.network, self.work, self.call = network, work, call
        self.results: list[str] = []

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        args, kwargs = self.call.arguments(tensors)
        found = named_results(self.work(*args, **kwargs))
        self.results = list(found)
        return tuple(found.values())


def to_onnx(
    network: nn.Module,
    call: Call,
    file: Path,
    method: str = "__call__",
    free: Mapping[str, Mapping[int, str]] | None = None,
) -> None:
    """Write the network's ONNX graph in float32, traced at a call of one of its methods; of more than 2 GB the weights lie
    in files beside it.

    Dimensions are fixed as they are in the call, but for those in `free`: {input: {dimension: name}}.
    """
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: what does not depend on free dimensions is constant on purpose
        whole = all(weight.dtype == torch.float32 for weight in network.parameters())
        plain = network if whole else copy.deepcopy(network).float()
        tensors = tuple(torch.from_numpy(array.copy()) for array in call.arrays)
        graph = _AsGraph(plain, getattr(plain, method), call).eval()
        graph(*tensors)  # which names the results
        with _Readable():
            torch.onnx.export(
                graph,
                tensors,
                str(file),
                dynamo=False,
                opset_version=OPSET,
                input_names=list(call.names),
                output_names=[RESULT + name for name in graph.results],
                dynamic_axes=free or {},
            )
