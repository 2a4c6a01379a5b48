"""What may be fetched from the net: a policy, the published files that it is asked about, and where they are kept.

    --download ask    on a terminal ask, saying what, how many MB and from where; elsewhere the same as no
    --download yes    fetch what is missing
    --download no     fetch nothing; what is missing says how to get it

HF_HUB_OFFLINE=1 is no, whatever the option says. Detectors are kept where
other programs look for them (torch's cache and the hub's), the rest in the user's cache ($XDG_CACHE_HOME).
"""

from __future__ import annotations

import os
import sys
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MODES = ("ask", "yes", "no")


def megabytes(size: int) -> str:
    """Bytes in words: "95.6 MB", "6645 MB"."""
    return f"{size / 1e6:.1f} MB" if size < 1e8 else f"{size / 1e6:.0f} MB"


@dataclass(frozen=True)
class Remote:
    """A published file: in words what it is, its address, its size in bytes, and its hash as "sha256:..." or "md5:..."."""

    name: str
    url: str
    size: int
    digest: str = ""  # "" where none is published: then its size and what is in it are all that is checked

    @property
    def host(self) -> str:
        return urllib.parse.urlsplit(self.url).netloc


def ask_on_terminal(question: str) -> bool:
    """Yes or no from the person at the terminal; no where nothing more can be read."""
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


@dataclass
class Downloads:
    """Whether something may be fetched; each thing is asked for once."""

    mode: str = "ask"
    ask: Callable[[str], bool] | None = None  # None: the terminal, where there is one
    answers: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"--download must be one of {', '.join(MODES)}, got {self.mode!r}")

    def permit(self, what: str, size: int | None, origin: str, folder: Path, note: str = "") -> None:
        """ValueError, with one line on how, unless `what` may be fetched from `origin` into `folder`.

        size    bytes to fetch, None where unknown
        note    more that the person who is asked should know, such as the disk that it fills
        """
        amount = "of unknown size" if size is None else megabytes(size)
        if _offline():
            raise ValueError(f"{what} is not in the local cache ({amount} from {origin}), and HF_HUB_OFFLINE is set")
        if self.mode == "yes":
            return
        ask = self.ask or (ask_on_terminal if _has_terminal() else None)
        if self.mode == "ask" and ask is not None:
            if what not in self.answers:
                extra = f"; {note}" if note else ""
                self.answers[what] = ask(f"{what}: {amount} from {origin} into {folder}{extra}. Download? [y/N] ")
            if self.answers[what]:
                return
        raise ValueError(f"{what} is not in the local cache; --download yes fetches it ({amount} from {origin})")


NO_DOWNLOADS = Downloads("no")


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in ("1", "true", "yes", "on")


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
