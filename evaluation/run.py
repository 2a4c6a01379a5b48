"""Evaluate a model over a prompt set, on shared seeds, at several guidance scales or over any sweep, into tables and a report.

    python -m evaluation.run --prompts prompts/scenes.txt --limit 8
    python -m evaluation.run --prompts prompts/coco.txt --guidance-scales "1-8(1)"
    python -m evaluation.run --prompts coco-val2017 --reference coco-val2017 --download yes
    python -m evaluation.run --prompts prompts/scenes.txt --sweep steps=4,8,12 --sweep scheduler=ddim,euler

The same command resumes a stopped run; more values, prompts or metrics extend it. Many processes: docs/fleets.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
from pathlib import Path

from ldm_core.registry import ENGINES
from ldm_core.settings import FIELDS, SamplingSettings, default, from_text

from . import command
from .catalogue import METRICS, RESIZE_MODES
from .config import RunConfig
from .data_sets import DATA_SETS, captions_file, photographs_folder
from .detectors.reference_files import SUFFIXES
from .downloads import MODES, Downloads
from .generation.axes import EXAMPLE, parse_scales, parse_sweep
from .prompts import Prompt, draw_prompts, empty_prompts, load_prompts, prompt_file
from .recipes import read_recipe, recipe_values
from .run_facts import command_line
from .shard import Shard
from .trackers import TRACKERS, check_installed

DEFAULT = {field.name: field.default for field in dataclasses.fields(RunConfig)}
STOPPED = (
    "Stopped. Every finished image is kept; the same command goes on from here, and with --report-only it makes the tables "
    "and the report of what is there."
)
SETTINGS = [name for name in FIELDS if name != "guidance_scale"]  # of which there is a list


def parser() -> argparse.ArgumentParser:
    """The options, their defaults and words read from RunConfig and from the settings' own fields."""
    made, names = command.parser("evaluation.run", __doc__), f"or by name {', '.join(DATA_SETS)}"
    note = f".txt, .csv, .tsv, .jsonl, COCO's captions .json; a set that ships here: coco, fashion, scenes; {names}"
    made.add_argument("--prompts", type=prompt_file, metavar="FILE", help=note)
    made.add_argument(
        "--recipe", type=Path, metavar="FILE", help="in place of --prompts: one picture again, from its JSON or its PNG"
    )
    note = "in place of --prompts: N images of the empty prompt, for a model that takes none"
    made.add_argument("--unconditional", type=int, metavar="N", default=None, help=note)
    made.add_argument("--dry-run", action="store_true", help="say what would be made, write nothing")
    made.add_argument("--report-only", action="store_true", help="make no image: tables and report of what is there")
    note = "of a job array: make part I of N of the images and no table; the command without it scores all"
    made.add_argument("--shard", metavar="I/N", default=None, help=note)
    _add_model(made.add_argument_group("model", "which networks, and how they are kept and run"))
    _add_settings(made.add_argument_group("settings", "how a picture is made"))
    _add_starts(made.add_argument_group("start", "what pictures begin from in place of noise alone"))
    _add_control(made.add_argument_group("control", "images that say where things go"))
    _add_sweep(made.add_argument_group("sweep", "what varies, on the same seeds"))
    _add_amount(made.add_argument_group("amount", "how much of it"))
    _add_scoring(made.add_argument_group("scoring", "what is measured, against what, and where it goes"))
    return made


Group = argparse._ArgumentGroup


def _add(group: Group, flag: str, kind: type, metavar: str, note: str) -> None:
    """An option that is a field of RunConfig."""
    value = DEFAULT[flag.replace("-", "_")]
    shown = f" (default: {value})" if value not in (None, "") else ""
    group.add_argument(f"--{flag}", type=kind, metavar=metavar, default=value, help=note + shown)


