"""Visitors who leave while their event is about to be told something."""

from __future__ import annotations

import asyncio

import gradio as gr
import pytest
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Event
from gradio.server_messages import ProcessStartsMessage

from demo.leavers import KEPT, EventsOf, MessagesOf
from demo.page import Page


@pytest.fixture
def page():
    with Page() as page:
        box = gr.Textbox()
        box.submit(lambda text: text, box, box)
    return page.queue()


def test_what_is_said_to_a_visitor_who_has_gone_goes_nowhere(page):
    event = Event("gone", next(iter(page.fns.values())), None, "gone")
    page._queue.send_message(event, ProcessStartsMessage(eta=None))
    assert "gone" not in page._queue.pending_messages_per_session


def test_a_visitor_may_be_sent_away_twice_and_has_no_events_then(page):
    messages, events = page._queue.pending_messages_per_session, page._queue.pending_event_ids_session
    messages["here"] = asyncio.Queue()
    del messages["here"]
    del messages["here"]
    assert len(events["here"]) == 0 and "here" not in events and "here" not in messages


def test_who_is_still_here_gets_the_message(page):
    async def told() -> object:
        page._queue.pending_messages_per_session["here"] = asyncio.Queue()
        event = Event("here", next(iter(page.fns.values())), None, "here")
        page._queue.send_message(event, ProcessStartsMessage(eta=None))
        return await page._queue.pending_messages_per_session["here"].get()

    assert isinstance(asyncio.run(told()), ProcessStartsMessage)


def test_a_question_makes_a_visitor_known_to_the_queue(page):
    """gradio adds to what is kept by `if not in` and `[...]`, which must not meet the forgiving answers."""

    async def asked() -> None:
        page._queue.start()
        body = PredictBodyInternal(data=["x"], fn_index=next(iter(page.fns)), session_hash="here", request=None)
        await page._queue.push(body, None, None)

    asyncio.run(asked())
    assert (
        "here" in page._queue.pending_messages_per_session and len(page._queue.pending_event_ids_session["here"]) == 1
    )


def test_of_more_visitors_than_are_kept_the_longest_known_are_forgotten():
    messages = MessagesOf(KEPT)
    for number in range(KEPT + 1):
        messages[str(number)] = asyncio.Queue()
    assert len(messages) == KEPT and "0" not in messages and str(KEPT) in messages
    assert EventsOf()["0"] == set()
