"""A GPU that is lent for the length of a drawing, as on a Space of the kind ZeroGPU, by the package `spaces`; where that is not
installed, or not on such a Space, drawings run where the model is.

`spaces` runs what it decorates in a forked process, and hands arguments and frames over by pickle. So what is decorated is the
generator behind each tab, when its module is imported; the session, which has locks and models, goes along by the fork.
"""

from __future__ import annotations

import functools
import html
import importlib
from collections.abc import Callable, Generator
from typing import Any

import gradio as gr

SECONDS = 60  # that a drawing may hold the GPU; a longer one is ended by the Space
_sessions: list[Any] = []  # the page's own, which a fork inherits


def lent(draw: Callable[..., Generator[tuple, None, None]]) -> Callable[..., Generator[tuple, None, None]]:
    """A generator function of a session and of arguments that can be pickled, run where the GPU is."""
    try:
        lend = importlib.import_module("spaces").GPU
    except ImportError:
        return draw

    def inside(*given: object) -> Generator[tuple, None, None]:
        try:
            yield from draw(_sessions[-1], *given)
        except (
            ValueError,
            FloatingPointError,
            MemoryError,
        ) as error:  # `spaces` hands over the words of gr.Error alone
            raise gr.Error(html.escape(str(error)), title="Not drawn", print_exception=False) from None

    functools.update_wrapper(inside, draw, assigned=("__name__", "__doc__"))
    del inside.__wrapped__  # type: ignore[attr-defined]  # gradio and `spaces` would take its signature
    on_gpu = lend(duration=SECONDS)(inside)

    @functools.wraps(draw)
    def outside(session: object, *given: object) -> Generator[tuple, None, None]:
        _sessions[:] = [session]
        yield from on_gpu(*given)

    return outside
