"""diffusers' schedulers by readable names: made from a checkpoint's config, prepared for a number of steps, read.

Any class of diffusers that a checkpoint brings is taken with every key of its config. A name chooses another class and
never the noise schedule that the model was trained with: of the old class's keys those that describe the schedule go over,
those of its own solver (orders, algorithms) stay behind.
"""

from __future__ import annotations

import functools
import inspect
import json
import math
from collections.abc import Mapping
from typing import Any

import diffusers
import torch
from diffusers.configuration_utils import FrozenDict
from torch import Tensor

from .checks import check_real, first_line, shown
from .settings import LEAST_SHIFT, MOST_SHIFT
from .spacing import SHIFT, DDIMScheduler, shift_of, shift_steps, takes_shift

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
TRAILING = "-trailing"  # behind a scheduler's name: "euler-trailing"
DIFFUSION, FLOW, EDM = "diffusion", "flow", "edm"  # what a model was trained as; schedulers of one kind fit it
KINDS = {DIFFUSION: "diffusion", FLOW: "flow matching", EDM: "EDM's preconditioning"}
# Keys that describe training and the grid of noise levels, not a solver: what goes over to another class.
SHARED_KEYS = frozenset(
    "num_train_timesteps beta_start beta_end beta_schedule trained_betas prediction_type rescale_betas_zero_snr "
    "timestep_spacing steps_offset set_alpha_to_one clip_sample clip_sample_range "
    "use_karras_sigmas use_exponential_sigmas use_beta_sigmas sigma_min sigma_max sigma_data rho sigma_schedule "
    "shift use_dynamic_shifting base_shift max_shift base_image_seq_len max_image_seq_len time_shift_type "
    "shift_terminal invert_sigmas".split()
)
# Of a swapped class, where the config is silent: no clipping, for latents leave [-1, 1]; no Runge-Kutta warm-up, which
# costs eight more network calls and which Stable Diffusion's own configs skip.
SWAPPED_DEFAULTS = {"clip_sample": False, "skip_prk_steps": True}
MOST_TRAIN_STEPS = 100_000  # a config that says more would fill the memory before the first step
MOST = 10**6  # any integer of a scheduler's config


def make_scheduler(config: Mapping, name: str | None = None, shift: float | None = None) -> diffusers.SchedulerMixin:
    """A diffusers scheduler for a checkpoint's scheduler config: its own class, or another by name, readable or diffusers'.

    shift, in place of the config's, says how far its steps lie towards noise (spacing.py). ValueError in one line for a class
    that is unknown or does not fit, and for values that it does not take.
    """
    if shift is not None:
        config = _with_shift(config, shift)
    own = config.get("_class_name")
    if name is not None and name.endswith(TRAILING):
        return _trailing(config, name)
    known = f"scheduler may be {', '.join(SCHEDULERS)}"
    if not isinstance(own, str) and name is None:
        raise ValueError(f"the checkpoint's scheduler config names no class; {known}")
    class_name = own if name is None else SCHEDULERS.get(name, name)
    found = _class(class_name)
    if absent := getattr(getattr(diffusers, str(class_name), None), "_backends", None):
        raise ValueError(f"the scheduler {class_name} needs packages that are not here: {', '.join(absent)}")
    if found is None and name is None:
        raise ValueError(f"the checkpoint's scheduler {shown(own)} is unknown; {known}")
    if found is None:
        raise ValueError(
            f"scheduler must be one of {', '.join(SCHEDULERS)}, or a scheduler class of diffusers, got {shown(name)}"
        )
    _check_sizes(config)
    if class_name == own:
        return _made(found, config)
    if _class(own) is not None and kind_of(config) != kind_of({"_class_name": class_name}):
        raise ValueError(
            f"scheduler {shown(name)} does not fit a model trained for {own}: it is trained for {KINDS[kind_of(config)]}"
        )
    kept = {key: value for key, value in config.items() if key in SHARED_KEYS}
    if "flow_shift" in config and kind_of(config) == FLOW:  # by the name that solvers of both kinds have for it
        kept[SHIFT] = config["flow_shift"]
    return _made(found, SWAPPED_DEFAULTS | kept)


def _trailing(config: Mapping, name: str) -> diffusers.SchedulerMixin:
    """A scheduler whose first step is at the last noise level, and the rest even below it (Lin et al. 2024, table 2), as
    lightning's and other few-step weights are trained."""
    made = make_scheduler(config, name.removesuffix(TRAILING))
    if "timestep_spacing" not in made.config:
        raise ValueError(f"scheduler {shown(name)}: {type(made).__name__} has no spacing of its timesteps to choose")
    plain = {key: value for key, value in made.config.items() if not key.startswith("_")}  # some name what is default
    return _made(type(made), plain | {"timestep_spacing": "trailing"})


