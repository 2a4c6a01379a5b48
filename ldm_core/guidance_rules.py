"""Guidance rules beside plain classifier-free guidance: how the predictions with and without the prompt become one.

Every function here takes cond and uncond, predictions (B, C, h, w) with and without the prompt, and the weight w, and gives
the guided prediction (B, C, h, w); its lines are the paper's equation, its keywords the paper's parameters with the paper's
values. All rules are training-free. With w = 1 each gives cond itself, but for CFG++, whose step differs even there.
A rule is typed NAME or NAME:PARAMETER=VALUE,...; of any spelling `parse_rule` makes one, and `Guider.text` writes it.
Imports no torch, so that --help is instant.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .checks import check_real, check_whole, shown

if TYPE_CHECKING:
    from torch import Tensor


def apg(
    cond: Tensor,
    uncond: Tensor,
    w: float,
    average: Tensor | None = None,
    *,
    eta: float = 0.0,
    norm: float = 15.0,
    momentum: float = -0.5,
) -> tuple[Tensor, Tensor]:
    """Adaptive projected guidance (Sadat et al. 2024, arXiv 2410.02416, algorithm 1): less of what only saturates.

    Of clean-latent predictions. average is the running average that the step before gave, None at first; it comes back
    with the guided prediction. eta scales what is parallel to c, norm bounds the length of the difference (inf: not at all),
    momentum (negative) takes back the direction of the steps before. The values are those of SDXL; for SD 2.1 norm=7.5,
    momentum=-0.75. eta=1, norm=inf, momentum=0 is cfg.
    """
    average = cond - uncond if average is None else cond - uncond + momentum * average
    change = average * (norm / _length(average)).clamp(max=1.0) if math.isfinite(norm) else average
    direction = cond / _length(cond).clamp_min(1e-12)
    parallel = _product(change, direction) * direction
    return cond + (w - 1) * (change - parallel + eta * parallel), average


def cfg_zero(cond: Tensor, uncond: Tensor, w: float, *, zero: int = 1) -> Tensor:
    """CFG-Zero* (Fan et al. 2025, arXiv 2503.18886, eq. 9-11): u brought to the length that lies nearest to c.

    zero is in how many first steps a flow model moves nowhere (algorithm 1); whoever calls the network sees to that. Models
    of noise or v have no such steps.
    """
    s = _product(cond, uncond) / (_product(uncond, uncond) + 1e-8)
    return s * uncond + w * (cond - s * uncond)


def tcfg(cond: Tensor, uncond: Tensor, w: float) -> Tensor:
    """Tangential damping (Kwon et al. 2025, arXiv 2503.18137, algorithm 1): of u only what lies along v, the first right
    singular vector of the rows {c, u}; v = a c + b u with (a, b) of the largest eigenvalue of their products."""
    angle = (2 * _product(cond, uncond)).atan2(_product(cond, cond) - _product(uncond, uncond)) / 2
    v = angle.cos() * cond + angle.sin() * uncond
    damped = _product(uncond, v) / _product(v, v) * v
    # As c is not damped, w = 1 is c; written around c so that it is so to the bit.
    return cond + (w - 1) * (cond - damped)


def fdg(cond: Tensor, uncond: Tensor, w: float, *, low: float = 0.5, high: float = 1.0) -> Tensor:
    """Frequency-decoupled guidance (Sadat et al. 2025, arXiv 2506.19713, algorithm 1): a weight for each band of a Laplacian
    pyramid of two levels, 1 + low (w - 1) and 1 + high (w - 1).

    The paper's pair for SDXL, 5 and 10, is about w = 10 with these values. low = high = 1 is cfg.
    """
    difference = cond - uncond
    coarse = _enlarged(_halved(difference), difference)
    return cond + (w - 1) * (high * (difference - coarse) + low * coarse)


def mambo_g(cond: Tensor, uncond: Tensor, w: float, *, alpha: float = 8.0) -> Tensor:
    """MAMBO-G (arXiv 2508.03442): a smaller weight where the prompt changes much, w_t = 1 + (w - 1) exp(-alpha |d| / |u|).

    alpha = 0 is cfg.
    """
    difference = cond - uncond
    ratio = _length(difference) / _length(uncond)
    return uncond + (1 + (w - 1) * (-alpha * ratio).exp()) * difference


def _product(one: Tensor, other: Tensor) -> Tensor:
    """The inner product of each two predictions (B, C, h, w) -> (B, 1, 1, 1)."""
    return (one * other).sum((1, 2, 3), keepdim=True)


def _length(one: Tensor) -> Tensor:
    """The norm of each prediction (B, C, h, w) -> (B, 1, 1, 1)."""
    return _product(one, one).sqrt()


def _halved(latent: Tensor) -> Tensor:
    """Blurred, then half as many values along each side: a level down of Burt & Adelson's pyramid (1983)."""
    from torch.nn import functional

    sides = [max(1, side // 2) for side in latent.shape[2:]]
    return functional.interpolate(_blurred(latent), size=sides, mode="bilinear", align_corners=False)


def _enlarged(latent: Tensor, like: Tensor) -> Tensor:
    """A level up again, to the sides of another latent."""
    from torch.nn import functional

    return _blurred(functional.interpolate(latent, size=like.shape[2:], mode="bilinear", align_corners=False))


def _blurred(latent: Tensor) -> Tensor:
    """By 1 4 6 4 1 along each side, mirrored at the edges; a side of one or two values is repeated there."""
    from torch.nn import functional

    kernel = latent.new_tensor([1, 4, 6, 4, 1]) / 16
    mirrored = functional.pad(latent, (2, 2, 2, 2), mode="reflect" if min(latent.shape[2:]) > 2 else "replicate")
    rows = (mirrored.unfold(3, 5, 1) * kernel).sum(-1)
    return (rows.unfold(2, 5, 1) * kernel).sum(-1)


@dataclass(frozen=True)
class Parameter:
    """A rule's parameter: the paper's value, and the bounds of others; `endless` where infinity is one."""

    name: str
    default: float | int | str
    low: float = -math.inf
    high: float = math.inf
    endless: bool = False

    def read(self, rule: str, value: object) -> float | int | str:
        """A value of its kind, from text or number; ValueError names the rule."""
        label = f"{self.name} of the guidance_rule {rule}"
        if isinstance(self.default, str):
            return str(value)
        try:
            number = float(value)  # type: ignore[arg-type]  # whatever is no number raises what is caught
        except (TypeError, ValueError):
            raise ValueError(f"{label} must be a number, got {shown(value)}") from None
        if isinstance(self.default, int):
            return check_whole(label, int(number) if number.is_integer() else number, int(self.low), self.high)
        if self.endless and number == math.inf:
            return number
        return check_real(label, number, self.low, self.high)


@dataclass(frozen=True)
class Rule:
    """A rule by name. `combine` is its function; None where cond and uncond are combined as in plain guidance.

    `on_clean`: it is stated of clean-latent predictions. `averages`: it keeps an average from step to step. `renoises`: the
    step goes back to noise by u's prediction. `weaker`: another model predicts in u's place.
    """

    name: str
    combine: Callable[..., Any] | None = None
    parameters: tuple[Parameter, ...] = ()
    on_clean: bool = False
    averages: bool = False
    renoises: bool = False
    weaker: bool = False


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("cfg"),
        Rule(
            "apg",
            apg,
            (Parameter("eta", 0.0), Parameter("norm", 15.0, 1e-6, endless=True), Parameter("momentum", -0.5, -1, 1)),
            on_clean=True,
            averages=True,
        ),
        Rule("cfg-zero", cfg_zero, (Parameter("zero", 1, 0, 1000),)),
        Rule("fdg", fdg, (Parameter("low", 0.5), Parameter("high", 1.0))),
        Rule("tcfg", tcfg),
        Rule("mambo-g", mambo_g, (Parameter("alpha", 8.0, 0),)),
        # Chung et al. 2024, arXiv 2406.08070, algorithm 1: w in [0, 1]; clean latent by the guided noise, renoised by u's.
        Rule("cfg++", renoises=True),
        # Karras et al. 2024, arXiv 2406.02507, eq. 3: u is a weaker model's prediction with the same prompt.
        Rule("autoguidance", parameters=(Parameter("model", ""), Parameter("weights", "")), weaker=True),
    )
}


