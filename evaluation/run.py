"""Evaluate a model over a prompt set at several guidance scales, on shared seeds, into tables and a report.

    python -m evaluation.run --prompts prompts/scenes.txt --limit 8
    python -m evaluation.run --prompts prompts/coco.txt --guidance-scales "1-8(1)"

The same command resumes a stopped run; more scales, prompts or metrics extend it.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path

from ldm_core.recipe import Recipe, read_png

from .catalogue import METRICS, RESIZE_MODES
from .config import SCHEDULES, RunConfig
from .generation.axes import parse_scales
from .generation.prompts import Prompt, load_prompts, prompt_file

DEFAULT = {field.name: field.default for field in dataclasses.fields(RunConfig)}


def parser() -> argparse.ArgumentParser:
    """The options, their defaults read from RunConfig."""
    made = argparse.ArgumentParser(
        prog="python -m evaluation.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--prompts",
        type=prompt_file,
        metavar="FILE",
        help=".txt, .csv, .tsv, .jsonl, or COCO's captions .json; or the name of a set that ships here: coco, fashion, scenes",
    )
    made.add_argument(
        "--recipe", type=Path, metavar="FILE", help="in place of --prompts: one picture again, from its JSON or its PNG"
    )
    for add_options in (_add_model, _add_guidance, _add_drawing, _add_scoring):
        add_options(made)
    made.add_argument("--dry-run", action="store_true", help="say what would be made, write nothing")
    return made


def _add(made: argparse.ArgumentParser, flag: str, kind: type, metavar: str, words: str) -> None:
    """An option that is a field of RunConfig."""
    value = DEFAULT[flag.replace("-", "_")]
    shown = f" (default: {value})" if value not in (None, "") else ""
    made.add_argument(f"--{flag}", type=kind, metavar=metavar, default=value, help=words + shown)


def _add_model(made: argparse.ArgumentParser) -> None:
    """Which networks, and how they are kept and run."""
    _add(made, "model", str, "NAME|FOLDER|FILE|HUB_ID", "default: the best this machine can really run")
    _add(made, "vae", str, "NAME|FOLDER", "another autoencoder in place of the model's own")
    _add(made, "lora", str, "FILE[:WEIGHT]", "low-rank weights to merge into the model, several with commas between")
    _add(
        made,
        "config",
        str,
        "FOLDER",
        "a diffusers folder of the family of a single .safetensors file, where the hub is not at hand",
    )
    made.add_argument(
        "--offload", action="store_true", help="networks are on the device only while they work: for small cards"
    )
    made.add_argument(
        "--compile", action="store_true", help="let torch compile the denoiser: minutes first, faster afterwards"
    )


def _add_guidance(made: argparse.ArgumentParser) -> None:
    """How hard the prompt pulls, and when."""
    made.add_argument(
        "--guidance-scales",
        metavar="LIST",
        default=None,
        help='"1,2,4,8", "1-8(1)" by step or "1-8[4]" by count (default: 1,2,4,8)',
    )
    made.add_argument(
        "--guidance-schedule",
        choices=SCHEDULES,
        default=DEFAULT["guidance_schedule"],
        help="w over time; each averages w (default: %(default)s)",
    )
    made.add_argument(
        "--guidance-interval",
        metavar="LOW,HIGH",
        default=None,
        help="guide only while LOW <= t <= HIGH, t from 1 (noise) to 0 (clean)",
    )
    _add(made, "guidance-rescale", float, "X", "0 to 1: bring the prediction's spread back after guidance")


def _add_drawing(made: argparse.ArgumentParser) -> None:
    """What is drawn, how much of it, on what."""
    _add(made, "negative-prompt", str, "TEXT", "what takes the unconditional place (default: the empty prompt)")
    _add(made, "steps", int, "N", "default: the model's")
    _add(
        made,
        "scheduler",
        str,
        "NAME",
        "ddim, ddpm, euler, euler-ancestral, dpm++2m, pndm, unipc, flow-euler; default: the model's own",
    )
    _add(made, "limit", int, "N", "only the first N prompts")
    _add(made, "images-per-prompt", int, "K", "seeds per prompt")
    _add(made, "seed", int, "N", "the run's seed, from which every image's follows")
    _add(made, "batch-size", int, "N", "images denoised together")
    _add(made, "device", str, "D", "cuda, mps or cpu; default: the best there is")
    _add(made, "dtype", str, "T", "fp32, bf16 or fp16, of the denoiser; default: what is fast here")
    _add(made, "height", int, "H", "pixels; default: the model's")
    _add(made, "width", int, "W", "pixels; default: the model's")


def _add_scoring(made: argparse.ArgumentParser) -> None:
    """What is measured, against what, and where it goes."""
    made.add_argument(
        "--metrics",
        metavar="LIST",
        default=None,
        help=f"of {', '.join(METRICS)}; default: what suits the model, as far as it can be computed here",
    )
    _add(
        made,
        "reference",
        Path,
        "FOLDER|FILE",
        "real images, or a file of evaluation.reference; default: what ships with the detector",
    )
    made.add_argument(
        "--resize",
        choices=RESIZE_MODES,
        default=DEFAULT["resize"],
        help="how images are brought to Inception's size (default: %(default)s)",
    )
    _add(made, "out", Path, "FOLDER", "default: runs/<model>-<prompt file's stem>")


def config_of(arguments: argparse.Namespace) -> RunConfig:
    """The parsed command line as a checked RunConfig."""
    if (arguments.prompts is None) == (arguments.recipe is None):
        raise ValueError("give --prompts FILE or --recipe FILE, one of the two")
    values = {name: value for name, value in vars(arguments).items() if name not in ("recipe", "guidance_scales")}
    if arguments.recipe is not None:
        values |= _recipe_settings(arguments)
    if arguments.guidance_scales is not None:
        values["guidance_scales"] = parse_scales(arguments.guidance_scales)
    if arguments.guidance_interval is not None:
        values["guidance_interval"] = _interval(arguments.guidance_interval)
    if arguments.metrics is not None:
        values["metrics"] = tuple(dict.fromkeys(name.strip() for name in arguments.metrics.split(",")))
    return RunConfig(**values)


def _recipe_settings(arguments: argparse.Namespace) -> dict:
    """What a recipe decides of a RunConfig; a flag that says the same thing again is refused, not passed over."""
    recipe = read_recipe(arguments.recipe)
    names = (
        "model",
        "vae",
        "lora",
        "steps",
        "scheduler",
        "height",
        "width",
        "negative_prompt",
        "guidance_schedule",
        "guidance_interval",
        "guidance_rescale",
        "dtype",
    )
    default = {field.name: field.default for field in dataclasses.fields(RunConfig)}
    for name in names:
        if getattr(arguments, name) != default[name]:
            raise ValueError(f"--{name.replace('_', '-')} cannot be given with --recipe, which decides it")
    decided = recipe.settings.flat() | {name: getattr(recipe, name) for name in ("model", "vae", "lora", "dtype")}
    return {name: decided[name] for name in names} | {
        "prompts": arguments.recipe,
        "guidance_scales": (recipe.settings.guidance.scale,),
    }


def read_recipe(path: Path) -> Recipe:
    """A recipe from its JSON, or from the PNG that carries it."""
    try:
        return read_png(path) if path.suffix.lower() == ".png" else Recipe.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"--recipe {path} cannot be read: {error.strerror or error}") from None


def prompts_of(arguments: argparse.Namespace, config: RunConfig) -> list[Prompt]:
    """The prompt set, or the one prompt of a recipe with its seed."""
    if arguments.recipe is None:
        return load_prompts(config.prompts, config.limit)
    recipe = read_recipe(arguments.recipe)
    return [Prompt(0, recipe.prompt, seed=recipe.seed)]


def _interval(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--guidance-interval must be LOW,HIGH, two numbers from 0 to 1; got {text!r}") from None
    return low, high


def main(argv: list[str] | None = None) -> int:
    """0 when done, 2 when the command cannot be carried out as given, 130 when stopped by Ctrl-C."""
    command = parser()
    arguments = command.parse_args(argv)
    alone = os.environ.get("RANK", "0") == "0"  # of several processes one speaks
    try:
        config = config_of(arguments)
        prompts = prompts_of(arguments, config)
        from .processes import Processes  # torch takes seconds to import: only who got this far waits
        from .runner import Run

        processes = Processes.join()
        run = Run(config, prompts, processes)
        if config.dry_run:
            run.rehearse()
        else:
            run.carry_out()
        processes.part()
    except KeyboardInterrupt:
        if alone:
            print("\nStopped. Every finished image is kept; the same command goes on from here.", file=sys.stderr)
        return 130
    except (ValueError, OSError, FloatingPointError, RuntimeError) as error:
        command.exit(2, f"{command.prog}: error: {' '.join(str(error).split())}\n" if alone else None)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    raise SystemExit(main())
