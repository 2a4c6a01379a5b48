"""From seeds to noise, and from noise to a clean latent: the denoising loop itself.

Schedulers are diffusers', by readable names. Their timesteps are used beside them only; everything else here counts
time t from 1.0 (noise) to 0.0 (clean).
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import diffusers
import torch
from torch import Tensor

SCHEDULERS = {
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler-ancestral": "EulerAncestralDiscreteScheduler",
    "dpm++2m": "DPMSolverMultistepScheduler",
    "pndm": "PNDMScheduler",
    "unipc": "UniPCMultistepScheduler",
    "flow-euler": "FlowMatchEulerDiscreteScheduler",
}


@dataclass(frozen=True)
class State:
    """The loop after one step: which step (0 first), the time t it started at, and the latents (B, C, h, w)."""

    step: int
    steps: int
    t: float
    latent: Tensor
    clean: Tensor  # the clean latent as the network predicts it now: what a preview shows


def image_seed(run_seed: int, prompt: str, k: int) -> int:
    """The seed of a run's k-th image of a prompt: the first 32 bits of SHA-256, so it depends on nothing else."""
    return int.from_bytes(hashlib.sha256(f"{run_seed}\n{prompt}\n{k}".encode()).digest()[:4], "big")


def image_generators(seeds: list[int]) -> list[torch.Generator]:
    """One CPU generator per image."""
    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]


def initial_noise(generators: list[torch.Generator], shape: tuple[int, int, int]) -> Tensor:
    """One N(0, 1) latent per generator: (B, *shape), float32 on the CPU.

    A row depends on its own seed alone, so an image is the same in any batch and on any number of processes.
    """
    return torch.cat([torch.randn((1, *shape), generator=generator) for generator in generators])


def make_scheduler(config: dict, name: str | None = None) -> object:
    """A diffusers scheduler for a checkpoint's scheduler config: its own class, or another by name."""
    own = config.get("_class_name", "")
    class_name = SCHEDULERS[name] if name else own
    if not hasattr(diffusers, class_name):
        raise ValueError(f"the checkpoint's scheduler {own!r} is unknown; scheduler may be {', '.join(SCHEDULERS)}")
    if own and own.startswith("FlowMatch") != class_name.startswith("FlowMatch"):
        raise ValueError(f"scheduler {name!r} does not fit a model trained for {own}: one of them is flow matching")
    # The name chooses the class, never the noise schedule that the model was trained with. PNDM's Runge-Kutta warm-up
    # costs eight more network calls; Stable Diffusion's own configs skip it, and so does here any that does not say.
    values = {"skip_prk_steps": True} if class_name == "PNDMScheduler" else {}
    return getattr(diffusers, class_name).from_config(values | {k: v for k, v in config.items() if k != "_class_name"})


def readable_name(scheduler: object) -> str:
    """The readable name of a scheduler, or its class name where the table has none."""
    return next(
        (name for name, class_name in SCHEDULERS.items() if class_name == type(scheduler).__name__),
        type(scheduler).__name__,
    )


def denoise(
    predict: Callable[[Tensor, Tensor, float], Tensor],
    scheduler: object,
    noise: Tensor,
    generators: list[torch.Generator],
    steps: int,
) -> Iterator[State]:
    """The sampling loop: noise (B, C, h, w) -> a State after each step; the last one's latent is the result.

    predict(latent, timestep, t) is the guided prediction for a latent as the network takes it. The generators that
    made the noise go on to serve the schedulers that add more, so those too depend on each image's seed alone.
    """
    scheduler.set_timesteps(steps)
    latent = noise * getattr(scheduler, "init_noise_sigma", 1.0)
    takes_generator = "generator" in inspect.signature(scheduler.step).parameters
    noise_source = {"generator": generators} if takes_generator else {}
    for step, timestep in enumerate(scheduler.timesteps):
        t = time_of(scheduler, timestep)
        scaled = scheduler.scale_model_input(latent, timestep) if hasattr(scheduler, "scale_model_input") else latent
        prediction = predict(scaled, timestep, t)
        clean = predicted_clean(scheduler, prediction, timestep, latent)
        latent = scheduler.step(prediction, timestep, latent, **noise_source).prev_sample
        # Asking a GPU waits for it, so there only the last latent is asked for: what is not finite stays so.
        ask = latent.device.type == "cpu" or step + 1 == len(scheduler.timesteps)
        if ask and not torch.isfinite(latent).all():
            raise FloatingPointError(
                f"the latent stopped being finite at step {step + 1} of {len(scheduler.timesteps)}; "
                "a lower guidance_scale or dtype='float32' may do"
            )
        yield State(step, len(scheduler.timesteps), t, latent, clean)


def time_of(scheduler: object, timestep: Tensor) -> float:
    """A scheduler's timestep as t in [0, 1]."""
    last = scheduler.config.num_train_timesteps
    return min(1.0, float(timestep) / (last if is_flow(scheduler) else last - 1))


def is_flow(scheduler: object) -> bool:
    """Whether the latent is (1 - t) z + t eps, as in rectified flow (Liu et al. 2023), and v = eps - z is predicted."""
    return type(scheduler).__name__.startswith("FlowMatch")


def predicted_clean(scheduler: object, prediction: Tensor, timestep: Tensor, latent: Tensor) -> Tensor:
    """z_0 as a prediction implies it, for epsilon (Ho et al. 2020, eq. 15), v (Salimans & Ho 2022) or flow.

    Euler's latents are z_0 + sigma eps (Karras et al. 2022); the others keep sqrt(a) z_0 + sqrt(1 - a) eps.
    """
    if is_flow(scheduler):
        return latent - float(timestep) / scheduler.config.num_train_timesteps * prediction
    kind = scheduler.config.prediction_type
    if type(scheduler).__name__.startswith("Euler"):
        sigma = float(scheduler.sigmas[scheduler.step_index])
        latent, signal = latent / (1 + sigma**2) ** 0.5, (1 + sigma**2) ** -0.5
    else:
        signal = float(scheduler.alphas_cumprod[int(timestep)]) ** 0.5
    spread = max(0.0, 1 - signal**2) ** 0.5
    if kind == "epsilon":
        return (latent - spread * prediction) / signal
    if kind == "v_prediction":
        return signal * latent - spread * prediction
    return prediction  # "sample": the network says z_0 itself
