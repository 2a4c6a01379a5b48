"""The map of a chosen word over a drawing's steps: how much of each place was looked up at the word, and what that is worth."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor

from ldm_core.pipeline import LatentDiffusion
from ldm_core.sampling import State
from ldm_core.word_maps import Word, check_watchable, followed, words_of_prompt

from .film import film
from .trajectory_view import arrow_map

# By the world that a model was made for: what `python -m evaluation.word_maps` measured of such maps.
WORTH = {
    "everyday": "Measured on real drawings, nine maps of ten have their maximum inside the thing, by chance three of ten; a map "
    "and its thing overlap by 0.45 to a measure of 1, by chance 0.13.",
}
UNMEASURED = "Whether the maps of this model point at the thing was not measured."


@dataclass
class WordsSeen:
    """The words of one drawing that are followed, and their maps (words, h, w) of each step; or in words why there are none."""

    words: list[Word] = field(default_factory=list)
    why_not: str = ""
    maps: list[Tensor | None] = field(default_factory=list)

    @classmethod
    def of(cls, model: LatentDiffusion, prompt: str, guidance_scale: float) -> WordsSeen:
        """The words that can be followed when the model draws a prompt."""
        if guidance_scale == 0:
            return cls(why_not="At w = 0 the prompt is not read, so no word is looked up.")
        try:
            check_watchable(model.denoiser)
            return cls(words_of_prompt(model.conditioner, model.in_own_words(prompt).text))
        except ValueError as error:
            return cls(why_not=f"No word can be followed here: {error}.")

    def noting(self, model: LatentDiffusion, states: Iterator[State]) -> Iterator[State]:
        """The states as they come, the words' maps noted beside them."""
        if not self.words:
            yield from states
            return
        for state, maps in followed(model, self.words, states):
            self.maps.append(None if maps is None else maps.float().cpu())
            yield state

    def html(self, steps: Sequence[int]) -> str:
        """A film of each word over steps, of which a list chooses the one that is shown (page.js); empty without any."""
        known = next((maps for maps in self.maps if maps is not None), None)
        if known is None:
            return ""
        shown = [torch.zeros_like(known) if (maps := self.maps[step]) is None else maps for step in steps]
        names, at = [word.text for word in self.words], self._first()
        films = "".join(
            f'<div class="word"{"" if place == at else " hidden"}>'
            f"{film([_map(maps[place]) for maps in shown], f'the map of {name}', True)}</div>"
            for place, name in enumerate(names)
        )
        choices = "".join(
            f"<option{' selected' if place == at else ''}>{html.escape(name)}</option>"
            for place, name in enumerate(names)
        )
        return f'<div class="words">{films}<label>The map of the word <select>{choices}</select></label></div>'

    def note(self, world: str) -> str:
        """What the maps are worth for a model of that world, or why there are none, as a paragraph."""
        if not self.words:
            return f"<p>{html.escape(self.why_not)}</p>"
        return f"<p>The map of a word is bright where the network looks it up most. {WORTH.get(world, UNMEASURED)}</p>"

    def _first(self) -> int:
        """The place of the word that is shown first: the longest, which is seldom a small one."""
        return max(range(len(self.words)), key=lambda place: len(self.words[place].text))


def _map(found: Tensor) -> Image.Image:
    """One word's map (h, w) as a picture: black where it is looked up least, pale yellow where most."""
    return arrow_map((found - found.min())[None])
