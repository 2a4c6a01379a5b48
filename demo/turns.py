"""A visitor's turn on the device: checked before the queue, told the place in line, ended by Stop or by leaving."""

from __future__ import annotations

import contextlib
import html
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import gradio as gr

from ldm_core.sampling import State

from .answers import FULL, disk_is_full
from .session import Session

NOBODY = "Nobody has listened for this answer; ask again, and open its stream at once."
AT_ONCE = 25  # requests in line or being served; each has a thread of gradio's 40 for as long as it waits
WAIT = 1.0  # seconds between two words to a visitor in line
JUST_ASKED = 0.4  # seconds in which a drawing that was asked for has begun


def on_device(status: gr.Markdown) -> dict[str, Any]:
    """How an event that uses the device is queued: all at once, since the lane lets one at a time through and tells the
    others their place."""
    return {
        "concurrency_id": "device",
        "concurrency_limit": AT_ONCE,
        "show_progress": "hidden",
        "show_progress_on": [status],
    }


def validator(session: Session, problems: Callable[..., dict[str, str]], names: Sequence[str]) -> Callable[..., list]:
    """Runs on the server before the queue, for the page and for scripts alike; `problems` has words by the inputs' names,
    which `names` gives in the inputs' order."""

    def check(request: gr.Request, *values: object) -> list:
        found = problems(*values)
        if not found and (words := session.door.enter(*who(request))):
            found = {names[0]: words}
        return [gr.validate(name not in found, found.get(name, "")) for name in names]

    return check


def who(request: gr.Request | None) -> tuple[str, str]:
    """The browser tab of a request; its address is counted by the guard, which knows what still waits."""
    return (request.session_hash or "" if request is not None else ""), ""


def step_words(state: State, began: float) -> str:
    """How far a drawing that began then (perf_counter) has come."""
    left = (time.perf_counter() - began) / (state.step + 1) * (state.steps - state.step - 1)
    return f"Step {state.step + 1} of {state.steps}, {left:.1f} s left"


def stopping(session: Session) -> Callable[[gr.Request], Any]:
    """What a Stop button does: the drawing ends within a step, and says so itself; where there is none, this does."""

    def stop(request: gr.Request) -> Any:
        tab = who(request)[0]
        session.door.leave(tab, "", all_of_them=True)
        for pause in (JUST_ASKED, 0.0):
            if session.stops.press(tab):
                return gr.skip()
            time.sleep(pause)
        return "Stopped: nothing was being drawn any more."

    return stop


def in_lane(
    session: Session,
    problems: dict[str, str],
    outputs: int,
    draw: Callable[[], Generator[tuple, None, None]],
    request: gr.Request | None = None,
    stopped: str | Callable[[], tuple] = "Stopped.",
) -> Iterator[tuple]:
    """What draw() yields, one visitor at a time; place in line, Stop, problems and errors are said in words.

    The status is the second of an event's outputs. `stopped` is what it says when Stop has ended the drawing, or makes all
    outputs of what is done by then, still on the device. Where a visitor's line is slow, only the newest of what has come
    meanwhile is sent.
    """
    tab = who(request)[0]
    if problems:
        session.door.leave(tab, "")
        raise gr.Error(" ".join(problems.values()), title="Not drawn")
    ticket, began, ended = session.lane.join(), session.stops.begin(tab), False
    skipped, held = [gr.skip()] * (outputs - 2), ()
    try:
        for frame in _in_turn(session, ticket, tab, draw):
            if session.stops.stopped(tab, began):
                break
            held = newest(held, frame if isinstance(frame, tuple) else (gr.skip(), frame, *skipped))
            if not session.listeners.behind(tab):
                yield held
                held = ()
        ended = True
        if session.stops.end(tab, began):
            held = newest(held, (gr.skip(), stopped, *skipped) if isinstance(stopped, str) else stopped())
        if held:
            yield held
    except (ValueError, FloatingPointError, MemoryError) as error:
        raise gr.Error(html.escape(str(error)), title="Not drawn") from None
    except (RuntimeError, OSError) as error:  # what the device or the disk says; never a traceback on the page
        words = "The device is out of memory." if "memory" in str(error) else "The machine could not finish this."
        words = FULL if disk_is_full(error) else f"{words} Try a smaller request."
        raise gr.Error(words, title="Not drawn") from None
    finally:
        session.lane.leave(ticket)
        if not ended:
            session.stops.end(tab, began)
        session.door.leave(tab, "")


def newest(earlier: tuple[Any, ...], frame: tuple[Any, ...]) -> tuple[Any, ...]:
    """A frame, and where it leaves an output as it is what an earlier one made of it; that one may be empty."""
    skipping = [isinstance(part, dict) and part == gr.skip() for part in frame]
    return tuple(old if skips else new for skips, old, new in zip(skipping, earlier, frame)) if earlier else frame


def _in_turn(
    session: Session, ticket: object, tab: str, draw: Callable[[], Generator[tuple, None, None]]
) -> Iterator[tuple | str]:
    """Words about the place in line for as long as there is one, then what draw() yields, while somebody listens."""
    began = time.monotonic()
    while not session.lane.wait(ticket, 0.0):
        yield line_words(session.lane.place(ticket), time.monotonic() - began)
        if session.listeners.gone(tab):
            raise gr.Error(NOBODY, title="Not drawn")
        if session.lane.wait(ticket, WAIT):
            break
    if session.listeners.gone(tab):
        raise gr.Error(NOBODY, title="Not drawn")
    with contextlib.closing(draw()) as frames:
        for frame in frames:
            yield frame
            if session.listeners.gone(tab):
                raise gr.Error(NOBODY, title="Not drawn")


def line_words(place: int, waited: float) -> str:
    """To a visitor whose turn comes after so many others'."""
    nearly, further = (
        "Another picture is being drawn; yours is next.",
        f"{place} others are before you; yours begins by itself.",
    )
    where = nearly if place <= 1 else further
    return f"{where} Waiting for {waited:.0f} s." if waited >= 1 else where
