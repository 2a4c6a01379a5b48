"""Who still listens for an answer: work for nobody is not done."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qs

KEPT = 3600.0  # seconds that a name is remembered


class Listeners:
    """Streams of answers that are open, by the name of the browser tab or of the script's event. gradio itself forgets the
    requests of a visitor who has listened and left; one who joins and never listens it would serve."""

    PATIENCE = 20.0  # seconds between asking and listening, or between two streams of a slow line
    BEHIND = 8  # messages that wait for a line which is quick enough, at the most: a short drawing has fewer in all

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open: Counter[str] = Counter()
        self.heard: dict[str, float] = {}  # when each was last known to be there
        self.tabs: dict[str, str] = {}  # of events, whose tab's stream carries their answers
        self.waiting: Callable[[str], int] = lambda tab: 0  # messages to a tab that its line has not taken yet

    def joined(self, event: str, tab: str) -> None:
        """A request has become an event, of a tab or of a script, which has no name but the event's."""
        now = time.monotonic()
        with self.lock:
            for name in [name for name, then in self.heard.items() if now - then > KEPT and not self.open[name]]:
                self.heard.pop(name), self.open.pop(name, None)
            self.tabs = {name: tab for name, tab in self.tabs.items() if tab in self.heard}
            if tab:
                self.tabs[event] = tab
            self.heard[tab or event] = now

    def opened(self, name: str) -> str:
        """A stream is open, for a tab or for one event; gives the name that `closed` wants."""
        with self.lock:
            name = self.tabs.get(name, name)
            self.open[name] += 1
            return name

    def closed(self, name: str) -> None:
        with self.lock:
            self.open[name] -= 1
            if name in self.heard:
                self.heard[name] = time.monotonic()

    def gone(self, name: str) -> bool:
        """Whether nobody has listened under a known name for a while."""
        with self.lock:
            then = self.heard.get(name)
            return then is not None and self.open[name] <= 0 and time.monotonic() - then > self.PATIENCE

    def behind(self, tab: str) -> bool:
        """Whether a tab's line takes less than it is sent: it would see each preview later than the one before."""
        return self.waiting(tab) > self.BEHIND


def stream_of(scope: dict) -> str:
    """Whose answers a request streams: a browser tab's or a script's event; empty where it streams none."""
    path = scope["path"].rstrip("/")
    if path.endswith("/queue/data"):
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        return asked.get("session_hash", [""])[0]
    return path.rpartition("/")[2] if "/call/" in path else ""


def tab_of(body: bytes) -> str:
    """The browser tab that a request to join names; a script's has none."""
    tab = json.loads(body).get("session_hash")
    return tab if isinstance(tab, str) else ""
