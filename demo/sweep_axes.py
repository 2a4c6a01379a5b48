"""What the page's sweep varies: one or two settings of a picture, their values as a visitor types them, and their bounds."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from evaluation.generation.axes import WORDING as CONDITION_WORDING
from evaluation.generation.axes import Axis, Condition, Value, conditions, parse_scales, parse_sweep, scale_axis
from ldm_core.guidance_rules import parse_rule
from ldm_core.settings import SamplingSettings

from .over_time import OVER_TIME
from .session import Session, size_text

SCALE, SCHEDULE, RULE, WORDING = "guidance_scale", "guidance_schedule", "guidance_rule", "prompt"
SEED = "seed"  # whose values stand in an input of their own
LONGEST = 2000  # characters of a list of values


class Offer(NamedTuple):
    """An axis as the page offers it."""

    title: str
    example: str
    hint: str


AXES = {
    SCALE: Offer("Guidance scale", "1,2,4,8", "1,2,4,8; or 1-8(1), in steps of 1; or 1-8[4], four of them"),
    "steps": Offer("Steps", "4,8,12", "4,8,12; or 4-12(4), in steps of 4"),
    "scheduler": Offer("Scheduler", "ddim,euler,dpm++2m", "names with commas between"),
    "shift": Offer("Shift of the steps", "1,2,4", "1 is even; above it more of the steps lie at noise"),
    SCHEDULE: Offer("Guidance over time", ",".join(OVER_TIME), "names with commas between"),
    "guidance_interval": Offer("Guidance interval", "none,0.2:0.8", "low:high; 1 is noise, 0 the picture"),
    "guidance_rescale": Offer("Guidance rescale", "0,0.5,1", "0 to 1"),
    RULE: Offer("Guidance rule", "cfg,apg,fdg,tcfg", "names with commas between, parameters as in apg:eta=0:norm=5"),
    "negative_prompt": Offer("Negative prompt", "|a tree|night", "with | between; one may be empty"),
    WORDING: Offer("Prompt", "{}|a drawing of {}|a green boat", "with | between; {} is the prompt above"),
    SEED: Offer("Seed", "", "those of Seeds"),
}


def example_of(session: Session, axis: str, model: str) -> str:
    """Values of an axis that a model on offer takes."""
    return ",".join(session.schedulers(model)[:3]) if axis == "scheduler" else AXES[axis].example


def read_scales(session: Session, text: object) -> list[float]:
    """Guidance scales within the page's limit."""
    if not isinstance(text, str):
        raise ValueError("The guidance scales must be text like 1,2,4,8.")
    scales = list(parse_scales(text))
    if max(scales) > session.limits.guidance_scale:
        raise ValueError(f"Guidance scales may be {session.limits.guidance_scale:g} at the most.")
    return scales


def read_seeds(session: Session, text: object) -> list[int]:
    """Seeds with commas between, each once."""
    if not isinstance(text, str) or not re.fullmatch(r"\s*\d{1,10}(\s*,\s*\d{1,10})*\s*", text):
        raise ValueError("The seeds must be whole numbers with commas between, like 7 or 7, 8.")
    seeds = list(dict.fromkeys(int(part) for part in text.split(",")))
    if max(seeds) > session.limits.largest_seed:
        raise ValueError(f"A seed may be {session.limits.largest_seed} at the most.")
    return seeds


def read_axis(session: Session, axis: str, text: object, model: str, prompt: str = "") -> Axis:
    """The values of an axis of AXES, each within the page's limits; ValueError in one sentence, with an example."""
    example = example_of(session, axis, model)
    try:
        read = _parsed(axis, text)
    except (ValueError, OverflowError):
        raise ValueError(f"{AXES[axis].title} must be a list like {example}, each value once.") from None
    for value in read.values:
        if words := _out_of_bounds(session, axis, value, model, prompt):
            raise ValueError(f"{words.removesuffix('.')}; a list looks like {example}.")
    return read


