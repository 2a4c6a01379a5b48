"""What all tabs share: the models, the one lane to the device, and the bounds that the server holds."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ldm_core
from ldm_core.autoencoder import Autoencoder
from ldm_core.checkpoint import read_json
from ldm_core.family import scheduler_names
from ldm_core.guidance_rules import RULES
from ldm_core.loading import autoencoder_folder, load_autoencoder
from ldm_core.pipeline import LatentDiffusion
from ldm_core.registry import MODELS, ModelSpec, control_names
from ldm_core.schedulers import names_for

from .lane import Lane, Stops
from .listeners import Listeners
from .over_time import OVER_TIME
from .runs import Runs
from .scratch import Scratch

Size = tuple[int, int]  # width and height in pixels
# Not those that load a model of the visitor's choice, or take w up to 1 alone.
COUNTS = (1, 2, 4)  # pictures of one click
RULES_OFFERED = tuple(name for name, rule in RULES.items() if not (rule.weaker or rule.renoises))


@dataclass(frozen=True)
class Limits:
    """What a visitor may ask for; checked on the server, before the queue."""

    prompt_characters: int = 400
    steps: int = 100
    guidance_scale: float = 20.0
    largest_seed: int = 2**32 - 1
    cells: int = 32  # pictures of one sweep
    work: float = (
        60.0  # million pixels through the network, over all steps of a request, on a CPU; a GPU takes 50 times that
    )
    megapixels: int = 40  # of an uploaded photo, before it is decoded
    photo_side: int = 768  # pixels: a larger photo is made smaller
    compared_megapixels: float = 12.0  # through autoencoders, of one comparison, on a CPU; a GPU takes 50 times that
    waiting_per_visitor: int = 3  # requests of one browser tab
    waiting_per_address: int = 12  # requests of one address, which many people may share
    upload_megabytes: int = 200  # that one address may have lying here; ten times that for all together


def limits_of(text: str) -> Limits:
    """Limits from "steps=50,cells=16"; ValueError in one line for a name or a value that makes no sense."""
    kinds: dict[str, type] = {field.name: type(field.default) for field in dataclasses.fields(Limits)}
    values = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (side.strip() for side in part.partition("="))
        try:
            values[name] = kinds[name](value)
        except (KeyError, ValueError):
            raise ValueError(f"--limits must be like steps=50,cells=16, of {', '.join(kinds)}; got {part!r}") from None
        if not values[name] > 0:
            raise ValueError(f"--limits {name} must be above 0, got {value}")
    return Limits(**values)


class Session:
    """The models of the page, and the lane that keeps a second picture off the device until the first has really stopped.

    gradio's queue does not: it would free a place as soon as a visitor has gone, while the step still runs.
    """

    def __init__(
        self,
        model: LatentDiffusion,
        limits: Limits | None = None,
        engine: str | None = None,
        runs: Runs | None = None,
        control: str | None = None,
        photographs: Sequence[Path] = (),
    ):
        self.runs = runs  # that visitors may look at
        self.photographs = photographs  # among the samples
        self.model, self.limits, self.engine = model, limits or Limits(), engine
        own = f"{model.spec.name}-control"
        self.control = control or (own if own in control_names() else "")  # of silhouettes, for the page's model
        self._steered: LatentDiffusion | None = None
        self.lane = Lane()
        self.stops = Stops()
        self.scratch = Scratch()
        self.door = Door(self.limits)
        self.listeners = Listeners()
        self.models: dict[str, LatentDiffusion] = {model.spec.reference: model}
        self.autoencoders: dict[str, Autoencoder] = {model.spec.reference: model.autoencoder}
        self.seconds_per_row: dict[str, float] = {}  # of a model's network, as last measured

    @classmethod
    def load(
        cls,
        name: str,
        limits: Limits | None = None,
        engine: str | None = None,
        runs: Runs | None = None,
        photographs: Sequence[Path] = (),
    ) -> Session:
        """With the model of a registry name, folder or hub id, by an engine or the quicker one."""
        return cls(ldm_core.load(name, engine=engine), limits, engine, runs, photographs=photographs)

    @property
    def specs(self) -> dict[str, ModelSpec]:
        """The models on offer: the page's own, and those that ship with the repository."""
        return {self.model.spec.reference: self.model.spec} | {
            name: spec for name, spec in MODELS.items() if spec.embedded
        }

    def model_of(self, name: str) -> LatentDiffusion:
        """A model on offer, loaded once. To be called in the lane."""
        if name not in self.models:
            self.models[name] = ldm_core.load(name, engine=self.engine)
        return self.models[name]

    def steered(self) -> LatentDiffusion:
        """The page's model with its control, loaded once. To be called in the lane, where there is a control."""
        if self._steered is None:
            self._steered = self.model.with_control(self.control)
        return self._steered

    def autoencoder(self, name: str) -> Autoencoder:
        """An autoencoder by name, loaded once; ValueError says why it cannot be had. To be called in the lane."""
        if name not in self.autoencoders:
            self.autoencoders[name] = load_autoencoder(autoencoder_folder(name), str(self.model.device))
        return self.autoencoders[name]

    def schedulers(self, name: str) -> list[str]:
        """Those that a model on offer can be drawn with, its own first as far as that is known before it is loaded."""
        loaded, spec = self.models.get(name), self.specs[name]
        if loaded is not None:
            return loaded.scheduler_names
        if spec.embedded:
            return names_for(read_json(Path(spec.source) / "scheduler" / "scheduler_config.json"))
        return scheduler_names(spec.family)

    def problems(
        self,
        prompt: object,
        negative_prompt: object,
        seed: object,
        steps: Any,
        guidance_scale: object,
        scheduler: object,
        guidance_schedule: object,
        size: Any,
        model: Any,
        guidance_rule: object = "cfg",
        substitute: object = True,
        pictures: Any = 1,
    ) -> dict[str, str]:
        """What is wrong with a visitor's settings, in words by their names; empty where nothing is."""
        limits = self.limits
        found = {
            "prompt": _text(prompt, limits.prompt_characters, "The prompt"),
            "negative_prompt": _text(negative_prompt, limits.prompt_characters, "The negative prompt"),
            "seed": _number(seed, 0, limits.largest_seed, "The seed", whole=True),
            "steps": _number(steps, 1, limits.steps, "Steps", whole=True),
            "guidance_scale": _number(guidance_scale, 0, limits.guidance_scale, "The guidance scale"),
            "guidance_schedule": _one_of(guidance_schedule, OVER_TIME, "The guidance schedule"),
            "model": _one_of(model, self.specs, "The model"),
            "guidance_rule": _one_of(guidance_rule, RULES_OFFERED, "The guidance rule"),
            "substitute": "" if isinstance(substitute, bool) else "Nearest words must be on or off.",
            "pictures": "" if type(pictures) is int and pictures in COUNTS else "Pictures must be 1, 2 or 4.",
        }
        if not found["model"]:
            found["scheduler"] = _one_of(scheduler, self.schedulers(model), "The scheduler")
            found["size"] = _one_of(size, [size_text(each) for each in sizes(self.specs[model])], "The size")
        found = {name: words for name, words in found.items() if words}
        if not found and (words := self.too_much(size_of(size), steps, pictures)):
            found["steps"] = words
        if not found and seed + pictures - 1 > limits.largest_seed:
            found["seed"] = f"The seeds of {pictures} pictures follow one another, up to {limits.largest_seed}."
        return found

    @property
    def strength(self) -> int:
        """How many times the work of a CPU one request may be."""
        return 1 if self.model.device.type == "cpu" else 50

    def too_much(self, size: Size, steps: int, pictures: int) -> str:
        """In words, where a request would keep the device longer than one visitor may; empty where not."""
        width, height = size
        most = self.limits.work * self.strength
        asked = 2 * pictures * int(steps) * width * height / 1e6
        if asked <= most:
            return ""
        return f"That is {asked / most:.1f} times the work that one request may be: take fewer steps or pictures."


