"""gradio's page with a guard around it, whose events fail in a sentence and never in a traceback."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.exceptions import ComponentProcessingError, InvalidPathError
from starlette.middleware import Middleware

from .alias import Alias
from .answers import FULL, disk_is_full, names_a_path
from .guard import Doors, Guard
from .leavers import forgive
from .openings import Openings
from .sharing import Sharing
from .uploads import NO_PICTURE

log = logging.getLogger("demo")


class Page(gr.Blocks):
    """`doors` and `openings` are set once, before the page is launched."""

    doors: Doors = Doors()
    openings: Openings

    @property
    def app(self) -> Any:
        """The application, as gradio makes it anew for every launch; the guard stands before all of its own layers."""
        return self._guarded

    @app.setter
    def app(self, served: Any) -> None:
        self.doors.upload_folder = Path(served.uploaded_file_dir)
        served.user_middleware.append(Middleware(Sharing))
        served.user_middleware.append(
            Middleware(Alias, folder=served.uploaded_file_dir)
        )  # within all of gradio's layers
        served.add_middleware(Guard, doors=self.doors)
        self._guarded = served

    def guarded_by(self, doors: Doors) -> Page:
        """The page, behind these doors, which are told of its events."""
        takes: dict[int | str, set[int]] = {}
        for index, event in self.fns.items():
            asked = {len(event.inputs), sum(not getattr(block, "skip_api", False) for block in event.inputs)}
            takes[index] = asked
            if isinstance(event.api_name, str):
                takes[event.api_name] = asked
        doors.takes, doors.places.waits = takes, lambda event: event in self._queue.event_ids_to_events
        self.doors = doors
        return self

    def queue(self, *given: Any, **named: Any) -> Page:
        """As gradio's, but visitors may leave at any moment."""
        super().queue(*given, **named)
        forgive(self._queue)
        return self

    async def process_api(self, block_fn: Any, inputs: list, *given: Any, **named: Any) -> dict[str, Any]:
        """An event's outputs. What fails is a gr.Error without a traceback; of a validator, its verdict."""
        try:
            return await super().process_api(block_fn, inputs, *given, **named)
        except Exception as error:  # noqa: BLE001  # the edge: gradio and the libraries raise what they like
            event = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
            failure = in_words(error, event)
            if event._id != -1:  # a validator's index; gradio would print what it raises, inputs and all
                raise failure from None
            fine = [gr.validate(True, "")] * (len(event.inputs) - 1)
            return {"data": [gr.validate(False, failure.message), *fine]}


def in_words(error: Exception, event: Any) -> gr.Error:
    """What went wrong, for the visitor; one line for the log where it is not the visitor's doing."""
    if isinstance(error, gr.Error):
        error.print_exception = False
        if not names_a_path(str(error.message)):
            return error
        words = NO_PICTURE if any(isinstance(block, gr.Image) for block in event.inputs) else "There is no such file."
    elif disk_is_full(error):
        words = FULL
    elif isinstance(error, InvalidPathError):
        words = "There is no such upload here: upload the picture first."
    elif isinstance(error, ComponentProcessingError):
        pictures = any(isinstance(block, gr.Image) for block in event.inputs)
        words = NO_PICTURE if pictures else "A value is not of the kind that this input takes."
    else:
        log.warning("event %s: %s", ascii(event.api_name or event._id), type(error).__name__)
        words = "This cannot be done with these values."
    return gr.Error(words, print_exception=False)