def _with_shift(config: Mapping, shift: float) -> dict:
    """A config with another shift: a flow schedule's own key, whatever its class calls it."""
    kind = kind_of(config)
    if kind == EDM and shift != 1:
        raise ValueError(
            f"shift must be 1 for {KINDS[EDM]}, whose noise levels are spaced by a rule of their own, got {shift:g}"
        )
    if kind != FLOW:
        return dict(config) | {SHIFT: shift}
    found = _class(config.get("_class_name"))
    keys = [key for key in (SHIFT, "flow_shift") if found is not None and key in inspect.signature(found).parameters]
    if not keys:
        raise ValueError(f"shift does not fit the scheduler {config['_class_name']}, which has none")
    return dict(config) | dict.fromkeys(keys, shift) | {"use_dynamic_shifting": False}


def _class(name: object) -> type[diffusers.SchedulerMixin] | None:
    found = getattr(diffusers, name, None) if isinstance(name, str) and name.isidentifier() else None
    is_scheduler = isinstance(found, type) and issubclass(found, diffusers.SchedulerMixin)
    return found if is_scheduler and hasattr(found, "set_timesteps") else None


def _made(found: type[diffusers.SchedulerMixin], config: Mapping) -> diffusers.SchedulerMixin:
    values = {key: value for key, value in config.items() if key != "_class_name"}
    shift = 1.0
    if (
        kind_of({"_class_name": found.__name__, **values}) == DIFFUSION
        and SHIFT not in inspect.signature(found).parameters
    ):
        shift = check_real("the scheduler config's shift", values.pop(SHIFT, None) or 1.0, LEAST_SHIFT, MOST_SHIFT)
    if shift != 1 and found is diffusers.DDIMScheduler:
        found = DDIMScheduler
    try:
        made = found.from_config({**values})
    except Exception as error:  # noqa: BLE001  # the library raises what it likes: all of it means that a value does not fit
        raise ValueError(f"the scheduler {found.__name__} cannot be made of its config: {first_line(error)}") from None
    if shift != 1:
        if not takes_shift(made):
            name = readable_name(found.__name__)
            raise ValueError(
                f"the scheduler {name} spaces its steps by a rule of its own: shift must be 1 for it, got {shift:g}"
            )
        made.register_to_config(**{SHIFT: shift})
    return made


def _check_sizes(config: Mapping) -> None:
    """Numbers that would be reserved memory for are within reason."""
    for key, value in config.items():
        most = MOST_TRAIN_STEPS if key == "num_train_timesteps" else MOST
        if isinstance(value, int) and abs(value) > most:
            raise ValueError(f"the scheduler config's {key} is {shown(value)}: {most} is the most that is taken")
    steps = config.get("num_train_timesteps", 1000)
    if type(steps) is not int or steps < 1:
        raise ValueError(f"the scheduler config's num_train_timesteps must be an integer >= 1, got {shown(steps)}")


def kind_of(config: Mapping) -> str:
    """DIFFUSION, FLOW or EDM: what the model of a scheduler's config was trained as."""
    found = _class(config.get("_class_name"))
    if found is None:
        return DIFFUSION
    keys = inspect.signature(found.__init__).parameters
    if config.get("use_flow_sigmas") or config.get("prediction_type") == "flow_prediction":
        return FLOW
    if "sigma_data" in keys:
        return EDM
    return FLOW if "shift" in keys and "beta_start" not in keys else DIFFUSION


def _kind(scheduler: diffusers.SchedulerMixin) -> str:
    return kind_of(dict(scheduler.config) | {"_class_name": type(scheduler).__name__})


def names_of(kind: str) -> list[str]:
    """The readable names of the schedulers that fit a kind of model."""
    return [name for name, class_name in SCHEDULERS.items() if kind_of({"_class_name": class_name}) == kind]


def names_for(config: Mapping) -> list[str]:
    """Names by which a model of a scheduler config can be drawn: its own first, then the readable ones that fit."""
    return list(_names_for(json.dumps(dict(config), sort_keys=True, default=str)))


@functools.lru_cache(maxsize=64)
def _names_for(written: str) -> tuple[str, ...]:
    """Each is made once to see whether it fits: the page asks at every request."""
    config = json.loads(written)
    own = readable_name(config["_class_name"])
    return (own, *(name for name in names_of(kind_of(config)) if name != own and _fits(config, name)))


def _fits(config: Mapping, name: str) -> bool:
    try:
        make_scheduler(config, name)
    except ValueError:
        return False
    return True


def readable_name(class_name: str) -> str:
    """The readable name of a scheduler's class, or the class's own where the table has none."""
    return next((name for name, known in SCHEDULERS.items() if known == class_name), class_name)


