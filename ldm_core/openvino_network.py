"""A network under OpenVINO, Intel's engine for CPUs: called as the torch network is, compiled for each shape of its inputs.

Graphs of static shapes, because with them a CPU is quickest. What was compiled is kept in the user's cache, named by the
weights' own bytes (so what was merged or swapped counts), the shapes, the threads, the processor and the versions.
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openvino
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import nn

from .files import cache_folder, write_whole
from .traced import RESULT, Call, to_onnx

KEPT_BYTES = 4 * 10**9  # of compiled graphs in the cache: those unused for longest go first
SHAPES = 12  # of one network that stay in memory
PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16"}
PACKAGES = ("openvino", "torch", "diffusers", "transformers")
CHECKSUM = 32  # bytes before what was compiled


@functools.cache
def core() -> openvino.Core:
    """The engine, started once."""
    return openvino.Core()


@functools.cache
def circumstances() -> str:
    """What decides compiled graphs beside weights, shapes and threads: the processor and the versions."""
    names = [f"{name} {version(name)}" for name in PACKAGES]
    return "; ".join([core().get_property("CPU", "FULL_DEVICE_NAME"), *names])


class Source(ABC):
    """Where a network's graphs come from."""

    @cached_property
    @abstractmethod
    def identity(self) -> str:
        """SHA-256 of the weights and of how they are used."""

    @abstractmethod
    def graph(self, call: Call) -> openvino.Model:
        """The graph at a call's shapes."""


class TorchSource(Source):
    """A torch network, traced once for all numbers of rows and at every other shape anew."""

    def __init__(self, network: nn.Module, method: str = "__call__"):
        self.network, self.method = network, method
        self.traced: tuple[str, openvino.Model] | None = None  # the latest, with what it was traced at

    @cached_property
    def identity(self) -> str:
        digest = hashlib.sha256(f"{type(self.network).__name__}.{self.method} {self.network.config!r}".encode())
        for name, weight in sorted(self.network.state_dict().items()):
            digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
            digest.update(weight.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def graph(self, call: Call) -> openvino.Model:
        example = call.with_rows(2)  # of one row, tracing might take a dimension for one that is always 1
        if self.traced is None or self.traced[0] != example.key:
            rows = {name: {0: "rows"} for name, tensor in zip(call.names, call.tensors) if tensor.ndim}
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "network.onnx")
                to_onnx(self.network, example, file, self.method, rows)
                self.traced = (example.key, core().read_model(file))
        return _at_shapes(self.traced[1].clone(), call)


class FileSource(Source):
    """A graph in a file, ONNX or OpenVINO's own, whose free dimensions are fixed at every shape."""

    def __init__(self, path: Path):
        self.path = path

    @cached_property
    def identity(self) -> str:
        digest = hashlib.sha256()
        for path in sorted(self.path.parent.glob(f"{self.path.stem}.*")):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def graph(self, call: Call) -> openvino.Model:
        try:
            return _at_shapes(core().read_model(self.path), call)
        except RuntimeError:  # whose words are about places in the engine's source
            raise ValueError(f"{self.path} is damaged, or no graph of this network") from None


class OpenVinoNetwork:
    """Called as the network of its source is; gives what `named_results` names, float32."""

    def __init__(self, source: Source, dtype: torch.dtype):
        self.source, self.precision = source, PRECISIONS[dtype]
        self.lock = threading.Lock()  # a request holds one call's tensors
        self.requests: OrderedDict[str, openvino.InferRequest] = OrderedDict()  # by shapes, the latest last

    def __call__(self, *args: Any, **kwargs: Any) -> SimpleNamespace:
        call = Call.of(*args, **kwargs)
        with self.lock:
            request = self._request(call)
            found = request.infer(call.arrays, share_inputs=True)
            results: dict[str, Any] = {
                name.removeprefix(RESULT): torch.from_numpy(array.copy())
                for port, array in found.items()
                for name in port.get_names()
                if name.startswith(RESULT)
            }
        if "hidden_state" in results:
            results["hidden_states"] = (results["hidden_state"], None)  # the second-last, where the library has it
        if "posterior" in results:
            results["latent_dist"] = DiagonalGaussianDistribution(results["posterior"])
        return SimpleNamespace(**results)

    def _request(self, call: Call) -> openvino.InferRequest:
        if call.key not in self.requests:
            self.requests[call.key] = self._compiled(call).create_infer_request()
        self.requests.move_to_end(call.key)
        if len(self.requests) > SHAPES:
            self.requests.popitem(last=False)
        return self.requests[call.key]

    def _compiled(self, call: Call) -> openvino.CompiledModel:
        """From the cache, else compiled and put there."""
        options = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # several processes would all take the same cores
        }
        said = f"{self.source.identity} {call.key} {sorted(options.items())} {circumstances()}"
        file = cache_folder("openvino") / f"{hashlib.sha256(said.encode()).hexdigest()[:32]}.blob"
        kept = _read(file)
        if kept is not None:
            try:
                return core().import_model(kept, "CPU", options)
            except RuntimeError:  # made by an engine that this one does not read: made again
                pass
        compiled = core().compile_model(self.source.graph(call), "CPU", options)
        _keep(file, compiled.export_model())
        return compiled


def _at_shapes(model: openvino.Model, call: Call) -> openvino.Model:
    model.reshape({name: list(tensor.shape) for name, tensor in zip(call.names, call.tensors)})
    return model


def _read(file: Path) -> bytes | None:
    """What was kept in a file; None where there is nothing, or it is damaged."""
    try:
        content = file.read_bytes()
        file.touch()
    except OSError:
        return None
    sound = hashlib.sha256(content[CHECKSUM:]).digest() == content[:CHECKSUM]
    return content[CHECKSUM:] if sound else None


def _keep(file: Path, blob: Any) -> None:
    """Put what was compiled into the cache, and take out what has been unused for longest; a cache that cannot be written
    is done without."""
    content = blob.getvalue() if hasattr(blob, "getvalue") else bytes(blob)
    try:
        write_whole(file, hashlib.sha256(content).digest() + content)
        room = KEPT_BYTES
        for path in sorted(file.parent.glob("*.blob"), key=lambda path: path.stat().st_mtime, reverse=True):
            room -= path.stat().st_size
            if room < 0 and path != file:
                path.unlink(missing_ok=True)
    except OSError:
        return
