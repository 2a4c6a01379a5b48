"""About: what is kept and for how long, the licence, and the card of every model on the page."""

from __future__ import annotations

import functools
from pathlib import Path

import gradio as gr

from .. import controls
from ..cards import card_html, cards
from ..session import Session

KEPT = (
    "### What is kept, and for how long\n"
    "| | where | until |\n| --- | --- | --- |\n"
    "| a photo that you upload | a folder of this server | deleted within half an hour, and when the page stops |\n"
    "| pictures, archives and tables made for you | the same folder | the same |\n"
    "| your prompts and settings | memory, while they are drawn; inside the PNG that you take with you | the drawing is done |\n"
    '| pictures that you drew before, small, with their settings | your own browser | you press "Forget them", or clear its data |\n'
    "| your address | memory, to count requests | an hour later |\n\n"
    "No prompt and no picture is written to a log, nothing is sent to anybody, and nothing is learned from what you draw. "
    "Who runs this server may stand behind a proxy that keeps a log of its own."
)
LICENCE = (
    "### Licence\nThe program and the models that ship with it: MIT. Other models come under the licences of their authors; "
    "their cards say which. What you draw is yours."
)
SHIPPED = (
    " The photographs among the samples are by Stéfan van der Walt (the cat) and Rachel Michetti (the coffee), CC0."
)
PHOTOGRAPHS = " The photographs among the samples are not part of it: whoever runs this server has put them there."
SHORT = (
    "What you draw and upload is seen by nobody else and deleted within half an hour. Licence, model cards, what is kept: "
    "in the tab About."
)


def build(session: Session, head: gr.Markdown) -> None:
    """The tab."""
    known = cards(session)
    first = next(iter(known))
    gr.Markdown(KEPT, elem_classes="what", elem_id="kept-and-how-long")
    gr.Markdown(LICENCE + (PHOTOGRAPHS if session.photographs else SHIPPED), elem_classes="what")
    gr.Markdown("### Model cards\nThe data, the recipe, every figure and the command that gives it.")
    chosen = gr.Radio(list(known), value=first, label="Model")
    card = gr.HTML(card_html(known[first]), label="Model card", elem_id="card")
    controls.as_given(chosen)
    chosen.input(functools.partial(shown, known), chosen, card, **controls.QUIET)


def shown(known: dict[str, Path | None], name: object) -> str:
    """A card by its model's name."""
    return card_html(known[name]) if isinstance(name, str) and name in known else "There is no such card here."
