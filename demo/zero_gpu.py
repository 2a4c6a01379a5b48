"""A GPU that is lent for the length of a drawing, as on a Space of the kind ZeroGPU, by the package `spaces`; where that is not
installed, or not on such a Space, drawings run where the model is.

`spaces` runs what it decorates in a forked process, and hands arguments and frames over by pickle. So what is decorated is the
generator behind each tab, when its module is imported; the session, which has locks and models, goes along by the fork.
"""

from __future__ import annotations

import copy
import functools
import html
import importlib
from collections.abc import Callable, Generator
from typing import Any

import gradio as gr

Drawing = Callable[..., Generator[tuple, None, None]]
SECONDS = 60  # that a drawing may hold the GPU; a longer one is ended by the Space
_sessions: list[Any] = []  # the page's own, which a fork inherits


def lent(draw: Drawing) -> Drawing:
    """A generator function run where the GPU is. Its first argument is the session, or an object that has one as `session`,
    whose other attributes come back with each frame; all else can be pickled."""
    try:
        lend = importlib.import_module("spaces").GPU
    except ImportError:
        return draw

    def inside(owner: Any, *given: object) -> Generator[tuple[tuple, dict[str, Any]], None, None]:
        first = _sessions[-1]
        if owner is not None:
            owner.session, first = first, owner
        try:
            for frame in draw(first, *given):
                yield frame, {} if owner is None else _beside_session(owner)
        except (
            ValueError,
            FloatingPointError,
            MemoryError,
        ) as error:  # `spaces` hands over the words of gr.Error alone
            raise gr.Error(html.escape(str(error)), title="Not drawn", print_exception=False) from None

    inside.__name__ = draw.__name__
    on_gpu = lend(duration=SECONDS)(inside)

    @functools.wraps(draw)
    def outside(first: Any, *given: object) -> Generator[tuple, None, None]:
        session = getattr(first, "session", first)
        _sessions[:] = [session]
        owner = None
        if session is not first:
            owner = copy.copy(first)
            owner.session = None
        for frame, changed in on_gpu(owner, *given):
            vars(first).update(changed)
            yield frame

    return outside


def _beside_session(owner: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(owner).items() if name != "session"}
