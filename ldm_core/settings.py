"""Everything that decides a picture beside model, prompt and seed: one frozen record that checks itself.

The pipeline, the recipe, the command line, a run's protocol and the demo's inputs are all made from its fields: a new
setting is one field here and its use in one place. Outside Python a setting goes by its flat name, the same in files,
flags and columns: those of `Guidance` begin with `guidance_` (`guidance_scale`), the others are the fields' own.
Imports no torch, so that --help is instant.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .checks import check_interval, check_real, check_text, check_truth, check_whole, shown
from .guidance import Guidance

MAX_STEPS = 1000
LEAST_SHIFT, MOST_SHIFT = 0.01, 100.0
MAX_SIDE = 8192  # pixels: 800 MB for one picture of that side in float32
STRENGTHS = {"image_to_image": 0.6, "inpainting": 1.0, "upscaling": 0.3}  # of tasks, where none is asked for
SINCE_FIRST = "later"  # metadata of a field that files of the first house do not hold: written only where it is set


@dataclass(frozen=True)
class SamplingSettings:
    """The settings of a picture. None means: as the model has it; `resolved` writes that out."""

    steps: int | None = dataclasses.field(
        default=None, metadata={"help": "denoising steps; default: the model's", "metavar": "N"}
    )
    scheduler: str | None = dataclasses.field(
        default=None,
        metadata={
            "help": "ddim, ddpm, euler, euler-ancestral, dpm++2m, pndm, unipc, flow-euler; -trailing behind one for few-step "
            "weights; default: the model's own",
            "metavar": "NAME",
        },
    )
    shift: float | None = dataclasses.field(
        default=None,
        metadata={
            "help": "above 1 more of the steps at noise, t -> S t / (1 + (S - 1) t); default: the model's",
            "metavar": "S",
            SINCE_FIRST: True,
        },
    )
    guidance: Guidance = dataclasses.field(default_factory=Guidance)
    negative_prompt: str = dataclasses.field(
        default="",
        metadata={"help": "what takes the unconditional place (default: the empty prompt)", "metavar": "TEXT"},
    )
    height: int | None = dataclasses.field(
        default=None, metadata={"help": "pixels; default: the model's", "metavar": "H"}
    )
    width: int | None = dataclasses.field(
        default=None, metadata={"help": "pixels; default: the model's", "metavar": "W"}
    )
    strength: float | None = dataclasses.field(
        default=None,
        metadata={
            "help": "of a start image: from 0, as it is, to 1, drawn from noise alone; default: the task's",
            "metavar": "X",
            SINCE_FIRST: True,
        },
    )
    rows_per_call: int | None = dataclasses.field(
        default=None,
        metadata={"help": "rows of every network call; default: what fills the device evenly", "metavar": "R"},
    )
    substitute: bool = dataclasses.field(
        default=True,
        metadata={
            "help": "draw the nearest thing that the model's world holds for one that it does not, and say so: true or false",
            "metavar": "BOOL",
            SINCE_FIRST: True,
        },
    )
    control_scale: float = dataclasses.field(
        default=1.0,
        metadata={"help": "how much a control image counts; 0 is not at all", "metavar": "X", SINCE_FIRST: True},
    )
    control_interval: tuple[float, float] | None = dataclasses.field(
        default=None,
        metadata={
            "help": "a control image counts only while LOW <= t <= HIGH, t from 1 (noise) to 0 (clean)",
            "metavar": "LOW,HIGH",
            SINCE_FIRST: True,
        },
    )

    def __post_init__(self) -> None:
        for name, most in (
            ("steps", MAX_STEPS),
            ("height", MAX_SIDE),
            ("width", MAX_SIDE),
            ("rows_per_call", math.inf),
        ):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, check_whole(name, getattr(self, name), 1, most))
        if self.shift is not None:
            object.__setattr__(self, "shift", check_real("shift", self.shift, LEAST_SHIFT, MOST_SHIFT))
        if self.strength is not None:
            object.__setattr__(self, "strength", check_real("strength", self.strength, 0, 1))
        if self.scheduler is not None and not isinstance(self.scheduler, str):
            raise ValueError(f"scheduler must be a name, got {shown(self.scheduler)}")
        object.__setattr__(self, "substitute", check_truth("substitute", self.substitute))
        if not isinstance(self.guidance, Guidance):
            raise ValueError(f"guidance must be a Guidance, got {shown(self.guidance)}")
        object.__setattr__(self, "control_scale", check_real("control_scale", self.control_scale, 0, math.inf))
        object.__setattr__(self, "control_interval", check_interval("control_interval", self.control_interval))
        negative = "" if self.negative_prompt is None else check_text("negative_prompt", self.negative_prompt)
        object.__setattr__(self, "negative_prompt", negative)

    @classmethod
    def of(cls, **values: object) -> SamplingSettings:
        """From flat names: SamplingSettings.of(steps=12, guidance_scale=2.0)."""
        return cls().replaced(**values)

    def replaced(self, **values: object) -> SamplingSettings:
        """The same with other values, by flat names."""
        for name in values:
            if name not in FIELDS:
                near = difflib.get_close_matches(str(name), FIELDS, 1)
                hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(FIELDS)}"
                raise ValueError(f"{shown(name)} is no setting of a picture{hint}")
        of_guidance: dict[str, Any] = {
            FIELDS[name].name: value for name, value in values.items() if name.startswith(_PREFIX)
        }
        own: dict[str, Any] = {name: value for name, value in values.items() if not name.startswith(_PREFIX)}
        return dataclasses.replace(self, guidance=dataclasses.replace(self.guidance, **of_guidance), **own)

    def __getitem__(self, name: str) -> Any:
        """The value of a flat name."""
        if name not in FIELDS:
            raise KeyError(name)
        return getattr(self.guidance if name.startswith(_PREFIX) else self, FIELDS[name].name)

    def control_at(self, t: float) -> float:
        """How much a control image counts at time t, from 1 (noise) to 0 (clean)."""
        low, high = self.control_interval or (0.0, 1.0)
        return self.control_scale if low <= t <= high else 0.0

    def flat(self) -> dict[str, Any]:
        """Every value by its flat name, in the order of FIELDS."""
        return {name: self[name] for name in FIELDS}

    def stored(self) -> dict[str, Any]:
        """The values as files hold them: what JSON knows, and no later field that is not set, so that what was written
        before the field existed keeps its bytes."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in self.flat().items()}
        return {
            name: value
            for name, value in values.items()
            if SINCE_FIRST not in FIELDS[name].metadata or value != default(name)
        }

    @classmethod
    def from_stored(cls, values: Mapping[str, object]) -> SamplingSettings:
        """The inverse of stored; a name that is no setting is refused."""
        return cls.of(**values)

    def resolved(self, **own: object) -> SamplingSettings:
        """With the model's own values (flat names) where these settings leave them open."""
        return self.replaced(**{name: value for name, value in own.items() if self[name] is None})

    def changes(self, other: SamplingSettings) -> dict[str, tuple[Any, Any]]:
        """The settings that differ: name -> (here, there)."""
        return {name: (self[name], other[name]) for name in FIELDS if self[name] != other[name]}


