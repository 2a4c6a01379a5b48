"""The line to the device: its order, ghosts in it, Stop; and whoever is refused again and again."""

from __future__ import annotations

import asyncio
import threading
import time

import gradio as gr
import pytest

from demo import app, text_to_image, turns
from demo.lane import Lane, Stops
from demo.listeners import Listeners
from demo.places import Patience
from demo.session import Session


def test_the_lane_serves_in_the_order_of_asking_and_each_knows_its_place():
    lane = Lane()
    first, second, third = (lane.join() for _ in range(3))
    assert [lane.place(each) for each in (first, second, third)] == [0, 1, 2]
    assert not lane.wait(second, 0) and lane.wait(first, 0) and lane.locked()
    assert [lane.place(each) for each in (second, third)] == [1, 2]
    served = []
    waiting = threading.Thread(target=lambda: served.append(lane.wait(second, 30)))
    waiting.start()
    lane.leave(first)
    waiting.join(30)
    assert served == [True] and not lane.wait(third, 0) and lane.place(third) == 1
    lane.leave(third), lane.leave(second)
    assert not lane.locked() and not lane.line


def test_nobody_waits_behind_one_that_has_stopped_asking(monkeypatch):
    lane = Lane()
    ghost, honest = lane.join(), lane.join()
    assert not lane.wait(honest, 0)
    lane.line[ghost] -= Lane.PATIENCE + 1
    assert lane.wait(honest, 0)
    lane.leave(honest)
    assert lane.wait(ghost, 0), "it may still come back, to the end of the line"


def test_stop_ends_what_began_before_it_and_nothing_later():
    stops = Stops()
    assert not stops.press("tab"), "nothing runs"
    early = stops.begin("tab")
    assert stops.press("tab") and stops.stopped("tab", early) and not stops.stopped("other", early)
    time.sleep(0.001)
    late = stops.begin("tab")
    assert not stops.stopped("tab", late)
    assert stops.end("tab", early) and not stops.end("tab", late) and not stops.pressed


class Request:
    session_hash = "tab"


def test_a_stopped_drawing_says_so_last_in_the_lane_and_in_the_line(tiny):
    session = Session(tiny)
    holder = session.lane.join()
    assert session.lane.wait(holder, 0)
    waiting = text_to_image.handler(session)("a house", steps=5, request=Request())
    assert "yours is next" in next(waiting)[1]
    assert turns.stopping(session)(Request()) != "" and [frame[1] for frame in waiting][-1].startswith("Stopped")
    session.lane.leave(holder)
    drawing = text_to_image.handler(session)("a house", steps=9, request=Request())
    next(drawing)
    turns.stopping(session)(Request())
    assert [frame[1] for frame in drawing] == ["Stopped; the last preview stays."] and not session.lane.locked()
    assert turns.stopping(session)(Request()).startswith("Stopped: nothing")


def frames_of(session, outputs, *frames, **given):
    return list(turns.in_lane(session, {}, outputs, lambda: (frame for frame in frames), Request(), **given))


def test_a_slow_line_is_sent_the_newest_of_what_has_come_meanwhile_and_a_quick_one_everything(tiny):
    session, same = Session(tiny), gr.skip()
    frames = [("one", "step 1", same), (same, "step 2", 7), ("three", "step 3", same), (same, "done", same)]
    assert frames_of(session, 3, *frames) == frames
    session.listeners.waiting = lambda tab: Listeners.BEHIND + (tab == "tab")
    assert frames_of(session, 3, *frames) == [("three", "done", 7)], "nothing that a later frame leaves is lost"
    backlog = iter([0, 9, 9, 0])
    session.listeners.waiting = lambda tab: next(backlog)
    assert frames_of(session, 3, *frames) == [frames[0], ("three", "done", 7)]


def test_stop_is_heard_and_said_on_a_slow_line_too(tiny):
    session = Session(tiny)
    session.listeners.waiting = lambda tab: 99

    def drawing():
        yield "one", "step 1"
        turns.stopping(session)(Request())
        yield "two", "step 2"
        pytest.fail("drawn on")

    found = list(turns.in_lane(session, {}, 2, drawing, Request(), "Stopped; the last preview stays."))
    assert found == [("one", "Stopped; the last preview stays.")] and not session.lane.locked()


def test_the_pages_own_queue_says_how_many_messages_wait(tiny):
    session = Session(tiny)
    page = app.build(session)
    assert not session.listeners.behind("tab")
    waiting = page._queue.pending_messages_per_session["tab"] = asyncio.Queue()
    for count in range(Listeners.BEHIND + 1):
        assert session.listeners.waiting("tab") == count and not session.listeners.behind("tab")
        waiting.put_nowait("a message")
    assert session.listeners.behind("tab") and not session.listeners.behind("other")


def test_the_line_is_told_in_words():
    assert turns.line_words(1, 0) == "Another picture is being drawn; yours is next."
    assert turns.line_words(4, 12.3) == "4 others are before you; yours begins by itself. Waiting for 12 s."


@pytest.mark.parametrize("refusals", [Patience.MANY - 1, Patience.MANY])
def test_who_is_refused_again_and_again_has_one_answer_at_a_time(refusals):
    patience = Patience()
    for _ in range(refusals):
        patience.refused("10.0.0.1")

    async def three():
        began = time.monotonic()
        await asyncio.gather(*(patience.pause("10.0.0.1") for _ in range(3)))
        mine, began = time.monotonic() - began, time.monotonic()
        await patience.pause("10.0.0.2")
        return mine, time.monotonic() - began

    mine, others = asyncio.run(three())
    assert (mine >= 3 * Patience.PAUSE) == (refusals == Patience.MANY) and others < Patience.PAUSE
