"""How many examples of a combination that training withheld does a model of the everyday world need, to draw it?

The same model goes on learning for equal time with so many pictures of each withheld combination among the others, and is then
asked for all of them, in scenes that it never saw. What the text encoder reads of the prompts stands beside what is drawn.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .paired import differences, interval, summarise
from .study import FAILS, HOLDS, IN_PART, MEASURED, Option, Outcome, Study

if TYPE_CHECKING:
    import pandas as pd

WORLD = "everyday"  # it withholds combinations of a kind and a colour, and of two kinds and a relation
FEW = 10  # examples
NEVER, ALWAYS = "withheld", "shown all along"
# Figures, and the columns of metrics/composition.py that they are means of.
FIGURES = {"drawn": "right", "kind drawn": "kind", "read": "read"}


def run(options: argparse.Namespace, work: Path) -> Outcome:
    """Every number of examples: the model taught with them, and what it then draws."""
    import pandas as pd

    import ldm_core
    from ldm_core.registry import find

    from ..bars import withheld_captions

    if not options.model:
        raise ValueError(STUDY.lacking)
    numbers, spec = numbers_of(options.shown), find(options.model)
    if spec.world != WORLD:
        raise ValueError(f"--model must draw the world {WORLD}, which withholds combinations; {options.model} does not")
    check_training(options)
    texts = withheld_captions(options.withheld)
    weights = ldm_core.load(options.model, device="cpu", engine="torch").weights
    place = work / weights[:12]  # what was taught is that model's alone
    asked = []
    for number in numbers:
        taught = teach(Path(spec.source), number, options, place)
        scale = options.guidance_scale
        drawn = place / f"drawn-{taught.parent.name}-{options.withheld}-{scale:g}-{options.steps}"
        asked.append(what_is_drawn(taught, texts, scale, options.steps, drawn).assign(shown=number))
    table = pd.concat(asked, ignore_index=True)
    shares, told = shares_of(table), gained(table, numbers)
    verdict, words = concluded(shares, told)
    return Outcome(
        verdict, words, {"drawn": shares, "differences": told}, _figures(shares), _notes(options, len(texts))
    )


def numbers_of(text: str) -> list[int]:
    """Numbers of examples, rising, 0 the first of them. ValueError in one line for anything else."""
    parts = text.split(",")
    found = sorted(map(int, {*parts})) if all(part.isdecimal() for part in parts) else []
    if len(found) < 2 or found[0] != 0:
        raise ValueError(f'--shown must be 0 and more numbers with commas between, such as "0,10,100", got {text!r}')
    return found


def check_training(options: argparse.Namespace) -> None:
    """ValueError in one line for a recipe that there is none of, or no time."""
    from ldm_core.training.config import DENOISERS

    recipes = [name for name, recipe in DENOISERS.items() if recipe.data == WORLD]
    if options.recipe not in recipes:
        raise ValueError(f"--recipe must be one of {', '.join(recipes)}, got {options.recipe!r}")
    if not options.minutes > 0:
        raise ValueError(f"--minutes must be more than 0, got {options.minutes:g}")


def teach(model: Path, number: int, options: argparse.Namespace, place: Path) -> Path:
    """The model after its minutes with so many pictures of each withheld combination; taken up where its folder stands."""
    from ldm_core.training import train_denoiser
    from ldm_core.training.config import DENOISERS

    config = replace(
        DENOISERS[options.recipe], pool=options.pool, shown=number, learning_rate=options.learning_rate, ema_decay=0.99
    )
    folder = place / f"shown-{number}-{options.minutes:g}-{options.pool}-{options.learning_rate:g}"
    latents = place / f"latents-{options.pool}-{number}.npy"  # whatever the minutes and the rate
    ended = train_denoiser.train(
        config, model / "vae", folder, "cpu", init=model, minutes=options.minutes, latents_file=latents
    )
    if not ended:
        raise KeyboardInterrupt
    return folder / "model"


def what_is_drawn(model: Path, texts: Sequence[str], scale: float, steps: int, folder: Path) -> pd.DataFrame:
    """A row for each coloured thing and relation that the texts ask for (metrics/composition.py); `read` where it is known."""
    from ldm_core.training.fact_reader import FactReader

    from .. import card
    from ..metrics.composition import asked_for

    if card.drawn(str(model), steps, f"{scale:g}", card.ACCURACY[WORLD], texts, folder):
        raise RuntimeError(f"the pictures of {model} could not be drawn; what stands above says why")
    reader = FactReader.find(model, WORLD)
    asked = asked_for(folder, WORLD, reader)
    return asked if reader else asked.drop(columns="read")


def shares_of(asked: pd.DataFrame) -> pd.DataFrame:
    """For each number of examples, by whether training withheld the combination: the share drawn, and the share read."""
    sides = asked["unseen"].map({True: NEVER, False: ALWAYS})
    named = asked.assign(combination=sides).rename(columns={column: figure for figure, column in FIGURES.items()})
    figures = [figure for figure in FIGURES if figure in named]
    found = summarise(named, ["shown", "combination"], figures, unit="prompt_id", bounds=(0, 1))
    return found.rename(columns={"measure": "figure"})


def gained(asked: pd.DataFrame, numbers: Sequence[int]) -> pd.DataFrame:
    """The share of withheld combinations drawn, with each number of examples minus with none: paired by prompt."""
    withheld = asked[asked["unseen"]].assign(drawn=lambda part: part["right"].astype(float))
    of_prompts = withheld.groupby(["shown", "prompt_id"], as_index=False)["drawn"].mean()
    named = of_prompts.assign(way=of_prompts["shown"].astype(str))
    ways, plain = [str(number) for number in numbers[1:]], str(numbers[0])
    told = differences(named, ways, plain, {"drawn": True}, unit="prompt_id")
    return told.rename(columns={"way": "shown"}).astype({"shown": int})


def concluded(shares: pd.DataFrame, told: pd.DataFrame) -> tuple[str, str]:
    """A few examples suffice where with them a withheld combination is drawn as often as those shown all along, to the intervals,
    and more of them do not better what a few have not; in part, where they come so far or any number of them helps."""
    drawn = shares[shares["figure"] == "drawn"].set_index(["combination", "shown"])
    read = shares[(shares["figure"] == "read") & (shares["combination"] == NEVER)]["value"]
    few = max(number for number in drawn.loc[NEVER].index if number <= FEW)
    parts = "; ".join(
        f"{number} shown: {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}], "
        f"beside {drawn.loc[(ALWAYS, number), 'value']:.3f} of those shown all along"
        for number, row in drawn.loc[NEVER].iterrows()
    )
    steps = "; ".join(f"{row['shown']} minus none {interval(row, 3)}" for _, row in told.iterrows())
    known = f"Of withheld combinations the text encoder reads {read.iloc[0]:.3f}. " if len(read) else ""
    words = f"{known}Drawn of them, by examples of each: {parts}. Paired by prompt: {steps}."
    level = drawn.loc[(NEVER, few), "high"] >= drawn.loc[(ALWAYS, few), "low"]
    helps = told.set_index("shown")["low"] > 0
    if level and (helps[helps.index <= FEW].any() or not helps.any()):
        return HOLDS, words
    return IN_PART if level or helps.any() else FAILS, words


def _figures(shares: pd.DataFrame) -> dict[str, str]:
    from ..report.charts import chart

    rows = shares[shares["figure"] == "drawn"]
    return {"drawn": chart(rows, "combinations drawn", True, axis="shown", others=["combination"])}


def _notes(options: argparse.Namespace, prompts: int) -> tuple[str, ...]:
    return (
        (
            f"Each model goes on from the same weights for {options.minutes:g} minutes of the clock among {options.pool} pictures, by the "
            "recipe's own way of training; with 0 it sees no withheld combination, and learns as long."
        ),
        (
            f"{prompts} captions of held-out scenes, each of which tells of a withheld combination, drawn once at w = "
            f"{options.guidance_scale:g}; intervals of 95 % take a prompt's things together. What the detector misreads counts against "
            "both kinds alike."
        ),
    )


STUDY = Study(
    name="composition",
    claim="Where the parts have been shown apart, a few examples of a combination are enough to draw it",
    source="Liang et al. 2024, “How Diffusion Models Learn to Factorize and Compose”",
    kind=MEASURED,
    minutes=80,
    run=run,
    needs="model",
    options=(
        Option("model", "", "a folder of a model of the everyday world, as training leaves it"),
        Option("recipe", "scenes-cpu", "of its denoiser"),
        Option("shown", "0,10,100,1000", "pictures of each withheld combination, a model for each number"),
        Option("minutes", 10.0, "of training for each"),
        Option("learning-rate", 4e-4, "at its highest"),
        Option("pool", 12_000, "pictures trained on, these among them"),
        Option("withheld", 20, "captions of each withheld combination"),
        Option("guidance-scale", 4.0, "at which all are drawn"),
        Option("steps", 8, "of drawing"),
    ),
)
