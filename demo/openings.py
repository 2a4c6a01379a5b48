"""What tabs open with: finished results of their own settings, drawn once for all visitors."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from . import controls
from .lane import Lane

WAITING = '<div class="sweep empty">The first result is being drawn; it appears here by itself.</div>'
WORDS = "An example, drawn as the page began; yours takes its place."  # the status is the second of an event's outputs
log = logging.getLogger("demo")


@dataclass(frozen=True)
class Opening:
    """A result that is there when a tab is first opened: the outputs that it fills, and frames of which the last does so."""

    name: str
    outputs: Sequence[gr.components.Component]
    frames: Callable[[], Iterable[tuple]]
    words: str = WORDS
    read: bool = False  # from files alone: it comes before those that are drawn


class Openings:
    """Drawn one after another in the lane, like a visitor's, once the page is there; kept as long as it is."""

    PATIENCE = 10.0  # seconds that opening a tab waits for one; it is asked for again when the tab is opened again

    def __init__(self, lane: Lane):
        self.lane, self.begun = lane, False
        self.known: dict[str, Opening] = {}
        self.drawn: dict[str, tuple] = {}
        self.changed = threading.Condition()

    def offer(self, tab: gr.Tab, openings: Sequence[Opening]) -> None:
        """Fills a tab's outputs when a visitor first opens it."""
        for opening in openings:
            self.known[opening.name] = opening
            opened = gr.Checkbox(False, visible=False, label=f"opened {opening.name}")
            asked = (self._first_time(opening), opened, [opened, *opening.outputs])
            event = tab.select(*asked, **controls.QUIET)
            for _ in range(2):  # a slow machine is asked again
                event = event.then(*asked, **controls.QUIET)

    def of(self, name: str) -> tuple:
        """A result as long as its outputs; empty where it is not there, nor soon will be."""
        with self.changed:
            self.changed.wait_for(lambda: not self.begun or name in self.drawn, self.PATIENCE)
            return self.drawn.get(name, ())

    def draw(self, *names: str) -> threading.Thread:
        """Begins, in a thread that ends with the page; all of them where none is named."""
        self.begun = True
        ordered = sorted(names or self.known, key=lambda name: not self.known[name].read)
        thread = threading.Thread(target=self._draw_all, args=(ordered,), daemon=True)
        thread.start()
        return thread

    def _draw_all(self, names: Sequence[str]) -> None:
        for name in names:
            made = self._draw(self.known[name])
            with self.changed:
                self.drawn[name] = made
                self.changed.notify_all()

    def _draw(self, opening: Opening) -> tuple:
        ticket = self.lane.join()
        last: tuple[Any, ...] = ()
        try:
            while not self.lane.wait(ticket, 1.0):
                pass
            for frame in opening.frames():
                last = frame
            return (last[0], opening.words, *last[2 : len(opening.outputs)])
        except Exception as error:  # noqa: BLE001  # the page opens without it
            log.warning("opening %s: %s", opening.name, type(error).__name__)
            return ()
        finally:
            self.lane.leave(ticket)

    def _first_time(self, opening: Opening) -> Callable[[bool], list[Any]]:
        def filled(opened: bool) -> list[Any]:
            found = () if opened else self.of(opening.name)
            return [opened or bool(found), *(found or [gr.skip()] * len(opening.outputs))]

        return filled