def _add_model(group: Group) -> None:
    _add(group, "model", str, "NAME|FOLDER|FILE|HUB_ID", "default: the best this machine can really run")
    _add(group, "vae", str, "NAME|FOLDER", "another autoencoder in place of the model's own")
    _add(group, "lora", str, "FILE[:WEIGHT]", "low-rank weights to merge into the model, several with commas between")
    note = "a diffusers folder of the family of a single .safetensors file, where the hub is not at hand"
    _add(group, "config", str, "FOLDER", note)
    note = "networks are on the device only while they work: for small cards"
    group.add_argument("--offload", action="store_true", help=note)
    note = "let torch compile the denoiser: minutes first, faster afterwards"
    group.add_argument("--compile", action="store_true", help=note)
    note = f"of {', '.join(ENGINES)}: by what the networks run (default: the quicker one on this machine, if it agrees with torch)"
    group.add_argument("--engine", choices=ENGINES, default=None, help=note)
    _add(group, "device", str, "D", "cuda, mps or cpu; default: the best there is")
    _add(group, "dtype", str, "T", "fp32, bf16 or fp16, of the denoiser; default: what is fast here")


def _add_settings(group: Group) -> None:
    """An option a field of SamplingSettings, as its metadata describes it."""
    for name in SETTINGS:
        about, usual = FIELDS[name].metadata, default(name)
        shown = f" (default: {usual})" if usual not in (None, "") and "default" not in about["help"] else ""
        metavar = about.get("metavar", name.rsplit("_", 1)[-1].upper())
        flags = [f"--{each.replace('_', '-')}" for each in (name, about.get("alias")) if each]
        group.add_argument(*flags, metavar=metavar, default=None, help=about["help"] + shown)


def _add_starts(group: Group) -> None:
    note = "image-to-image: the n-th prompt takes the n-th picture by name, one serves all; see --strength"
    _add(group, "init-images", Path, "FOLDER|FILE", note)
    _add(group, "masks", Path, "FOLDER|FILE", "inpainting: what of each start image is drawn anew, in white")


def _add_control(group: Group) -> None:
    note = "a ControlNet or T2I-Adapter that steers the model; scenes-control ships for scenes"
    _add(group, "control", str, "NAME|FOLDER|HUB_ID", note)
    note = "what it steers by: the n-th prompt takes the n-th picture by name, one serves all; see --control-scale"
    _add(group, "control-images", Path, "FOLDER|FILE", note)


def _add_sweep(group: Group) -> None:
    note = '"1,2,4,8", "1-8(1)" by step or "1-8[4]" by count (default: 1,2,4,8; the model\'s where something else is swept)'
    group.add_argument("--guidance-scales", metavar="LIST", default=None, help=note)
    note = f"any setting, prompt or model, or bundles of settings; may be given several times: {EXAMPLE}"
    group.add_argument("--sweep", action="append", metavar="FIELD=LIST", default=[], help=note.replace("%", "%%"))


def _add_amount(group: Group) -> None:
    _add(group, "limit", int, "N", "only the first N prompts")
    group.add_argument(
        "--shuffle", action="store_true", help="with --limit: N prompts drawn at random by the run's seed"
    )
    _add(group, "images-per-prompt", int, "K", "seeds per prompt")
    _add(group, "seed", int, "N", "the run's seed, from which every image's follows")
    _add(group, "batch-size", int, "N", "images denoised together")


def _add_scoring(group: Group) -> None:
    note = f"of {', '.join(METRICS)}; default: what suits the model, as far as it can be computed here"
    group.add_argument("--metrics", metavar="LIST", default=None, help=note)
    note = (
        f"real images, statistics ({', '.join(SUFFIXES)}) or {', '.join(DATA_SETS)}; default: what ships with the detector, "
        "or pictures of the model's world"
    )
    _add(group, "reference", Path, "FOLDER|FILE|NAME", note)
    note = "fetch detectors and data sets that are missing: yes, no, or ask on a terminal (default: %(default)s)"
    group.add_argument("--download", choices=MODES, default=DEFAULT["download"], help=note)
    note = "how images are brought to Inception's size (default: %(default)s)"
    group.add_argument("--resize", choices=RESIZE_MODES, default=DEFAULT["resize"], help=note)
    _add(group, "out", Path, "FOLDER", "default: runs/<model>-<prompt file's stem>")
    group.add_argument(
        "--log", choices=TRACKERS, default=None, help="send every metric there too, where it is installed"
    )


