"""What all tabs share: the model, the one lane to the device, and the bounds that the server holds."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import ldm_core
from ldm_core.autoencoder import Autoencoder
from ldm_core.loading import autoencoder_folder, load_autoencoder
from ldm_core.pipeline import LatentDiffusion
from ldm_core.sampling import SCHEDULERS


@dataclass(frozen=True)
class Limits:
    """What a visitor may ask for; checked on the server, before the queue."""

    prompt_characters: int = 400
    steps: int = 100
    guidance_scale: float = 20.0
    largest_seed: int = 2**32 - 1
    cells: int = 32  # pictures of one sweep
    megapixels: int = 40  # of an uploaded photo, before it is decoded
    photo_side: int = 768  # pixels: a larger photo is made smaller


class Session:
    """A loaded model, and the lock that keeps a second picture off the device until the first has really stopped.

    The queue alone does not: it frees a place as soon as a visitor presses Stop, while the step still runs.
    """

    def __init__(self, model: LatentDiffusion, limits: Limits | None = None):
        self.model, self.limits = model, limits or Limits()
        self.lane = threading.Lock()
        self.autoencoders: dict[str, Autoencoder] = {model.spec.reference: model.autoencoder}
        self.seconds_per_row = 0.0  # of the network, as last measured; 0 before that

    @classmethod
    def load(cls, name: str) -> Session:
        """With the model of a registry name, folder or hub id."""
        return cls(ldm_core.load(name))

    def autoencoder(self, name: str) -> Autoencoder:
        """An autoencoder by name, loaded once; ValueError says why it cannot be had. To be called in the lane."""
        if name not in self.autoencoders:
            self.autoencoders[name] = load_autoencoder(autoencoder_folder(name), str(self.model.device))
        return self.autoencoders[name]

    def problems(self, prompt: object, negative_prompt: object, seed: object, steps: object, guidance_scale: object,
                 scheduler: object) -> list[str]:  # fmt: skip
        """What is wrong with each of a visitor's settings, in their order; empty where nothing is."""
        limits = self.limits
        return [
            _text(prompt, limits.prompt_characters, "The prompt"),
            _text(negative_prompt, limits.prompt_characters, "The negative prompt"),
            _number(seed, 0, limits.largest_seed, "The seed", whole=True),
            _number(steps, 1, limits.steps, "Steps", whole=True),
            _number(guidance_scale, 0, limits.guidance_scale, "The guidance scale"),
            "" if scheduler in SCHEDULERS else f"The scheduler must be one of {', '.join(SCHEDULERS)}.",
        ]


def _text(value: object, longest: int, name: str) -> str:
    if not isinstance(value, str):
        return f"{name} must be text."
    return "" if len(value) <= longest else f"{name} has {len(value)} characters; {longest} are the most."


def _number(value: object, low: float, high: float, name: str, whole: bool = False) -> str:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if fits and low <= value <= high and not (whole and value != int(value)):
        return ""
    return f"{name} must be a {'whole ' if whole else ''}number from {low:g} to {int(high)}."
