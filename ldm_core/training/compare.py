"""Ideas at equal time: one recipe with its settings changed in several ways, each trained for as many minutes.

    python -m ldm_core.training.compare denoiser scenes-cpu --minutes 20 --out runs/compare \\
        --autoencoder ldm_core/weights/scenes/vae --init ldm_core/weights/scenes \\
        --options "" pooled_caption=False mask_weight=0.1 "mask_weight=0.1,composition_weight=0.3"

Each way has a folder OUT/<options>, which resumes. OUT/compare.csv says how many steps it took in that time and what it
came to: decibels of held-out pictures for an autoencoder, the squared error of v on held-out latents for a denoiser
(lower is better; the same for all, whatever a recipe weighs), and beside it how much more that is with another picture's
caption (higher is better: it goes by what it is told), and the error in the cells that things cover. A denoiser's folder
is for `python -m evaluation.card` to judge further.
Run it on a machine that does nothing else: the minutes are those of the clock.
"""

from __future__ import annotations

import argparse
import ast
import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from .. import command
from ..placement import choose_device
from . import held_out, train_autoencoder, train_denoiser
from .command import run_command
from .config import AUTOENCODERS, DENOISERS, AutoencoderConfig, DenoiserConfig

Config = TypeVar("Config", AutoencoderConfig, DenoiserConfig)


def changed(config: Config, options: str) -> Config:
    """A recipe with settings replaced, written "name=value,name=value"; "" changes nothing."""
    names = {field.name for field in dataclasses.fields(config)}
    settings = {}
    for part in filter(None, options.split(";" if ";" in options else ",")):
        name, equals, value = part.partition("=")
        if name not in names or not equals:
            raise ValueError(
                f"--options must be name=value of the recipe's settings, got {part!r}; known: {', '.join(sorted(names))}"
            )
        try:
            settings[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[name] = value  # a word, such as muon
    return dataclasses.replace(config, **settings)


def compare(
    ways: list[str],
    out: Path,
    minutes: float,
    train: Callable[[str, Path], bool],
    judge: Callable[[Path], tuple[float, ...]],
) -> bool:
    """Train each way and write the table; False where Ctrl-C stopped it."""
    rows = []
    columns = ["by its caption", "on things"]
    for options in ways:
        folder = out / (options.replace("/", "-") or "as-it-is")
        if not train(options, folder):
            return False
        *_, last = csv.reader((folder / "log.csv").open())
        result, *told = (f"{value:.4f}" for value in judge(folder))
        rows.append([options or "as it is", last[0], minutes, result, *told])
        tqdm.write(
            "{}: {} steps in {} minutes, {}".format(*rows[-1])
            + "".join(f", {each} {name}" for name, each in zip(columns, told))
        )
    with (out / "compare.csv").open("w", newline="") as file:
        header = ["options", "steps", "minutes", "result", *columns]
        csv.writer(file).writerows([header[: len(rows[0])], *rows])
    return True


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("ldm_core.training.compare", __doc__)
    parser.add_argument("stage", choices=("autoencoder", "denoiser"))
    parser.add_argument("recipe", help="named recipe of ldm_core/training/config.py")
    parser.add_argument(
        "--options", nargs="+", default=[""], metavar="NAME=VALUE", help="a way each; '' is the recipe as it is"
    )
    parser.add_argument("--minutes", type=float, default=20.0, metavar="M", help="for each way (default: 20)")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--autoencoder", type=Path, default=None, metavar="FOLDER", help="a finished stage 1, for denoisers"
    )
    parser.add_argument("--init", type=Path, default=None, metavar="FOLDER", help="weights that each way starts from")
    parser.add_argument("--device", default=None, help="cuda, mps or cpu; default: the best this machine has")
    parser.add_argument("--data", type=Path, default=None, metavar="FOLDER", help="as for the training commands")
    return run_command(parser, argv, _run)


def _run(arguments: argparse.Namespace) -> bool:
    recipes = AUTOENCODERS if arguments.stage == "autoencoder" else DENOISERS
    if arguments.recipe not in recipes:
        raise ValueError(f"recipe must be one of {', '.join(sorted(recipes))}, got {arguments.recipe!r}")
    if arguments.stage == "denoiser" and arguments.autoencoder is None:
        raise ValueError("--autoencoder must name a finished stage 1 to compare denoisers")
    arguments.out.mkdir(parents=True, exist_ok=True)
    device = choose_device(arguments.device)
    return (_autoencoders if arguments.stage == "autoencoder" else _denoisers)(arguments, device)


def _autoencoders(arguments: argparse.Namespace, device: str) -> bool:
    recipe = AUTOENCODERS[arguments.recipe]
    configs = {options: changed(recipe, options) for options in arguments.options}

    def train(options: str, folder: Path) -> bool:
        settings = (arguments.data, arguments.init, arguments.minutes)
        return train_autoencoder.train(configs[options], folder, device, *settings)

    def judge(folder: Path) -> tuple[float, ...]:
        return held_out.psnr(folder / "vae", recipe.data, recipe.image_size, device=device)[:1]

    return compare(arguments.options, arguments.out, arguments.minutes, train, judge)


def _denoisers(arguments: argparse.Namespace, device: str) -> bool:
    recipe = DENOISERS[arguments.recipe]
    configs = {options: changed(recipe, options) for options in arguments.options}

    def train(options: str, folder: Path) -> bool:
        config = configs[options]
        pictures = arguments.out / f"latents-{config.pool}-{config.shown}.npy"  # the same for most ways
        settings = (arguments.data, arguments.init, arguments.minutes, pictures)
        return train_denoiser.train(config, arguments.autoencoder, folder, device, *settings)

    def judge(folder: Path) -> tuple[float, ...]:
        return held_out.v_error(folder / "model", recipe.data, recipe.image_size, device)

    return compare(arguments.options, arguments.out, arguments.minutes, train, judge)


if __name__ == "__main__":
    raise SystemExit(main())
