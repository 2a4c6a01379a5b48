"""The one lane to the device, in the order of asking, and who has pressed Stop."""

from __future__ import annotations

import threading
import time
from collections import Counter


class Lane:
    """A lock whose waiters know their place. Each comes back to ask at least every few seconds; one that does not any more
    (its tab was closed at a bad moment) is passed over, so that nobody waits behind a ghost."""

    PATIENCE = 60.0  # seconds

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.line: dict[object, float] = {}  # by ticket, when it last asked; the first in the line is served next
        self.holder: object | None = None

    def locked(self) -> bool:
        """Whether somebody is being served."""
        return self.holder is not None

    def join(self) -> object:
        """A ticket, at the end of the line."""
        ticket = object()
        with self.changed:
            self.line[ticket] = time.monotonic()
        return ticket

    def place(self, ticket: object) -> int:
        """How many are served before this one: those ahead in the line, and the one being served."""
        with self.changed:
            ahead = list(self.line).index(ticket) if ticket in self.line else len(self.line)
            return ahead + self.locked()

    def wait(self, ticket: object, seconds: float) -> bool:
        """Whether it is this one's turn within so many seconds; it then holds the lane until it leaves."""
        ends = time.monotonic() + seconds
        with self.changed:
            while not self._served(ticket):
                left = ends - time.monotonic()
                if left <= 0:
                    return False
                self.changed.wait(left)
            return True

    def _served(self, ticket: object) -> bool:
        now = time.monotonic()
        self.line[ticket] = now
        for other in [other for other, asked in self.line.items() if now - asked > self.PATIENCE]:
            del self.line[other]
        if self.holder is None and next(iter(self.line)) is ticket:
            del self.line[ticket]
            self.holder = ticket
        return self.holder is ticket

    def leave(self, ticket: object) -> None:
        """Out of the line, or of the lane."""
        with self.changed:
            self.line.pop(ticket, None)
            if self.holder is ticket:
                self.holder = None
            self.changed.notify_all()


class Stops:
    """Stop ends a drawing from within: the drawing itself says so last, and no word of it can come later than that."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running: Counter[str] = Counter()  # drawings of a tab, waiting ones among them
        self.pressed: dict[str, float] = {}

    def begin(self, tab: str) -> float:
        """A drawing of a tab begins; gives the time, which `stopped` wants."""
        with self.lock:
            self.running[tab] += 1
        return time.monotonic()

    def stopped(self, tab: str, began: float) -> bool:
        """Whether Stop was pressed since."""
        return self.pressed.get(tab, -1.0) >= began

    def end(self, tab: str, began: float) -> bool:
        """A drawing of a tab is over; whether Stop was pressed before it was."""
        with self.lock:
            self.running[tab] -= 1
            stopped = self.stopped(tab, began)
            if self.running[tab] <= 0:
                del self.running[tab]
                self.pressed.pop(tab, None)
            return stopped

    def press(self, tab: str) -> bool:
        """Whether a drawing of the tab was running, which will say that it has stopped."""
        with self.lock:
            if self.running[tab] > 0:
                self.pressed[tab] = time.monotonic()
                return True
            del self.running[tab]
            return False
