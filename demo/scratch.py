"""Files for visitors to keep: each in a folder of its own, gone after half an hour, all gone when the page closes."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from pathlib import Path

AGE = 1800  # seconds


class Scratch:
    """A folder under the system's temporary one."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ldm-demo-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name: str) -> Path:
        """Where to write a file of a name; older ones are deleted on the way."""
        for folder in self.folder.glob("keep-*"):
            if time.time() - folder.stat().st_mtime > AGE:
                shutil.rmtree(folder, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix="keep-", dir=self.folder)) / name

    def lasting(self, name: str) -> Path:
        """Where to write a file that stays as long as the page does."""
        (self.folder / "lasting").mkdir(exist_ok=True)
        return self.folder / "lasting" / name