def set_steps(scheduler: diffusers.SchedulerMixin, steps: int, image_tokens: int = 0) -> None:
    """Prepare a scheduler for a number of steps; ValueError where it cannot take so many.

    image_tokens is how many tokens the denoiser takes the latent for: a schedule whose shift depends on the image's size
    (Esser et al. 2024, section 5.3.2, as diffusers' pipelines interpolate it) asks for it.
    """
    config = scheduler.config
    if _by_table(scheduler) and steps > len(scheduler.alphas_cumprod):
        raise ValueError(
            f"steps={steps} does not fit the scheduler {readable_name(type(scheduler).__name__)}: its model knows "
            f"{len(scheduler.alphas_cumprod)} noise levels"
        )
    arguments = {"mu": dynamic_shift(config, image_tokens)} if config.get("use_dynamic_shifting") else {}
    try:
        scheduler.set_timesteps(steps, **arguments)
        # Leading spacing plus an offset may point past the last level that the model was trained at (1000 of 1000 steps);
        # schedulers that keep their levels in a table would fail there.
        if _by_table(scheduler) and int(max(scheduler.timesteps)) >= len(scheduler.alphas_cumprod):
            scheduler._internal_dict = FrozenDict(dict(config) | {"steps_offset": 0})
            scheduler.set_timesteps(steps, **arguments)
        if _kind(scheduler) == DIFFUSION and shift_of(config) != 1:
            shift_steps(scheduler, shift_of(config))
    except Exception as error:  # noqa: BLE001  # the library raises what it likes: all of it means that this many do not fit
        name = readable_name(type(scheduler).__name__)
        raise ValueError(f"steps={steps} does not fit the scheduler {name}: {first_line(error)}") from None


def _by_table(scheduler: diffusers.SchedulerMixin) -> bool:
    """Whether noise levels are looked up by timestep; the others keep the levels of their own steps (sigmas)."""
    return hasattr(scheduler, "alphas_cumprod") and not hasattr(scheduler, "sigmas")


def dynamic_shift(config: Mapping, image_tokens: int) -> float:
    """mu, linear in the number of image tokens."""
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.16)
    return low + (image_tokens - few) * (high - low) / (many - few)


def time_of(scheduler: diffusers.SchedulerMixin, timestep: Tensor) -> float:
    """A scheduler's timestep as t in [0, 1], 1 for noise; EDM's, whose timesteps are ln(sigma) / 4, linear in ln(sigma)."""
    kind, value = _kind(scheduler), float(timestep)
    if kind == EDM and hasattr(scheduler, "precondition_noise"):
        low, high = (math.log(scheduler.config[name]) / 4 for name in ("sigma_min", "sigma_max"))
        return min(1.0, max(0.0, (value - low) / (high - low)))
    if kind == EDM or not (kind == FLOW or hasattr(scheduler, "alphas_cumprod")):
        first, last = float(max(scheduler.timesteps)), float(min(0, *scheduler.timesteps))
        return (value - last) / (first - last) if first > last else 1.0
    last = scheduler.config.num_train_timesteps
    return min(1.0, value / (last if kind == FLOW else max(1, last - 1)))


def predicted_clean(
    scheduler: diffusers.SchedulerMixin, prediction: Tensor, latent: Tensor, scaled: Tensor, timestep: Tensor, step: int
) -> Tensor:
    """z_0 as a prediction (B, C, h, w) implies it, for epsilon (Ho et al. 2020, eq. 15), v (Salimans & Ho 2022), flow, EDM.

    latent is the scheduler's, scaled the same as the network takes it: sqrt(a) z_0 + sqrt(1 - a) eps in every scheduler
    for diffusion models, whether it keeps that or z_0 + sigma eps (Karras et al. 2022) between its steps.
    """
    kind = _kind(scheduler)
    sigmas: Any = getattr(scheduler, "sigmas", None)
    sigma = None if sigmas is None or len(sigmas) <= step else float(sigmas[step])
    if kind == FLOW:
        sigma = float(timestep) / scheduler.config.num_train_timesteps if sigma is None else sigma
        return latent - sigma * prediction
    if hasattr(scheduler, "precondition_outputs"):
        return scheduler.precondition_outputs(latent, prediction, sigmas[step])
    if kind == EDM:  # a consistency model's output (Song et al. 2023, eq. 5)
        skip, out = scheduler.get_scalings_for_boundary_condition(sigma)
        return out * prediction + skip * latent
    if sigma is None and not hasattr(scheduler, "alphas_cumprod"):  # Liu et al. 2022 on a clock of its own, v predicted
        return float(scheduler.alphas[step]) * latent - float(scheduler.betas[step]) * prediction
    signal = _signal(scheduler, latent, scaled, timestep, sigma)
    spread = max(0.0, 1 - signal**2) ** 0.5
    prediction_type = getattr(scheduler.config, "prediction_type", "epsilon")
    if prediction_type == "epsilon":
        return (scaled - spread * prediction) / signal
    if prediction_type == "v_prediction":
        return signal * scaled - spread * prediction
    return prediction  # "sample": the network says z_0 itself


def _signal(
    scheduler: diffusers.SchedulerMixin, latent: Tensor, scaled: Tensor, timestep: Tensor, sigma: float | None
) -> float:
    """sqrt(a): the share of the clean latent in what the network is given."""
    if scaled is not latent and not torch.equal(
        scaled, latent
    ):  # z_0 + sigma eps, scaled by sqrt(a) = (1 + sigma^2)^-1/2
        return float(scaled.double().norm() / latent.double().norm())
    if sigma is not None:
        return (1 + sigma**2) ** -0.5
    table = scheduler.alphas_cumprod
    return max(1e-4, float(table[min(int(timestep), len(table) - 1)]) ** 0.5)
