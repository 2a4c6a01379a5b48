"""Look whether a claim holds here: tables, figures and a page, and a verdict with its numbers.

    python -m evaluation.study --list          every study, how long it takes on two cores, what it found as run
    python -m evaluation.study guidance        one of them; the same command resumes it
    python -m evaluation.study --all           the quickest that take an hour together and need no data of yours

Each study has a folder of its own below --out; --record puts its small files into evaluation/studies/results/NAME.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import command
from .paths import name_alone
from .run_facts import command_line
from .studies.study import Study, all_studies, that_fit

HOUR = 60.0  # minutes


def parser() -> argparse.ArgumentParser:
    """A study's own options stand behind its name."""
    made = command.parser("evaluation.study", __doc__)
    made.add_argument("--list", action="store_true", help="say what there is, and how long each takes")
    made.add_argument(
        "--all",
        action="store_true",
        help="the quickest studies that take an hour together; those that need data are left out, and it is said how to run them",
    )
    _add_common(made)
    named = made.add_subparsers(dest="study", metavar="NAME", help=", ".join(all_studies()))
    for study in all_studies().values():
        own = named.add_parser(study.name, help=study.claim, description=study.claim, allow_abbrev=False)
        _add_common(own, again=True)
        for option in study.options:
            note = f"{option.help} (default: {option.default})"
            own.add_argument(f"--{option.name}", type=type(option.default), default=option.default, help=note)
    return made


def _add_common(made: argparse.ArgumentParser, again: bool = False) -> None:
    """Options that stand before the name or behind it; behind it their absence leaves what stood before."""
    absent = argparse.SUPPRESS
    note = "a folder for each study below it (default: runs/studies)"
    made.add_argument(
        "--out", type=Path, metavar="FOLDER", default=absent if again else Path("runs/studies"), help=note
    )
    note = "put the results among those of the repository"
    made.add_argument("--record", action="store_true", default=absent if again else False, help=note)


def listing(studies: dict[str, Study]) -> str:
    """Of each study its time, what it found when it was run for the repository, what it must be given, and its claim."""
    from .studies.results import recorded

    lines = []
    for study in studies.values():
        known = recorded(study.name)
        found = f"as run: {known['verdict']}" if known else "not run yet"
        needs = f"; needs --{study.needs} FOLDER" if study.needs else ""
        lines.append(f"{study.name:22} {study.minutes:6.0f} min  {study.kind}; {found}{needs}\n{'':34}{study.claim}")
    return "\n".join(lines)


def carry_out(study: Study, arguments: argparse.Namespace, said: str) -> None:
    """Run one study in its folder, and write what it found."""
    from .run_facts import machine  # torch takes seconds to import: only who runs a study waits
    from .run_folder import alone
    from .studies.results import PAGE, facts_of, record, write_results

    out, began = arguments.out / study.name, time.perf_counter()
    print(f"{study.name}: {study.claim}\n({study.source}; {study.kind}, about {study.minutes:.0f} minutes)", flush=True)
    with alone(out):
        (out / "work").mkdir(exist_ok=True)
        outcome = study.run(arguments, out / "work")
        facts = facts_of(study, arguments, outcome, time.perf_counter() - began, said, machine())
        write_results(out, outcome, facts)
    print(f"\n{study.name}: the claim {outcome.verdict}. {outcome.words}\npage: {out / PAGE}")
    if arguments.record:
        print(f"recorded: {record(out, study.name)}")


def main(argv: list[str] | None = None) -> int:
    """0 when done, 1 where a study of --all could not be carried out, 2 when the command cannot be as given."""

    def work(arguments: argparse.Namespace) -> int:
        studies = all_studies()
        if sum([arguments.list, arguments.all, arguments.study is not None]) != 1:
            raise ValueError(f"give the name of a study ({', '.join(studies)}), --list or --all, one of the three")
        if arguments.list:
            print(listing(studies))
            return 0
        said = command_line("evaluation.study", _anywhere(sys.argv[1:] if argv is None else argv))
        if arguments.study is not None:
            carry_out(studies[arguments.study], arguments, said)
            return 0
        return all_of(studies, arguments)

    return command.carry_out(parser(), argv, work, "stopped; the same command goes on from here")


def _anywhere(words: Sequence[str]) -> list[str]:
    """A command line as it would be on another machine: without --out FOLDER, which decides nothing, and with the names of
    folders whose whole paths are given."""
    kept, given = list[str](), iter(words)
    for word in given:
        if word == "--out":
            next(given, None)
        elif not word.startswith("--out="):
            option, equals, value = word.rpartition("=")
            kept.append(f"{option}{equals}{name_alone(value)}")
    return kept


def all_of(studies: dict[str, Study], arguments: argparse.Namespace) -> int:
    """The studies that fit an hour, each with its own defaults; what is left out is told. 1 where one of them failed."""
    complete = {name: study for name, study in studies.items() if not study.needs}
    chosen, failed = that_fit(complete, HOUR), []
    for name in (name for name in studies if name not in complete):
        print(f"{name}: left out, for {studies[name].lacking}")
    if left := [name for name in complete if name not in {study.name for study in chosen}]:
        print(f"longer than fits an hour, to be run by name: {', '.join(left)}")
    for study in chosen:
        own = parser().parse_args(["--out", str(arguments.out), *(["--record"] * arguments.record), study.name])
        try:
            carry_out(study, own, f"python -m evaluation.study {study.name}")
        except command.EXPECTED as error:
            failed.append(study.name)
            print(f"{study.name}: could not be carried out: {' '.join(str(error).split())}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
