"""What the training commands share: their options, and how they end."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from .. import command
from ..loading import quiet


def add_run_options(parser: argparse.ArgumentParser, recipes: Mapping[str, object]) -> None:
    """The recipe, the folder of the run, the device and the data."""
    parser.add_argument("recipe", choices=sorted(recipes), help="named recipe of ldm_core/training/config.py")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="folder of the run; the same one resumes"
    )
    parser.add_argument("--device", default=None, help="cuda, mps or cpu; default: the best this machine has")
    parser.add_argument(
        "--minutes", type=float, default=None, metavar="M", help="end after M minutes of training, however many steps"
    )
    parser.add_argument(
        "--data", type=Path, default=None, metavar="FOLDER", help="folder of the Fashion-MNIST files, or of photographs"
    )


def add_reader_option(parser: argparse.ArgumentParser, model: str) -> None:
    """Who says what drawings lack, for a recipe that weighs wishes; `model` is the option that names whose latents it reads."""
    told = f"reader.safetensors that train_latent_reader made of the model of {model}"
    parser.add_argument("--reader", type=Path, default=None, metavar="FILE", help=told)


def run_command(
    parser: argparse.ArgumentParser, argv: list[str] | None, train: Callable[[argparse.Namespace], bool]
) -> int:
    """Run a training, which says whether it came to its end; where it did not, the exit code is that of Ctrl-C, 130.

    A plain `kill` is taken as Ctrl-C: in the background a shell makes its jobs deaf to Ctrl-C itself.
    """

    def work(arguments: argparse.Namespace) -> int:
        quiet()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return 0 if train(arguments) else 130

    return command.carry_out(parser, argv, work)
