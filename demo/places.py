"""Counts, for limits that hold for an address and for all visitors together."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable


class Places:
    """Places in a queue. One is held from the moment of asking, so that many who ask at once are all counted; later by the
    event that it became, for as long as the queue itself knows that event: a stopped one is free at once, and one that
    nobody listens to is still counted. Called from the server's event loop alone."""

    def __init__(self, in_all: int, per_address: int, waits: Callable[[str], bool] = lambda event: False):
        self.in_all, self.per_address, self.waits = in_all, per_address, waits
        self.held: dict[object, tuple[str, str]] = {}  # by ticket: the address, and the event or ""

    def enter(self, address: str) -> object | str:
        """A ticket; or in words why not."""
        self.held = {
            ticket: (who, event) for ticket, (who, event) in self.held.items() if not event or self.waits(event)
        }
        counts = Counter(who for who, _ in self.held.values())
        if counts[address] >= self.per_address:
            return "You have several requests waiting already; let them finish first."
        if len(self.held) >= self.in_all:
            return f"Queue is full: {self.in_all} requests wait or are being served. Try again in a moment."
        ticket = object()
        self.held[ticket] = (address, "")
        return ticket

    def became(self, ticket: object, event: str) -> None:
        """The event that a request has become; an empty one gives the place back."""
        address, _ = self.held.pop(ticket)
        if event:
            self.held[ticket] = (address, event)


class Allowance:
    """Bytes that may be kept for an address and for all, over the time that files are kept. A small file counts as LEAST:
    thousands of them fill folders too, and are counted one by one."""

    LEAST = 100_000  # bytes

    def __init__(self, per_address: int, in_all: int, seconds: float):
        self.per_address, self.in_all, self.seconds = per_address, in_all, seconds
        self.kept: deque[tuple[float, str, int]] = deque()

    def take(self, address: str, size: int) -> str:
        """Empty, and counted; or in words why not."""
        now, size = time.monotonic(), max(size, self.LEAST)
        while self.kept and now - self.kept[0][0] > self.seconds:
            self.kept.popleft()
        if sum(size for _, who, size in self.kept if who == address) + size > self.per_address:
            return f"You have uploaded {self.per_address // 10**6} MB already; try again when they are deleted."
        if sum(size for _, _, size in self.kept) + size > self.in_all:
            return "The visitors' uploads have filled their place; try again later."
        self.kept.append((now, address, size))
        return ""


class Patience:
    """Whoever is refused again and again waits a little before the next answer, and has one answer at a time, so that others
    have the server. Called from the server's event loop alone."""

    MANY, WITHIN, PAUSE = 30, 10.0, 0.05  # refusals, seconds, seconds

    def __init__(self) -> None:
        self.refusals: dict[str, deque[float]] = {}
        self.turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def refused(self, address: str) -> None:
        """One more request of an address was turned away."""
        now = time.monotonic()
        self.refusals.setdefault(address, deque(maxlen=self.MANY)).append(now)
        for other in [other for other, times in self.refusals.items() if now - times[-1] > self.WITHIN]:
            self.refusals.pop(other), self.turns.pop(other, None)

    async def pause(self, address: str) -> None:
        """Before a request of an address is looked at."""
        times = self.refusals.get(address)
        if times is not None and len(times) == self.MANY and time.monotonic() - times[0] < self.WITHIN:
            async with self.turns[address]:
                await asyncio.sleep(self.PAUSE)
