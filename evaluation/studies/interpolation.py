"""Is the way between two latents a smooth and meaningful transition? Noises and clean latents, straight and on a circle,
against a plain cross-fade of the pixels.

The reader of the world that the model draws says of each frame what it shows, and how far it is from real drawings.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ldm_core.data.everyday import PLACES, SKY_KINDS

from ..worlds import DRAWN as DRAWN_WORLDS
from ..worlds import caption_of, drawings
from .paired import interval, summarise
from .study import FAILS, HOLDS, IN_PART, MEASURED, Option, Outcome, Study

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from ldm_core.pipeline import LatentDiffusion

    Between = Callable[[Tensor, Tensor, float], Tensor]

REAL = 200  # drawings that a frame's nearest real one is looked for among
FADE = "cross-fade"
LERP, SLERP = "clean latents, straight", "clean latents, circle"
NOISE_LERP, NOISE_SLERP = "noises, straight", "noises, circle"
DRAWN = f"{FADE} of drawn ends"
CONTRAST = {LERP: FADE, SLERP: FADE, NOISE_LERP: DRAWN, NOISE_SLERP: DRAWN}  # each way's, with the same ends
MEASURES = ("path", "jump", "fade dB", "between", "once", "unreal")
SMOOTH = 2.0  # of the mean step, the largest that a smooth way may have


def run(options: argparse.Namespace, work: Path) -> Outcome:
    """The frames of every pair by every way, and what the reader says of them."""
    import pandas as pd

    import ldm_core
    from ldm_core.images import from_uint8

    if options.pairs < 2 or options.frames < 3:
        raise ValueError("--pairs must be 2 or more and --frames 3 or more")
    model = ldm_core.load(options.model, dtype="float32", engine="torch")
    world = model.spec.world
    if world not in DRAWN_WORLDS:
        raise ValueError(
            f"--model {options.model} draws none of the worlds whose readers are used here: {', '.join(DRAWN_WORLDS)}"
        )
    real = _features(world, from_uint8(drawings(world, DRAWN_WORLDS[world].REFERENCE_SEEDS[:REAL], model.height)))
    rows: list[dict[str, object]] = []
    shown: dict[str, Tensor] = {}
    for pair in range(options.pairs):
        for way, frames in ways(model, pair, options.frames).items():
            rows.append({"pair": pair, "way": way, **measured(world, frames, real)})
            shown.setdefault(way, frames)
    table = pd.DataFrame(rows)
    summary, apart = summarise(table, ["way"], MEASURES), differences(table)
    verdict, words = concluded(summary, apart)
    figures = _figures(summary, apart) | {"strip": _strip(shown)}
    return Outcome(verdict, words, {"summary": summary, "differences": apart, "pairs": table}, figures, NOTES)


NOTES = (
    (
        "path: length of the way through the pixels over the straight line between its ends. jump: largest step over mean step. "
        "fade dB: PSNR of the middle frame against the plain average of the two ends; the higher, the more it is a cross-fade."
    ),
    (
        "between: of what the reader sees in the inner frames (sky, ground, mountains, clouds, kind at each place), the share that one "
        "of the ends shows too. once: of what differs between the ends, the share that changes one time along the way and stays."
    ),
    f"unreal: distance of the middle frame's features from the nearest of {REAL} real drawings, over the mean of the ends' own.",
    (
        "Clean latents are those of two held-out drawings, noises those of two pictures that the model draws of the drawings' captions, "
        "whose conditionings are blended on the way. Intervals of 95 % are over pairs; differences are paired, "
        "and not adjusted for there being four ways."
    ),
)


def ways(model: LatentDiffusion, pair: int, frames: int) -> dict[str, Tensor]:
    """Frames (F, 3, H, W) of a pair by the name of the way."""
    import torch

    from ldm_core.images import from_uint8
    from ldm_core.tasks.interpolation import lerp, slerp

    world = model.spec.world
    seeds = DRAWN_WORLDS[world].HELD_OUT_SEEDS[2 * pair : 2 * pair + 2]
    ends = from_uint8(drawings(world, seeds, model.height))
    clean, shares = model.encode(ends), [place / (frames - 1) for place in range(frames)]
    found = {FADE: _along(lerp, ends, shares)}
    for name, between in ((LERP, lerp), (SLERP, slerp)):
        found[name] = torch.cat([model.decode(between(clean[:1], clean[1:], share)) for share in shares])
    captions = [caption_of(world, seed) for seed in seeds]
    for name, between in ((NOISE_LERP, lerp), (NOISE_SLERP, slerp)):
        found[name] = through_noise(model, captions, list(seeds), shares, between)
    return found | {DRAWN: _along(lerp, found[NOISE_SLERP][[0, -1]], shares)}


def _along(between: Between, ends: Tensor, shares: list[float]) -> Tensor:
    import torch

    return torch.cat([between(ends[:1], ends[1:], share) for share in shares])


def through_noise(
    model: LatentDiffusion, prompts: list[str], seeds: list[int], shares: list[float], between: Between
) -> Tensor:
    """As model.interpolate draws them, with noises between the two ends' by another rule."""
    import torch

    from ldm_core.conditioning import Blend
    from ldm_core.recipe import Task
    from ldm_core.sampling import image_generators, initial_noise
    from ldm_core.tasks.interpolation import NAME
    from ldm_core.tasks.start import Start

    shape = (model.latent_channels, model.height // model.factor, model.width // model.factor)
    first, second = initial_noise(image_generators(seeds), shape)
    tasks = tuple(Task(NAME, options=(("share", share),)) for share in shares)
    start = Start(tasks, noise=torch.stack([between(first, second, share) for share in shares]))
    given = [prompts[int(share)] if share in (0, 1) else Blend(prompts[0], prompts[1], share) for share in shares]
    return torch.stack(list(model.sample(given, [seeds[0]] * len(shares), start=start)))  # type: ignore[arg-type]  # a Blend in a prompt's place


def measured(world: str, frames: Tensor, real: Tensor) -> dict[str, float]:
    """MEASURES of one way, see NOTES; `real` are features of real drawings of the world (N, D)."""
    import torch

    from ..metrics.reconstruction import psnr

    steps = (frames[1:] - frames[:-1]).double().square().flatten(1).mean(1).sqrt()
    straight = (frames[-1] - frames[0]).double().square().mean().sqrt()
    middle = len(frames) // 2
    faded = (frames[:1] + frames[-1:]) / 2
    apart = torch.cdist(_features(world, frames[[0, middle, len(frames) - 1]]), real).min(1).values
    between, once = transitions(answers(world, frames))
    return {
        "path": float(steps.sum() / straight),
        "jump": float(steps.max() / steps.mean()),
        "fade dB": min(60.0, float(psnr(frames[middle : middle + 1], faded))),
        "between": between,
        "once": once,
        "unreal": float(apart[1] / (apart[0] + apart[2]) * 2),
    }


def transitions(said: Tensor) -> tuple[float, float]:
    """Of answers (frames, questions): the share of the inner ones that are an end's, and, of the questions that the ends
    answer differently, the share whose answer is the first end's up to somewhere and from there the second's."""
    first, last, inner = said[0], said[-1], said[1:-1]
    between = float(((inner == first) | (inner == last)).double().mean())
    differ = first != last
    is_last = (said == last)[:, differ]
    changes_once = ((said == first)[:, differ] | is_last).all(0) & (is_last.int().diff(dim=0) >= 0).all(0)
    return between, float(changes_once.double().mean()) if bool(differ.any()) else math.nan


def answers(world: str, images: Tensor) -> Tensor:
    """What the reader sees in images (B, 3, H, W): (B, questions), the number of an answer each; colours are left out, for
    where nothing stands they mean nothing."""
    import torch

    from ..detectors.detector import WORLDS

    told = [_answered(reading) for reading in WORLDS[world]().read(images)]  # type: ignore[attr-defined]  # the detectors of the drawn worlds read
    known = [list(dict.fromkeys(column)) for column in zip(*told)]
    return torch.tensor([[answers.index(answer) for answers, answer in zip(known, row)] for row in told])


def _answered(reading: Any) -> list[object]:
    """Sky, ground, mountains, clouds, and which kinds stand at each place, those of the sky apart."""
    scene = reading.scene
    kinds = {
        (place, above): tuple(
            sorted(thing.kind for thing in scene.things if thing.place == place and (thing.kind in SKY_KINDS) == above)
        )
        for place in PLACES
        for above in (False, True)
    }
    return [scene.sky, scene.ground, scene.mountains, scene.clouds, *kinds.values()]


def _features(world: str, images: Tensor) -> Tensor:
    import torch

    from ..detectors.detector import WORLDS

    with torch.inference_mode():
        return torch.cat([WORLDS[world]().image_features(part) for part in images.split(50)])


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """Each way minus the cross-fade of its own ends, paired."""
    import pandas as pd

    from ..statistics import mean

    rows = []
    for way, contrast in CONTRAST.items():
        own, faded = (table[table["way"] == name].set_index("pair") for name in (way, contrast))
        for name in ("between", "unreal"):
            found = mean(own[name] - faded[name])
            rows.append({"way": way, "measure": name, "difference": found.value, "low": found.low, "high": found.high})
    return pd.DataFrame(rows)


def concluded(summary: pd.DataFrame, apart: pd.DataFrame) -> tuple[str, str]:
    """Smooth is a matter of steps, meaningful one of being nearer to real drawings than a cross-fade is."""
    value = summary.set_index(["way", "measure"])["value"]
    nearer = apart[apart["measure"] == "unreal"].set_index("way")
    meaningful = {way: (row["high"] is not None and row["high"] < 0) for way, row in nearer.iterrows()}
    smooth = {way: value[way, "jump"] <= SMOOTH for way in CONTRAST}
    parts = [
        f"{way}: path {value[way, 'path']:.2f}, largest step {value[way, 'jump']:.1f} times the mean, middle frame "
        f"{value[way, 'fade dB']:.1f} dB from a cross-fade, {value[way, 'between']:.0%} of what is seen is an end's, "
        f"{value[way, 'unreal']:.2f} times as far from real drawings as its ends (cross-fade {value[contrast, 'unreal']:.2f}; "
        f"difference {interval(nearer.loc[way])})"
        for way, contrast in CONTRAST.items()
    ]
    both = {way for way in CONTRAST if smooth[way] and meaningful[way]}
    verdict = HOLDS if LERP in both else IN_PART if both or any(smooth.values()) else FAILS
    judged = (
        f"The straight way between clean latents is {'' if smooth[LERP] else 'not '}smooth and "
        f"{'nearer to real drawings than' if meaningful[LERP] else 'not measurably nearer to real drawings than'} a cross-fade"
    )
    others = ", ".join(sorted(way for way in CONTRAST if meaningful[way] and way != LERP)) or "none"
    return verdict, f"{judged}; of the others {others} is nearer. {'. '.join(parts)}."


def _figures(summary: pd.DataFrame, apart: pd.DataFrame) -> dict[str, str]:
    from ..report.charts import difference_chart

    short = apart.assign(way=apart["way"].str.replace("clean ", ""))
    rows = short[short["measure"] == "unreal"]
    return {"unreal": difference_chart(rows, "unreal", False, "way", FADE)}


def _strip(shown: dict[str, Tensor]) -> str:
    """The first pair by every way."""
    from ldm_core.images import to_pil

    from ..report.strips import strips

    count = len(next(iter(shown.values())))
    names = [f"{place / (count - 1):.2f}" for place in range(count)]
    return strips("from one to the other", {way: list(map(to_pil, frames)) for way, frames in shown.items()}, names)


STUDY = Study(
    name="interpolation",
    claim="Between two latent codes, z = (1 - a) z_A + a z_B, decoded images show a smooth, semantically meaningful transition",
    source="“The Latent Diffusion Idea”, Interpolation in Latent Space",
    kind=MEASURED,
    minutes=3,
    run=run,
    options=(
        Option("model", "scenes", "registry name or folder of a model of the drawn world"),
        Option("pairs", 8, "pairs of held-out drawings"),
        Option("frames", 5, "of each way, ends included"),
    ),
)