class Door:
    """Lets a visitor wait for a few requests at a time, so that one cannot fill the queue.

    A request that never comes back (a full queue, a closed tab) is forgotten after a while.
    """

    FORGET = 180.0  # seconds

    def __init__(self, limits: Limits):
        self.limits, self.lock = limits, threading.Lock()
        self.waiting: dict[str, deque[float]] = defaultdict(deque)

    def enter(self, visitor: str, address: str) -> str:
        """Empty, and counted, where the visitor may join the queue; else in words why not. A script has no name of its own
        before it is in the queue: only its address is counted."""
        now, limits = time.monotonic(), {f"address {address}": self.limits.waiting_per_address} if address else {}
        if visitor:
            limits[f"visitor {visitor}"] = self.limits.waiting_per_visitor
        with self.lock:
            for key in list(self.waiting):
                while self.waiting[key] and now - self.waiting[key][0] > self.FORGET:
                    self.waiting[key].popleft()
                if not self.waiting[key]:
                    del self.waiting[key]
            if any(len(self.waiting[key]) >= most for key, most in limits.items()):
                return "You have several requests waiting already; let them finish first."
            for key in limits:
                self.waiting[key].append(now)
        return ""

    def leave(self, visitor: str, address: str, all_of_them: bool = False) -> None:
        """A request is done, stopped or failed; or the visitor has stopped everything."""
        mine, shared = f"visitor {visitor}", f"address {address}"
        with self.lock:
            count = len(self.waiting.get(mine, ())) if all_of_them else 1
            for key in (mine, shared):
                for _ in range(count):
                    if self.waiting.get(key):
                        self.waiting[key].popleft()


def sizes(spec: ModelSpec) -> list[Size]:
    """The sizes on offer for a model: its own, a wide and a tall one."""
    width, height = spec.width, spec.height
    return [(width, height), (width * 3 // 2, height), (width, height * 3 // 2)]


def size_text(size: Size) -> str:
    """(192, 128) -> "192 x 128", as the page and scripts say it."""
    return f"{size[0]} x {size[1]}"


def size_of(text: str) -> Size:
    """The inverse of size_text."""
    width, height = text.split(" x ")
    return int(width), int(height)


def _text(value: object, longest: int, name: str) -> str:
    if not isinstance(value, str):
        return f"{name} must be text."
    return "" if len(value) <= longest else f"{name} has {len(value)} characters; {longest} are the most."


def _number(value: object, low: float, high: float, name: str, whole: bool = False) -> str:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if low <= number <= high and not (whole and number != int(number)):  # no NaN is
        return ""
    return f"{name} must be a {'whole ' if whole else ''}number from {low:g} to {int(high)}."


def _one_of(value: object, known: Collection[str], name: str) -> str:
    return "" if isinstance(value, str) and value in known else f"{name} must be one of {', '.join(known)}."
