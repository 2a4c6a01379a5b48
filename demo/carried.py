"""Prompt and settings that go with a visitor from tab to tab and are there again after a reload. They stay in the browser
(kept.js), for as long as its tab is open."""

from __future__ import annotations

import json
from collections.abc import Sequence

import gradio as gr

from . import controls
from .session import Session


def carry(names: Sequence[str], boxes: Sequence[gr.components.Component], model: str = "") -> gr.Tab:
    """Notes a tab's inputs under names that tabs share, and fills them when the tab is opened; gives the tab. `seeds` are the
    other tabs' `seed` where they are one. A tab that draws with one model alone names it, and takes no other's settings."""
    tab = tab_of(boxes[0])
    defaults = [getattr(box, "value", None) for box in boxes]
    note, fill = (
        f"(...values) => window.form.{action}({', '.join(map(json.dumps, given))}, values)"
        for action, given in (("note", (names, model, defaults)), ("fill", (names, model)))
    )
    gr.on([box.change for box in boxes], None, list(boxes), None, js=note, **controls.QUIET)  # type: ignore[attr-defined]  # every input has it
    tab.select(None, list(boxes), list(boxes), js=fill, **controls.QUIET)
    return tab


def tab_of(block: gr.blocks.Block) -> gr.Tab:
    """The tab that a component stands in."""
    above = block.parent
    while not isinstance(above, gr.Tab):
        assert above is not None, "every input of the page stands in a tab"
        above = above.parent
    return above


def name_model(session: Session, tab: gr.Tab, head: gr.Markdown, model: gr.Dropdown | None = None) -> None:
    """The header names the model that the open tab draws with: the chosen one, or the page's own."""

    def named(name: str = session.model.spec.reference) -> object:
        spec = session.specs.get(name)
        return gr.skip() if spec is None else controls.header(spec, session.model)

    tab.select(named, model, head, **controls.QUIET)