@dataclass(frozen=True)
class Guider:
    """A rule with the values of its parameters."""

    rule: Rule
    values: tuple[float | int | str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        """The value of a parameter."""
        return self.parameters[name]

    @functools.cached_property
    def parameters(self) -> Mapping[str, float | int | str]:
        """Every value by its name."""
        return {parameter.name: value for parameter, value in zip(self.rule.parameters, self.values)}

    @property
    def text(self) -> str:
        """The one spelling of it: the name, then what is not the paper's value. It goes into files and labels."""
        changed = [
            f"{parameter.name}={value:.12g}" if isinstance(value, float) else f"{parameter.name}={value}"
            for parameter, value in zip(self.rule.parameters, self.values)
            if value != parameter.default
        ]
        return ":".join([self.rule.name, *changed])

    def replaced(self, **values: object) -> Guider:
        """The same with other values of some parameters."""
        merged = dict(self.parameters) | values
        read = tuple(each.read(self.rule.name, merged[each.name]) for each in self.rule.parameters)
        return Guider(self.rule, read)


@functools.lru_cache(maxsize=256)
def parse_rule(text: str) -> Guider:
    """A rule from "apg", "apg:eta=0,norm=15" or "apg:eta=0:norm=15"; ValueError in one line names what is unknown."""
    name, _, rest = text.strip().partition(":")
    if name not in RULES:
        raise ValueError(f"guidance_rule must be one of {', '.join(RULES)}, got {shown(name)}{_hint(name, RULES)}")
    rule, given = RULES[name], dict[str, str]()
    for part in re.split(r"[:,](?=\s*\w+\s*=)", rest) if rest else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        known = {parameter.name: None for parameter in rule.parameters}
        if not equals or key not in known or key in given:
            takes = f"takes {', '.join(f'{one}=...' for one in known)}, each once" if known else "takes no parameters"
            raise ValueError(f"the guidance_rule {name} {takes}; got {shown(part)}{_hint(key, known)}")
        given[key] = value
    if rule.weaker and not given.get("model"):
        raise ValueError(f"the guidance_rule {name} needs the weaker model: {name}:model=NAME|FOLDER")
    return Guider(rule, tuple(parameter.default for parameter in rule.parameters)).replaced(**given)


def _hint(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near and near[0] != name else ""
