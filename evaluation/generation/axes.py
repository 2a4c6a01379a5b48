"""What a run sweeps: axes, their values as people write them, and the conditions that all of them together make.

1,2,4,8     1-8(1) by step     1-8[4] by count              numbers
ddim,euler  none,0.1:0.9       {}|a drawing of {}           names, intervals, texts; `|` parts what holds commas
cfg,apg:eta=0:norm=15,fdg                                   rules; a comma before NAME= belongs to a rule
fast:steps=4,scheduler=euler|slow:steps=20                  bundles: settings that go together as one value
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ldm_core.settings import FIELDS, SamplingSettings, from_text, to_text

from ..condition import condition_label, shown

_NUMBER = r"\d+(?:\.\d+)?"
_BY_STEP = re.compile(rf"({_NUMBER})\s*-\s*({_NUMBER})\s*\(\s*({_NUMBER})\s*\)")
_BY_COUNT = re.compile(rf"({_NUMBER})\s*-\s*({_NUMBER})\s*\[\s*(\d+)\s*\]")
_COMMA = re.compile(r",(?!\s*\w+\s*=)")  # one that parts values: not within apg:eta=0,norm=15
_BUNDLE = re.compile(r"\s*(?:(?P<axis>\w+)\s*=\s*)?(?P<values>[\w.-]+\s*:\s*\w+\s*=.*)", re.DOTALL)
MAX_SCALES = 64
MAX_CONDITIONS = 1024
WORDING, MODEL, BUNDLE = "wording", "model", "bundle"  # axes that are no setting of a picture
EXAMPLE = "--sweep steps=4,8,12, --sweep 'prompt={}|a drawing of {}' or --sweep 'fast:steps=4|slow:steps=20'"


@dataclass(frozen=True)
class Value:
    """One value of an axis: what tables call it, and what it sets."""

    name: int | float | str
    settings: tuple[tuple[str, Any], ...] = ()  # by flat names
    model: str | None = None
    wording: str | None = None  # a prompt stands at its {}

    def __post_init__(self) -> None:
        """Numbers of any kind (numpy's too) as Python's, which files hold."""
        object.__setattr__(self, "name", _plain(self.name))
        object.__setattr__(self, "settings", tuple((name, _plain(value)) for name, value in self.settings))


@dataclass(frozen=True)
class Axis:
    """What varies, and its values."""

    name: str
    values: tuple[Value, ...]

    @property
    def sets(self) -> set[str]:
        """The settings that its values decide."""
        return {name for value in self.values for name, _ in value.settings}


@dataclass(frozen=True)
class Condition:
    """One value on every axis, and what that makes of the settings: all that decides an image beside prompt and seed."""

    values: tuple[tuple[str, int | float | str], ...]
    settings: SamplingSettings
    model: str | None = None  # where the model is swept
    wording: str = "{}"
    folder: str = ""  # where its images are in the run's folder, once its model is known

    @property
    def label(self) -> str:
        """In words, as tables have it."""
        return condition_label(dict(self.values))

    @property
    def key(self) -> tuple[str, float, str]:
        """What tells its images from those of any other condition of the run."""
        return self.folder, self.guidance_scale, self.wording

    @property
    def guidance_scale(self) -> float:
        """w; it must have been resolved."""
        return float(self.settings["guidance_scale"])


def parse_scales(text: str) -> tuple[float, ...]:
    """Guidance scales in the order given, repeats dropped. ValueError names the part that is none."""
    scales = [scale for part in text.split(",") for scale in _part(part.strip())]
    if not 1 <= len(scales) <= MAX_SCALES:
        raise ValueError(f"guidance scales must be 1 to {MAX_SCALES} numbers, got {len(scales)} from {text!r}")
    return tuple(dict.fromkeys(scales))


def scale_axis(scales: Sequence[float]) -> Axis:
    """The axis of guidance scales."""
    return Axis("guidance_scale", tuple(Value(w, (("guidance_scale", w),)) for w in map(float, scales)))


def parse_sweep(text: str) -> Axis:
    """An axis as the command line has it. ValueError says what is wrong with it."""
    if (bundled := _BUNDLE.fullmatch(text)) and bundled["axis"] not in FIELDS and bundled["axis"] != "prompt":
        return _bundles(bundled["axis"] or BUNDLE, bundled["values"])
    name, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not values:
        raise ValueError(f"--sweep {text!r} must look like {EXAMPLE}")
    listed = values.split("|") if "|" in values else _COMMA.split(values) if name in FIELDS else values.split(",")
    parts = [part.strip() for part in listed]
    if name == "prompt":
        made = [_wording(part) for part in parts]
        return _axis(text, WORDING, made)
    if name == MODEL:
        return _axis(text, MODEL, [Value(part, model=part) for part in parts])
    if name not in FIELDS:
        raise ValueError(f"--sweep {text!r}: {name!r} is none of {', '.join([*FIELDS, 'prompt', MODEL])}")
    return _axis(text, name, [value for part in parts for value in _settings(name, part)])


def conditions(settings: SamplingSettings, axes: Sequence[Axis]) -> list[Condition]:
    """Every value of each axis with every value of the others, the last axis fastest. ValueError where they clash."""
    for one, other in itertools.combinations(axes, 2):
        clash = (one.sets & other.sets) | ({one.name} & {other.name})
        if clash:
            raise ValueError(f"two sweeps decide {min(clash)}; sweep it once, or give one of them another name")
    count = math.prod(len(axis.values) for axis in axes)
    if count > MAX_CONDITIONS:
        raise ValueError(f"the sweeps make {count} conditions; {MAX_CONDITIONS} at the most")
    return [_condition(settings, axes, values) for values in itertools.product(*(axis.values for axis in axes))]


def _condition(settings: SamplingSettings, axes: Sequence[Axis], values: Sequence[Value]) -> Condition:
    changes: dict[str, Any] = {name: value for one in values for name, value in one.settings}
    return Condition(
        tuple((axis.name, value.name) for axis, value in zip(axes, values)),
        settings.replaced(**changes),
        next((value.model for value in values if value.model is not None), None),
        next((value.wording for value in values if value.wording is not None), "{}"),
    )


def _axis(text: str, name: str, values: Sequence[Value]) -> Axis:
    names = [value.name for value in values]
    if twice := [one for index, one in enumerate(names) if one in names[:index]]:
        raise ValueError(f"--sweep {text!r} holds {twice[0]} twice")
    return Axis(name, tuple(values))


def _wording(template: str) -> Value:
    if template.count("{}") != 1:
        raise ValueError(f"--sweep prompt: each wording holds {{}} once, where the prompt goes; got {template!r}")
    return Value(template, wording=template)


def _settings(name: str, text: str) -> Iterator[Value]:
    """The values of a setting that a part of a list means: one, or a range of numbers."""
    if re.search(r"[(\[]", text) and str(FIELDS[name].type).startswith(("int", "float")):
        values = [SamplingSettings.of(**{name: _whole(value)})[name] for value in _part(text)]
    else:
        values = [from_text(name, text)]
    for value in values:
        yield Value(as_value(value), ((name, value),))


def as_value(value: object) -> int | float | str:
    """A setting's value as tables have it: a number, a word, "none", or an interval as it is typed."""
    value = _plain(value)
    if isinstance(value, int | float | str):
        return value
    return "none" if value is None else to_text(value)


def _plain(value: Any) -> Any:
    """A number of numpy's, or of an array without dimensions, as Python's; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def _whole(value: float) -> float:
    return int(value) if value == int(value) else value


def _bundles(axis: str, text: str) -> Axis:
    if axis in (MODEL, WORDING):
        raise ValueError(f"--sweep {text!r}: a bundle cannot be called {axis}")
    return _axis(text, axis, [_bundle(part) for part in text.split("|")])


def _bundle(text: str) -> Value:
    name, _, rest = text.partition(":")
    pairs = [tuple(word.strip() for word in part.partition("=")[::2]) for part in rest.split(",")]
    return Value(name.strip(), tuple((flat, from_text(flat, value)) for flat, value in pairs))


def _part(part: str) -> list[float]:
    if match := _BY_STEP.fullmatch(part):
        low, high, step = map(float, match.groups())
        if step > 0 and low <= high and (high - low) / step < MAX_SCALES:
            return [round(low + index * step, 6) for index in range(int((high - low) / step + 1e-9) + 1)]
    elif match := _BY_COUNT.fullmatch(part):
        low, high, count = float(match[1]), float(match[2]), int(match[3])
        if low <= high and 2 <= count <= MAX_SCALES:
            return [round(low + index * (high - low) / (count - 1), 6) for index in range(count)]
    elif re.fullmatch(_NUMBER, part) and math.isfinite(float(part)):
        return [float(part)]
    raise ValueError(f"guidance scales must look like 1,2,4,8 or 1-8(1) or 1-8[4], all >= 0; got {part!r}")


def setting_in_words(name: str, made: Iterable[Condition]) -> str:
    """A setting of some conditions as a sentence has it: "20", or "4, 8 or 12" where it was swept."""
    *before, last = map(shown, dict.fromkeys(as_value(condition.settings[name]) for condition in made))
    return f"{', '.join(before)} or {last}" if before else last


def stored(condition: Condition) -> dict[str, Any]:
    """A condition as run.json holds it."""
    return {
        "condition": condition.label,
        "axes": dict(condition.values),
        "settings": condition.settings.stored(),
        "model": condition.model,
        "wording": condition.wording,
        "folder": condition.folder,
    }


def from_stored(known: Mapping[str, Any]) -> Condition:
    """The inverse of `stored`."""
    return Condition(
        tuple(known["axes"].items()),
        SamplingSettings.from_stored(known["settings"]),
        known["model"],
        known["wording"],
        known["folder"],
    )