_PREFIX = "guidance_"


def _fields() -> Iterator[tuple[str, dataclasses.Field]]:
    for part in dataclasses.fields(SamplingSettings):
        if part.name != "guidance":
            yield part.name, part
            continue
        for inner in dataclasses.fields(Guidance):
            yield _PREFIX + inner.name, inner


FIELDS: dict[str, dataclasses.Field] = dict(_fields())  # every setting by its flat name


def default(name: str) -> Any:
    """A setting's default by its flat name."""
    return FIELDS[name].default


def from_text(name: str, text: str) -> Any:
    """A setting's value from what a person types: "12", "euler", "0.2,0.8" or "0.2:0.8"; "default" is the default."""
    if name not in FIELDS:
        raise ValueError(f"{name!r} is no setting of a picture; known: {', '.join(FIELDS)}")
    if text.strip() == "default":
        return default(name)
    read: Callable[[str], Any] = _READERS.get(str(FIELDS[name].type).split(" |")[0], str)
    try:
        return SamplingSettings.of(**{name: read(text)})[name]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}={text}: {error}" if name not in str(error) else str(error)) from None


def to_text(value: object) -> str:
    """A setting's value in the shortest form that from_text reads back."""
    if isinstance(value, tuple):
        return ":".join(to_text(part) for part in value)
    return "default" if value is None else f"{value:.12g}" if isinstance(value, float) else str(value)


def _pair(text: str) -> tuple[float, ...] | None:
    return None if text.strip() == "none" else tuple(float(part) for part in text.replace(":", ",").split(","))


def _truth(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text.strip().lower(), text)


_READERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "bool": _truth,
    "tuple[float, float]": _pair,
    "str": str,
}
