"""From what is asked for to the denoising loop: texts are encoded, noise is drawn, the cells' rows are shared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from .cells import Cell, GuidedCells, Network, rows_needed
from .conditioning import Blend, Conditioning
from .denoisers import UpscalingUnetDenoiser
from .guidance_checks import weaker_model
from .pictures import Pictures
from .sampling import State, denoise, image_generators, initial_noise
from .schedulers import FLOW, kind_of, make_scheduler, set_steps, time_of
from .settings import SamplingSettings
from .tasks import inpainting, upscaling
from .tasks.control import PreparedControl
from .tasks.start import timesteps_from

if TYPE_CHECKING:
    from .pipeline import LatentDiffusion


def states(model: LatentDiffusion, asked: Pictures) -> Iterator[State]:
    """The loop for pictures that denoise together: a State after each step, none where nothing is drawn anew."""
    loop, start = asked.settings[0], asked.start
    if loop.strength == 0:
        return iter(())  # what it begins at is the result
    cells = _cells(model, asked)
    solver = make_scheduler(model.scheduler_config, loop.scheduler, loop.shift)
    weaker = _weaker_networks(model, cells)
    texts = _encode_texts(model, (text for cell in cells for text in (cell.prompt, cell.negative_prompt)))
    start = None if start is None else start.to(model.device)
    generators = image_generators(asked.seeds)
    beside, levels = inpainting.beside_of(model, start, loop, len(cells)), None
    if isinstance(model.denoiser, UpscalingUnetDenoiser):
        beside, levels = upscaling.beside_of(model.denoiser, start, generators)
    control = _prepared_control(model, asked)
    more = (solver, kind_of(model.scheduler_config) == FLOW, weaker, beside, control, levels)
    guided = GuidedCells(cells, texts, model.denoiser, loop.rows_per_call, *more)
    shape = (model.latent_channels, loop["height"] // model.factor, loop["width"] // model.factor)
    noise = initial_noise(generators, shape).to(model.device)
    noise = noise if start is None or start.noise is None else start.noise
    tokens = model.denoiser.image_tokens(noise)
    strength = 1.0 if loop.strength is None else loop.strength
    found = denoise(guided.predict, solver, noise, generators, loop["steps"], tokens, guided.renoise, start, strength)
    found = (replace(state, arrow=guided.arrow) for state in found)
    networks = [model.denoiser.network, *(other.denoiser.network for other in weaker.values())]
    return _on_device(model, found, networks if control is None else [*networks, control.control.network])


def rows_alone(model: LatentDiffusion, whole: SamplingSettings) -> int:
    """Network rows that one image with whole settings needs by itself, over all steps."""
    scheduler = make_scheduler(model.scheduler_config, whole.scheduler, whole.shift)
    shape = (1, 1, whole["height"] // model.factor, whole["width"] // model.factor)
    set_steps(scheduler, whole["steps"], model.denoiser.image_tokens(torch.empty(shape, device="meta")))
    cell = Cell("", None, 0, whole.guidance)
    timesteps, _ = timesteps_from(scheduler, whole["steps"], 1.0 if whole.strength is None else whole.strength)
    times = [time_of(scheduler, timestep) for timestep in timesteps]
    embedded, flow = model.denoiser.embeds_guidance, kind_of(model.scheduler_config) == FLOW
    return sum(len(rows_needed(cell, t, step, embedded, flow)) for step, t in enumerate(times))


def _cells(model: LatentDiffusion, asked: Pictures) -> list[Cell]:
    nothing = model.conditioner.nothing
    tasks = [None] * len(asked.seeds) if asked.start is None else asked.start.tasks
    return [
        Cell(_in_own_words(model, prompt, own), own.negative_prompt or nothing, seed, own.guidance, task)
        for prompt, seed, own, task in zip(asked.prompts, asked.seeds, asked.settings, tasks)
    ]


def _in_own_words(model: LatentDiffusion, prompt: str | Blend, own: SamplingSettings) -> str | Blend:
    """A prompt in the words that are drawn; of a blend both."""
    if isinstance(prompt, Blend):
        first, second = (model.in_own_words(text, own).text for text in (prompt.first, prompt.second))
        return Blend(first, second, prompt.share)
    return model.in_own_words(prompt, own).text


def _prepared_control(model: LatentDiffusion, asked: Pictures) -> PreparedControl | None:
    """What steers pictures by their control images, where there are any."""
    if model.control is None or asked.control_images is None:
        return None
    with model.placement.using(model.control.network):
        return model.control.prepare(asked.control_images, asked.settings, model.device)


def _encode_texts(
    model: LatentDiffusion, texts: Iterable[str | Blend | None]
) -> dict[str | Blend | None, Conditioning]:
    asked = dict.fromkeys(texts)
    blends = [text for text in asked if isinstance(text, Blend)]
    plain = [text for text in asked if not isinstance(text, Blend)]
    plain += [text for blend in blends for text in (blend.first, blend.second)]
    with model.placement.using(*model.conditioner.networks):
        found: dict = {text: model.conditioner.encode(text) for text in dict.fromkeys(plain)}
    return found | {blend: found[blend.first].towards(found[blend.second], blend.share) for blend in blends}


def _weaker_networks(model: LatentDiffusion, cells: Sequence[Cell]) -> dict[str, Network]:
    """By name, those that the cells' rules ask, with the prompts in their own encoders' words."""
    asked: dict[str, list[str | Blend]] = {}
    for cell in cells:
        if cell.guidance.guider.rule.weaker:
            asked.setdefault(cell.guidance.guider["model"], []).append(cell.prompt)
    models = {name: weaker_model(model, name) for name in asked}
    return {name: Network(one.denoiser, _encode_texts(one, asked[name])) for name, one in models.items()}


def _on_device(model: LatentDiffusion, found: Iterator[State], networks: Sequence[nn.Module]) -> Iterator[State]:
    with model.placement.using(*networks):
        yield from found
