"""What gradio's queue keeps of each visitor, as a mapping that stands that the visitor has gone meanwhile.

gradio takes a leaver's entry away while an event of theirs may still be about to be told something; it would raise
KeyError then, and print a traceback.
"""

from __future__ import annotations

from asyncio import Queue as Messages

from gradio.queueing import Queue
from gradio.utils import LRUCache

KEPT = 2_000  # visitors, as gradio has it: of more the longest known are forgotten


class MessagesOf(LRUCache):
    """Messages that wait to be sent, by session; those to a session that is not here go nowhere."""

    def __missing__(self, session: str) -> Messages:
        return Messages()

    def __delitem__(self, session: str) -> None:
        if session in self:
            super().__delitem__(session)


class EventsOf(dict[str, set[str]]):
    """Events that have not ended, by session; of a session that is not here there are none."""

    def __missing__(self, session: str) -> set[str]:
        return set()


def forgive(queue: Queue) -> None:
    """Have a queue, into which nobody has asked yet, let visitors go at any moment."""
    queue.pending_messages_per_session = MessagesOf(KEPT)
    queue.pending_event_ids_session = EventsOf()