def axes_of(
    session: Session, guidance_scales: object, model: str, directions: Directions, prompt: str = ""
) -> list[Axis]:
    """What a request sweeps beside seeds, what goes down the page before what goes across."""
    made = [
        axis_of(session, guidance_scales, model, axis, values, prompt)
        for axis, values in reversed(directions.both)
        if axis != SEED
    ]
    if len(made) == 2 and (made[0].name == made[1].name or made[0].sets & made[1].sets):
        one, other = (AXES[axis].title for axis, _ in directions.both)
        raise ValueError(f"{one} and {other} decide the same setting, so they cannot be swept against each other.")
    return made


class Directions(NamedTuple):
    """What varies across the page, and what down it, each with its values as they are typed."""

    axis: str = SCALE
    values: object = ""
    second_axis: str = SEED
    second_values: object = ""

    @property
    def both(self) -> tuple[tuple[str, object], tuple[str, object]]:
        """(axis, values) across, and down."""
        return (self.axis, self.values), (self.second_axis, self.second_values)

    @property
    def across(self) -> str:
        """The name by which conditions know what goes across."""
        return CONDITION_WORDING if self.axis == WORDING else self.axis


def axis_of(session: Session, guidance_scales: object, model: str, axis: str, values: object, prompt: str = "") -> Axis:
    """What a request sweeps: `values` of `axis`; of guidance without values, the guidance scales."""
    if axis == SCALE and values == "":
        return scale_axis(read_scales(session, guidance_scales))
    return read_axis(session, axis, values, model, prompt)


def conditions_of(
    session: Session,
    guidance_scales: object,
    guidance_schedule: str,
    steps: float,
    model: str,
    directions: Directions,
) -> list[Condition]:
    """All that a sweep varies beside seeds. ValueError for what cannot be read or is out of bounds."""
    base = SamplingSettings.of(
        steps=int(steps), guidance_scale=held_scale(session, guidance_scales, model), **OVER_TIME[guidance_schedule]
    )
    return conditions(base, axes_of(session, guidance_scales, model, directions))


def held_scale(session: Session, guidance_scales: object, model: str) -> float:
    """The guidance scale of every picture where another setting is swept: the one given, of several the model's own."""
    scales = read_scales(session, guidance_scales)
    return scales[0] if len(scales) == 1 else session.specs[model].guidance_scale


def _parsed(axis: str, text: object) -> Axis:
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
        raise ValueError
    if axis == SCALE:
        return scale_axis(parse_scales(text))
    if axis == SCHEDULE:  # the page's names: one of them stands for an interval
        names = [name.strip() for name in text.split(",")]
        if len(set(names)) < len(names) or not set(names) <= set(OVER_TIME):
            raise ValueError
        return Axis(axis, tuple(Value(name, tuple(OVER_TIME[name].items())) for name in names))
    if axis == WORDING:  # without {} it is another prompt
        texts = [part.strip() for part in text.split("|")]
        if len(set(texts)) < len(texts):
            raise ValueError
        return Axis(CONDITION_WORDING, tuple(Value(part or "(none)", wording=part) for part in texts))
    read = parse_sweep(f"{axis}={text}")
    named = [Value("(none)", value.settings) if value.name == "" else value for value in read.values]
    return Axis(read.name, tuple(named))


def _out_of_bounds(session: Session, axis: str, value: Value, model: str, prompt: str) -> str:
    """In words, where the page would not draw one picture with the value."""
    spec = session.specs[model]
    given: dict[str, Any] = {
        "prompt": "" if value.wording is None else value.wording.replace("{}", prompt),
        "negative_prompt": "",
        "seed": 0,
        "steps": 1,
        "guidance_scale": 1.0,
        "scheduler": session.schedulers(model)[0],
        "guidance_schedule": "constant",
        "size": size_text((spec.width, spec.height)),
        "model": model,
    }
    given |= {name: setting for name, setting in value.settings if name == axis and name in given}
    if axis == SCHEDULE:
        given[SCHEDULE] = value.name
    if axis == RULE:  # a visitor may choose its parameters, but no rule that loads a model or bounds w
        given[RULE] = parse_rule(str(value.name)).rule.name
    return session.problems(**given).get(axis, "")
