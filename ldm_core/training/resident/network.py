"""The ways to call a U-Net while it learns; which of them is quickest, a GPU says."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from torch.func import functional_call

from ...precision import mixed
from ..lesson import attention_for_training
from .lessons import DenoiserLesson, Predict
from .step import Step

# `plain` is autocast, in which norms and what follows them are float32; `bf16` is the network in bfloat16 throughout, the
# weights that learn in float32, rounded at each step; `compiled` leaves either to torch.compile, which joins what lies between
# products (a minute or two, once).
WAYS = ("plain", "bf16", "compiled", "bf16-compiled")
LONGEST = 120  # seconds that a way may take to be made ready and timed: a compiler must not eat what is lent
AGREES = 0.02  # how far a way's loss may be from the plain one's, of it


def predictor(unet: UNet2DConditionModel, way: str, device: str, backend: str = "inductor") -> Predict:
    """What the U-Net says, float32 (B, C, h, w), by one of WAYS; `backend` is torch.compile's. ValueError for another."""
    if way not in WAYS:
        raise ValueError(f"the way must be one of {', '.join(WAYS)}, got {way!r}")
    call = _rounded(unet) if way.startswith("bf16") else _autocast(unet, device)
    if way.endswith("compiled"):
        call = torch.compile(call, backend=backend, dynamic=False)

    def predict(noisy: Tensor, t: Tensor, words: Tensor) -> Tensor:
        with attention_for_training(device):
            return call(noisy.contiguous(memory_format=torch.channels_last), t, words).float()

    return predict


def _autocast(unet: UNet2DConditionModel, device: str) -> Predict:
    def call(noisy: Tensor, t: Tensor, words: Tensor) -> Tensor:
        with mixed(device):
            return unet(noisy, t, encoder_hidden_states=words, return_dict=False)[0]

    return call


def _rounded(unet: UNet2DConditionModel) -> Predict:
    """Gradients come back through the rounding into float32."""

    def call(noisy: Tensor, t: Tensor, words: Tensor) -> Tensor:
        weights = {name: value.bfloat16() for name, value in unet.named_parameters()}
        given = (noisy.bfloat16(), t, words.bfloat16())
        return functional_call(unet, weights, given, {"return_dict": False})[0]

    return call


def quickest(
    lesson: DenoiserLesson,
    unet: UNet2DConditionModel,
    optimizer: torch.optim.Optimizer,
    device: str,
    seconds: float,
    say: Callable[[str], None],
    ways: Sequence[str] = WAYS,
    backend: str = "inductor",
) -> str:
    """Each way's recorded step for so many seconds, at a rate of 0, the plain one's first; the one of most steps a second of
    those whose loss on one and the same batch agrees with the plain one's. A way that fails is said and left out."""
    rates, plain = {"plain": 0.0}, 0.0
    for way in ("plain", *(way for way in ways if way != "plain")):
        try:
            with limited(LONGEST):
                lesson.predict = predictor(unet, way, device, backend)
                loss = _seeded_loss(lesson)
                plain = loss if way == "plain" else plain
                rate = _steps_a_second(Step(lesson.loss, optimizer, device, say=say), device, seconds)
        except Exception as error:  # noqa: BLE001  # compilers fail in many ways, and the plain way is always there
            say(f"unet {way}: left out, {' '.join(repr(error).split())[:300]}")
            continue
        agrees = abs(loss - plain) <= AGREES * abs(plain)
        say(f"unet {way}: {rate:.1f} steps a second, loss {loss:.4f}{'' if agrees else ', which does not agree'}")
        if agrees:
            rates[way] = rate
        if device == "cuda":
            torch.cuda.empty_cache()
    return max(rates, key=lambda way: rates[way])


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """TimeoutError within the block when so much time is over, whatever it is at; not where the system has no such clock, or
    beside the main thread."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError(f"not done in {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _seeded_loss(lesson: DenoiserLesson) -> float:
    torch.manual_seed(0)
    return float(lesson.loss().detach())


def _steps_a_second(step: Step, device: str, seconds: float) -> float:
    step()
    float(step.loss)  # waits for the device
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(5 if device == "cuda" else 1):
            step()
            count += 1
        float(step.loss)
    return count / (time.perf_counter() - began)
