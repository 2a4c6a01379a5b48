"""Metrics for images that you already have: a folder, or several side by side, into tables and a report.

    python -m evaluation.score --images FOLDER --metrics clip_score
    python -m evaluation.score --images FOLDER --prompts prompts/parti.tsv --reference PHOTOGRAPHS
    python -m evaluation.score --images ours=out/a theirs=out/b --prompts prompts/scenes.txt

Captions come from --prompts, or from metadata.jsonl, captions.csv or .tsv, COCO's captions, GenEval's folders, a .txt beside
each image, or names of words. A folder of evaluation.run is read by its tables. Several folders are compared image by image
where prompts and seeds agree, or where names do; as independent samples otherwise. The same command resumes.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from . import command
from .catalogue import DEFAULTS, METRICS, RESIZE_MODES, check
from .data_sets import DATA_SETS, photographs_folder
from .detectors.reference_files import SUFFIXES
from .downloads import MODES, Downloads
from .prompts import prompt_file
from .run_facts import command_line
from .worlds import DRAWN, DRAWN_WORLD

if TYPE_CHECKING:
    from .findings import Evaluation

STOPPED = "Stopped. What was extracted is kept; the same command goes on from here."
GENERAL = [name for name in DEFAULTS[""] if not METRICS[name].needs_autoencoder]  # what any images can be scored by


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = command.parser("evaluation.score", __doc__)
    note = "searched below too; NAME=FOLDER gives its name in the tables"
    made.add_argument("--images", nargs="+", required=True, metavar="FOLDER", help=note)
    made.add_argument(
        "--prompts", type=prompt_file, metavar="FILE", help=".txt, .csv, .tsv, .jsonl, or COCO's captions .json"
    )
    note = "how prompts without file names pair: by the number in an image's name, or by order (default: what fits)"
    made.add_argument("--pair", choices=("auto", "number", "order"), default="auto", help=note)
    note = "look for captions in and beside the folder, or take none (default: %(default)s)"
    made.add_argument("--captions", choices=("auto", "none"), default="auto", help=note)
    note = f"of {', '.join(METRICS)}; default: {', '.join(GENERAL)}, as far as they can be computed here"
    made.add_argument("--metrics", metavar="LIST", default=None, help=note)
    note = f"the drawn world that the pictures are of, for metrics called after scenes (default: {DRAWN_WORLD})"
    made.add_argument("--world", choices=tuple(DRAWN), default="", help=note)
    note = f"real images, statistics ({', '.join(SUFFIXES)}) or {', '.join(DATA_SETS)}"
    made.add_argument("--reference", type=Path, metavar="FOLDER|FILE|NAME", help=note)
    note = "fetch detectors and data sets that are missing: yes, no, or ask on a terminal (default: %(default)s)"
    made.add_argument("--download", choices=MODES, default="ask", help=note)
    note = "how images are brought to Inception's size (default: %(default)s)"
    made.add_argument("--resize", choices=RESIZE_MODES, default="clean", help=note)
    made.add_argument("--limit", type=int, metavar="N", help="only the images of the first N prompts")
    made.add_argument("--shuffle", action="store_true", help="with --limit: N prompts drawn at random by --seed")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="of --shuffle (default: %(default)s)")
    made.add_argument("--device", metavar="D", help="cuda, mps or cpu; default: the best there is")
    made.add_argument("--out", type=Path, metavar="FOLDER", help="default: runs/score-<the folders' names>")
    return made


def sources(images: list[str]) -> dict[str, str | Path] | list[str | Path]:
    """The folders, by name where names are given. ValueError where one is not there."""
    pairs = [text.partition("=")[::2] if "=" in text and not Path(text).exists() else ("", text) for text in images]
    for _, folder in pairs:
        if not Path(folder).is_dir():
            raise ValueError(f"--images {folder} is no folder")
    if not any(name for name, _ in pairs):
        return [Path(folder) for _, folder in pairs]
    named = {name or Path(folder).resolve().name: Path(folder) for name, folder in pairs}
    if len(named) < len(pairs):
        raise ValueError("--images: two folders have one name; give NAME=FOLDER")
    return dict(named)


def work(arguments: argparse.Namespace, argv: list[str] | None = None) -> int:
    """The exit code."""
    if arguments.limit is not None and arguments.limit < 1:
        raise ValueError(f"--limit must be at least 1, got {arguments.limit}")
    if arguments.shuffle and arguments.limit is None:
        raise ValueError("--shuffle draws at random what --limit N leaves: give --limit too")
    metrics = None if arguments.metrics is None else [name.strip() for name in arguments.metrics.split(",")]
    check(metrics or ())
    folders, downloads = sources(arguments.images), Downloads(arguments.download)
    reference = arguments.reference
    if str(reference or "") in DATA_SETS and not reference.exists():
        reference = photographs_folder(str(reference), downloads)
    from .image_evaluation import evaluate  # torch takes seconds to import: only who got this far waits
    from .image_sources import named_sources

    out = arguments.out or Path("runs") / f"score-{'-'.join(named_sources(folders))}"
    found = evaluate(
        folders,
        list(dict.fromkeys(metrics or GENERAL)),
        reference,
        arguments.prompts,
        captions=arguments.captions,
        pairing=arguments.pair,
        limit=arguments.limit,
        shuffle=arguments.shuffle,
        seed=arguments.seed,
        resize=arguments.resize,
        device=arguments.device,
        out=out,
        world=arguments.world,
        asked_for=metrics is not None,
        downloads=downloads,
        command=command_line("evaluation.score", argv),
    )
    say(found)
    print(f"\nreport: {found.write(out)}")
    return 0


def say(found: Evaluation) -> None:
    """What the terminal shows: what was scored, the values side by side, what could not be computed, the differences."""
    from .report import tables
    from .report.page import terminal

    print(f"{found.facts.image_count} images, {found.facts.prompt_count} prompts")
    for note in found.facts.notes:
        print(note)
    print(f"\n{terminal(found.summary, found.facts)}")
    if len(found.differences):
        shown = found.differences.drop(columns=["axis", "value_a", "value_b"])
        print(f"\n{tables.rounded(shown).to_string(index=False)}")


def main(argv: list[str] | None = None) -> int:
    """0 when done, 2 when it cannot be done as asked, 3 for a fault, 130 when stopped by Ctrl-C."""
    return command.carry_out(parser(), argv, lambda arguments: work(arguments, argv), STOPPED)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    raise SystemExit(main())