def fetch_data_sets(arguments: argparse.Namespace, downloads: Downloads) -> None:
    """Put the files of data sets in the place of their names, fetched by the first process where that is agreed.

    A rehearsal fetches no photographs: it says what they would be. A shard needs none.
    """
    for option, bring in (("prompts", captions_file), ("reference", photographs_folder)):
        name = str(getattr(arguments, option) or "")
        if name in DATA_SETS and not Path(name).exists():
            if option == "reference" and (arguments.dry_run or arguments.shard is not None):
                arguments.reference = _photographs_here(name) if arguments.dry_run else None
                continue
            from .processes import Processes

            found = Processes.join().first_then_all(functools.partial(bring, name, downloads))
            setattr(arguments, option, found)


def _photographs_here(name: str) -> Path | None:
    try:
        return photographs_folder(name)
    except ValueError as error:
        print(f"--reference {error}")
        return None


def config_of(arguments: argparse.Namespace, argv: list[str] | None = None) -> RunConfig:
    """The parsed command line as a checked RunConfig."""
    if sum(given is not None for given in (arguments.prompts, arguments.recipe, arguments.unconditional)) != 1:
        raise ValueError("give --prompts FILE, --recipe FILE or --unconditional N, one of the three")
    names = {field.name for field in dataclasses.fields(RunConfig)}
    values = {name: value for name, value in vars(arguments).items() if name in names}
    values["settings"] = settings_of(arguments)
    values["sweep"] = tuple(parse_sweep(text) for text in arguments.sweep)
    values["command"] = command_line("evaluation.run", argv)
    if arguments.guidance_scales is not None:
        values["guidance_scales"] = parse_scales(arguments.guidance_scales)
    if arguments.metrics is not None:
        values["metrics"] = tuple(dict.fromkeys(name.strip() for name in arguments.metrics.split(",")))
    if arguments.recipe is not None:
        values |= recipe_values(arguments, [*SETTINGS, "guidance_scales", "sweep"])
    if arguments.shard is not None:
        values["shard"] = Shard.parse(arguments.shard)
    if arguments.unconditional is not None:
        values["prompts"] = Path("unconditional")
    if arguments.log is not None:
        check_installed(arguments.log)
    return RunConfig(**values)


def settings_of(arguments: argparse.Namespace) -> SamplingSettings:
    """The settings that were given; ValueError names an option and its value."""
    given = {name: getattr(arguments, name) for name in SETTINGS if getattr(arguments, name) is not None}
    return SamplingSettings.of(**{name: from_text(name, text) for name, text in given.items()})


def prompts_of(arguments: argparse.Namespace, config: RunConfig) -> list[Prompt]:
    """The prompt set, the one prompt of a recipe with its seed, or empty ones."""
    if config.unconditional is not None:
        return empty_prompts(config.unconditional)
    if config.shuffle and config.limit is not None and arguments.recipe is None:
        return draw_prompts(config.prompts, config.limit, config.seed)
    if arguments.recipe is None:
        return load_prompts(config.prompts, config.limit)
    recipe = read_recipe(arguments.recipe)
    return [Prompt(0, recipe.prompt, seed=recipe.seed)]


def main(argv: list[str] | None = None) -> int:
    """0 when done, 2 when the command cannot be carried out as given, 3 for a fault, 130 when stopped by Ctrl-C."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # which is read when tokenizers are imported

    def work(arguments: argparse.Namespace) -> int:
        downloads = Downloads(arguments.download)
        fetch_data_sets(arguments, downloads)
        config = config_of(arguments, argv)
        prompts = prompts_of(arguments, config)
        from .processes import Processes  # torch takes seconds to import: only who got this far waits
        from .runner import Run

        processes = Processes.join()
        run = Run(config, prompts, processes, downloads)
        if config.dry_run:
            run.rehearse()
        else:
            run.carry_out()
        processes.part()
        return 0

    # What torch says of a full GPU is a RuntimeError, and so is a self-check that fails.
    return command.carry_out(parser(), argv, work, STOPPED, (*command.EXPECTED, RuntimeError))


if __name__ == "__main__":
    raise SystemExit(main())
