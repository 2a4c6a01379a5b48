"""Requests that wait are drawn together: one lane to the device, as many pictures in each turn as are there."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from torch import Tensor

from ldm_core.pipeline import LatentDiffusion
from ldm_core.settings import SamplingSettings

TOGETHER = 8  # pictures in one turn: guided, 16 rows of the network
GATHER = 0.01  # seconds that the first of a turn waits for others, little beside any picture


@dataclass(frozen=True)
class Wanted:
    """One picture that is waited for, (3, H, W) in [0, 1]."""

    prompt: str
    seed: int
    settings: SamplingSettings
    picture: Future[Tensor] = field(default_factory=Future)


@dataclass
class Counts:
    """What the lane has done so far."""

    pictures: int = 0
    turns: int = 0
    seconds: float = 0.0  # of drawing


class Batcher:
    """A thread draws what is asked for, turn by turn. A failure is that of its turn's requests, and the next turn goes on."""

    def __init__(self, model: LatentDiffusion, together: int = TOGETHER):
        self.model, self.together, self.counts = model, together, Counts()
        self.waiting: queue.Queue[Wanted | None] = queue.Queue()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def ask(self, wanted: Wanted) -> Future[Tensor]:
        """Its picture, when its turn has come."""
        self.waiting.put(wanted)
        return wanted.picture

    def close(self) -> None:
        """After what waits is drawn."""
        self.waiting.put(None)
        self.thread.join()

    def _work(self) -> None:
        while (first := self.waiting.get()) is not None:
            turn = [first, *self._others()]
            asked = [wanted for wanted in turn if wanted.picture.set_running_or_notify_cancel()]
            if asked:
                self._draw(asked)

    def _others(self) -> list[Wanted]:
        """Those that join the first."""
        found: list[Wanted] = []
        ends = time.monotonic() + GATHER
        while len(found) + 1 < self.together:
            try:
                other = self.waiting.get(timeout=max(0.0, ends - time.monotonic()))
            except queue.Empty:
                break
            if other is None:
                self.waiting.put(None)  # the end comes after this turn
                break
            found.append(other)
        return found

    def _draw(self, asked: Sequence[Wanted]) -> None:
        began = time.monotonic()
        try:
            pictures = self.model.sample(
                [wanted.prompt for wanted in asked],
                [wanted.seed for wanted in asked],
                settings=[wanted.settings for wanted in asked],
            )
        except Exception as error:  # noqa: BLE001  # whatever comes is what these requests are told
            for wanted in asked:
                wanted.picture.set_exception(error)
            return
        self.counts.pictures += len(asked)
        self.counts.turns += 1
        self.counts.seconds += time.monotonic() - began
        for wanted, picture in zip(asked, pictures):
            wanted.picture.set_result(picture)
