"""The edge of every command of all three packages: its parser, and how errors leave it.

What cannot be done as asked is one line and exit code 2; Ctrl-C is 130; a fault of the program itself is one line that says
where to report it, and exit code 3. --debug shows where an error came from.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable

EXPECTED = (ValueError, OSError, FloatingPointError)
REPORT = "please report it with this line and the command, in the project's issues"
STOPPED = "stopped"


def parser(module: str, description: str | None, epilog: str | None = None) -> argparse.ArgumentParser:
    """For `python -m module`; options are only ever taken by their whole names."""
    made = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--debug", action="store_true", help="where an error came from, in full")
    return made


def carry_out(
    made: argparse.ArgumentParser,
    argv: list[str] | None,
    work: Callable[[argparse.Namespace], int],
    stopped: str = STOPPED,
    expected: tuple[type[Exception], ...] = EXPECTED,
) -> int:
    """Parse the command line and do the work with it; `work` gives the exit code. `stopped` is said on Ctrl-C.

    SystemExit(2) for what cannot be done as asked, SystemExit(3) for what should not happen.
    """
    arguments = made.parse_args(argv)
    alone = os.environ.get("RANK", "0") == "0"  # of several processes one speaks
    try:
        return work(arguments)
    except KeyboardInterrupt:
        if alone:
            print(f"\n{stopped}", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001  # the edge: whatever comes is said in one line
        if arguments.debug:
            traceback.print_exc()
        words = " ".join(str(error).split())
        if isinstance(error, expected):
            made.exit(2, f"{made.prog}: error: {words}\n" if alone else None)
        kind = type(error).__name__
        made.exit(3, f"{made.prog}: unexpected {kind}: {words}; --debug shows where; {REPORT}\n")
