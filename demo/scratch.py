"""Files for visitors to keep: each in a folder of its own, gone after half an hour, all gone when the page closes."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
import time
from pathlib import Path

AGE = 1800  # seconds
EVERY = 30  # seconds between looks for old files


class Scratch:
    """A folder under the system's temporary one."""

    def __init__(self, every: float = EVERY) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ldm-demo-"))
        self.closed = threading.Event()
        atexit.register(self.close)
        threading.Thread(target=self._sweep, args=(every,), daemon=True).start()

    def _sweep(self, every: float) -> None:
        while not self.closed.wait(every):
            for folder in self.folder.glob("keep-*"):
                try:
                    if time.time() - folder.stat().st_mtime > AGE - every:
                        shutil.rmtree(folder, ignore_errors=True)
                except FileNotFoundError:
                    continue

    def path(self, name: str) -> Path:
        """Where to write a file of a name; deleted half an hour later at the latest."""
        return Path(tempfile.mkdtemp(prefix="keep-", dir=self.folder)) / name

    def lasting(self, name: str) -> Path:
        """Where to write a file that stays as long as the page does."""
        (self.folder / "lasting").mkdir(exist_ok=True)
        return self.folder / "lasting" / name

    def close(self) -> None:
        """Deletes all of it, whatever is still being written there."""
        self.closed.set()
        for _ in range(3):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                return
            time.sleep(0.1)
