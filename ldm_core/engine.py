"""By what a model's networks run: torch, or OpenVINO on CPUs, chosen by itself where it is quicker and agrees.

The engine is part of what decides a picture's bytes: recipes and protocols hold it, and a recipe is drawn again by its
own. Where none is asked for, by argument or by LDM_ENGINE, both run once on the same rows the first time that these
weights meet this machine; what was found is kept in the user's cache, so that later loads choose the same.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from filelock import FileLock
from torch import Tensor

from .checks import check_real, check_text, shown
from .conditioning import Conditioning
from .files import cache_folder, write_whole
from .placement import free_gb
from .registry import ENGINES

if TYPE_CHECKING:
    from .pipeline import LatentDiffusion

TORCH, OPENVINO = ENGINES
QUICKER = 0.95  # of torch's time at the most, to be chosen by itself
APART = {torch.float32: 1e-3, torch.bfloat16: 0.05}  # relative root mean square to torch's results, at the most
LEVEL = 1 / 255  # root mean square between pictures decoded in float32 and in bfloat16, at the most, to be decoded so
ROWS, TURNS = 2, 7  # of a trial: one guided picture's rows, the best of so many calls turn by turn
NUMBERS = ("torch_seconds", "openvino_seconds", "apart", "decoded_apart")  # of a trial
MEMORY = 5  # times the denoiser's own weights that must be free before OpenVINO is tried unasked


def check_engine(engine: str | None, device: str, dtype: torch.dtype, compiled: bool) -> str | None:
    """The engine asked for, by argument or by LDM_ENGINE; None where nothing is. ValueError where it cannot run."""
    asked = engine or os.environ.get("LDM_ENGINE") or None
    if asked is not None and asked not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {shown(asked)}")
    obstacle = _obstacle(device, dtype, compiled)
    if asked == OPENVINO and obstacle:
        if engine is None:  # the variable is a wish for all models, and not every one can have it
            return TORCH
        raise ValueError(f"engine 'openvino' {obstacle}")
    return TORCH if obstacle else asked


def _obstacle(device: str, dtype: torch.dtype, compiled: bool) -> str:
    """Why OpenVINO cannot run; empty where it can."""
    if device != "cpu":
        return f"runs on CPUs, and the device is {device!r}: take engine 'torch', or device 'cpu'"
    if compiled:
        return "compiles by itself: leave compiled out, or take engine 'torch'"
    if dtype not in APART:
        known = ", ".join(str(each).removeprefix("torch.") for each in APART)
        return f"calculates in {known}, and the dtype is {str(dtype).removeprefix('torch.')}"
    absent = [name for name in ("openvino", "onnx") if importlib.util.find_spec(name) is None]
    return f"needs {' and '.join(absent)}: pip install {' '.join(absent)}" if absent else ""


@dataclass(frozen=True)
class Trial:
    """Both engines on the same rows."""

    torch_seconds: float = 0.0  # of one call of the denoiser
    openvino_seconds: float = 0.0
    apart: float = 0.0  # relative root mean square of the results' difference, the largest of the networks
    decoded_apart: float = 1.0  # root mean square of pictures in [0, 1], decoded in bfloat16; 1 where not tried
    failed: str = ""  # why OpenVINO could not run them

    def agrees(self, dtype: torch.dtype) -> bool:
        """Whether the results are the same but for rounding."""
        return not self.failed and self.apart <= APART[dtype]

    @property
    def quicker(self) -> bool:
        """Whether it is worth another engine."""
        return self.openvino_seconds <= QUICKER * self.torch_seconds


def use_engine(model: LatentDiffusion, asked: str | None) -> None:
    """Run the model by the engine asked for, which `check_engine` gave; by the better one where none was.

    ValueError where OpenVINO was asked for and cannot run this model, or does not agree with torch.
    """
    if asked == TORCH or (asked is None and not _room(model)):
        return
    networks = _networks(model)
    trial = _known_trial(model, networks)
    if asked is None and not (trial.agrees(model.dtype) and trial.quicker):
        return
    if trial.failed:
        raise ValueError(f"engine 'openvino' cannot run model {model.spec.name!r}: {trial.failed}; take engine 'torch'")
    if not trial.agrees(model.dtype):
        raise ValueError(
            f"engine 'openvino' does not agree with torch on model {model.spec.name!r}: {trial.apart:.1%} apart, "
            f"{APART[model.dtype]:.1%} is rounding; take engine 'torch'"
        )
    for network, run in networks:
        network.run_by(run)
    if trial.decoded_apart <= LEVEL:
        model.autoencoder.run_by(_rough_decoder(networks))
    model.engine = OPENVINO


def _room(model: LatentDiffusion) -> bool:
    weights = sum(weight.numel() for weight in model.denoiser.network.parameters())
    return MEMORY * 4 * weights / 2**30 < free_gb(torch.device("cpu"))


def _networks(model: LatentDiffusion) -> list[tuple]:
    """What runs a network, with OpenVINO's counterpart; the decoder's first."""
    from .openvino_network import OpenVinoNetwork, TorchSource  # which takes a second to import

    vae = TorchSource(model.autoencoder.vae, "decode")
    made: list[tuple] = [(model.autoencoder, OpenVinoNetwork(vae, torch.float32))]
    made += [(model.denoiser, OpenVinoNetwork(TorchSource(model.denoiser.network), model.dtype))]
    for encoder in model.conditioner.text_encoders:
        made += [(encoder, OpenVinoNetwork(TorchSource(encoder.network), encoder.network.dtype))]
    return made


def _rough_decoder(networks: list[tuple]) -> Callable:
    """The decoder in bfloat16, of the same graph."""
    _, exact = networks[0]
    return type(exact)(exact.source, torch.bfloat16)


def _known_trial(model: LatentDiffusion, networks: list[tuple]) -> Trial:
    """What a trial found, now or when these weights first met this machine. Of several processes one tries."""
    from .openvino_network import circumstances

    said = [run.source.identity for _, run in networks]
    said += [str(model.dtype), str(torch.get_num_threads()), f"{model.height}x{model.width}", circumstances()]
    file = cache_folder("openvino") / f"{hashlib.sha256(' '.join(said).encode()).hexdigest()[:32]}.json"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock")):
            trial = _read(file)
            if trial is None:
                trial = _try(model, networks)
                if not trial.failed:
                    write_whole(file, json.dumps(dataclasses.asdict(trial)))
    except OSError:  # a cache that cannot be written is done without
        trial = _try(model, networks)
    return trial


def _read(file: Path) -> Trial | None:
    """What was kept of a trial; None where there is none, or a damaged one: it is then made again."""
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        numbers = {name: check_real(name, known[name], 0, math.inf) for name in NUMBERS}
        return Trial(**numbers, failed=check_text("failed", known["failed"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _try(model: LatentDiffusion, networks: list[tuple]) -> Trial:
    """Both engines on one guided picture's rows at the model's own size, its text and its latents decoded."""
    try:
        before = [work() for work in _work(model)]
        with _running(networks):
            after = [work() for work in _work(model)]
        apart = max(_apart(one, other) for one, other in zip(before, after))
        _, decode, predict = _work(model)
        decoded_apart = 1.0
        if model.dtype == torch.bfloat16:
            with _running([(model.autoencoder, _rough_decoder(networks))]):
                decoded_apart = float((decode() - before[1]).square().mean().sqrt())
        mine, theirs = [], []
        for _ in range(TURNS):
            theirs.append(_seconds(predict))
            with _running(networks):
                mine.append(_seconds(predict))
    except Exception as error:  # noqa: BLE001  # exporter and engine raise what they like: all of it means that it cannot run
        return Trial(failed=_reason(error))
    finally:
        model.denoiser.calls = model.denoiser.rows = 0
    # The least: whatever else the machine did only added to a call.
    return Trial(min(theirs), min(mine), apart, decoded_apart)


def _work(model: LatentDiffusion) -> list[Callable[[], Tensor]]:
    """A call of each network, the denoiser's last."""
    shape = (ROWS, model.denoiser.in_channels, model.height // model.factor, model.width // model.factor)
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    text = model.conditioner.encode(model.conditioner.nothing)
    rows, half = Conditioning.stack([text] * ROWS), torch.tensor(500)
    return [
        lambda: model.conditioner.encode("a").tokens,
        lambda: model.autoencoder.decode(latents[:1, : model.latent_channels]),
        lambda: model.denoiser(latents, half, rows, ROWS),
    ]


@contextmanager
def _running(networks: list[tuple]) -> Iterator[None]:
    """By OpenVINO within the block, by torch afterwards."""
    for network, run in networks:
        network.run_by(run)
    try:
        yield
    finally:
        for network, _ in networks:
            network.run_by(None)


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / one.norm().clamp(min=1e-12))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _reason(error: Exception) -> str:
    """What an engine's error says, on one line, without the places in its own source that it begins with."""
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return said[0] if said else type(error).__name__
