"""Word maps: where in a picture each word of its prompt was looked up (DAAM; Tang et al. 2022, arXiv 2210.04885).

Of every step and every cross-attention of the U-Net, the attention that each place pays to a word's tokens, averaged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import watched
from .checks import shown
from .conditioning import Conditioner
from .denoisers import Denoiser, UnetDenoiser
from .sampling import State
from .settings import FIELDS, SamplingSettings

if TYPE_CHECKING:
    from .pipeline import LatentDiffusion

COLD, HOT = (0.02, 0.03, 0.25), (1.0, 0.85, 0.10)  # of the heat: no attention, and the most of the word's map


@dataclass(frozen=True)
class Word:
    """A word of a prompt and the places of its tokens."""

    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class WordMaps:
    """A picture and its prompt's words, each with where it was looked up.

    A map's values are shares of attention: over all tokens of the prompt, start and end among them, they sum to 1 at every
    place; a word of several tokens has their mean.
    """

    picture: Tensor  # (3, H, W) in [0, 1]: `sample`'s own, to the bit
    words: tuple[str, ...]
    steps: Tensor  # (S, words, h, w), a latent's size: of each denoising step, the noisiest first
    times: tuple[float, ...]  # t of each step

    @property
    def maps(self) -> Tensor:
        """(words, h, w): the mean over steps."""
        return self.steps.mean(0)

    def index(self, word: str) -> int:
        """The place of a word, its first where it occurs again; ValueError where the prompt has it not."""
        if word not in self.words:
            raise ValueError(f"word must be one of {', '.join(self.words)}, got {shown(word)}")
        return self.words.index(word)

    def heat(self, word: str | int, step: int | None = None) -> Tensor:
        """The picture with a word's map over it, (3, H, W) in [0, 1]: dark blue where it was looked up least, yellow where
        most; of one step, or of all."""
        maps = self.maps if step is None else self.steps[step]
        found = maps[self.index(word) if isinstance(word, str) else word]
        return heat(self.picture, found)


def heat(picture: Tensor, found: Tensor) -> Tensor:
    """A map (h, w) over a picture (3, H, W) in [0, 1], from the map's least to its most."""
    large = at_size(found[None], *picture.shape[1:])[0]
    share = (large - large.min()) / (large.max() - large.min()).clamp(min=1e-12)
    cold, hot = (torch.tensor(colour).view(3, 1, 1) for colour in (COLD, HOT))
    return (0.5 * picture + 0.5 * (cold + share * (hot - cold))).clamp(0, 1)


def at_size(maps: Tensor, height: int, width: int) -> Tensor:
    """Maps (N, h, w) at a picture's size (N, height, width), by bilinear interpolation."""
    return F.interpolate(maps[None], (height, width), mode="bilinear", align_corners=False)[0]


def word_maps(
    model: LatentDiffusion, prompt: str, seed: int, settings: SamplingSettings | None = None, **overrides: Any
) -> WordMaps:
    """Draw a picture and keep its word maps; see LatentDiffusion.word_maps."""
    check_watchable(model.denoiser)
    given = {name: value for name, value in overrides.items() if name in FIELDS}
    if model.resolve(settings, **given).guidance.scale == 0:
        raise ValueError("guidance_scale 0 draws without the prompt: its words are looked up nowhere")
    found = words_of_prompt(model.conditioner, prompt)
    steps, times = [], []
    for state, maps in followed(model, found, model.denoise(prompt, seed, settings=settings, **overrides)):
        if maps is not None:
            steps.append(maps)
            times.append(state.t)
        latent = state.latent
    picture = model.decode(latent)[0]
    return WordMaps(picture, tuple(word.text for word in found), torch.stack(steps).cpu(), tuple(times))


def followed(
    model: LatentDiffusion, words: Sequence[Word], states: Iterable[State]
) -> Iterator[tuple[State, Tensor | None]]:
    """The states of one picture as `denoise` gives them, each with its words' maps (words, h, w); None where no network ran,
    as in the first step of some guidance rules. As long as it runs torch runs the network."""
    with model.denoiser.by_torch(), watched(model.denoiser.network) as maps:
        for state in states:
            yield state, of_words(maps.at_size(*state.latent.shape[2:]), words) if maps.kept else None
            maps.clear()


def check_watchable(denoiser: Denoiser) -> None:
    """ValueError in one line for a network whose words cannot be followed."""
    if not isinstance(denoiser, UnetDenoiser):
        kind = type(denoiser.network).__name__
        raise ValueError(f"word maps need a U-Net's cross-attention; a {kind} attends to words and picture as one")
    if denoiser.is_empty:
        raise ValueError(
            "word maps need a network of torch, and the model is an export: load the one that it was made of"
        )
    if denoiser.compiled:
        raise ValueError("word maps need a network that is not compiled: load the model without `compiled`")


def of_words(tokens: Tensor, words: Sequence[Word]) -> Tensor:
    """Maps of tokens (T, h, w) -> of words (words, h, w), each the mean of its tokens'."""
    return torch.stack([tokens[list(word.tokens)].mean(0) for word in words])


def words_of_prompt(conditioner: Conditioner, prompt: str) -> list[Word]:
    """The words of a prompt that the text encoder reads, as they are written, with their tokens; ValueError without any."""
    encoder = conditioner.text_encoders[-1]
    read = encoder.tokenizer(prompt, max_length=encoder.length, truncation=True, return_offsets_mapping=True)
    spans: dict[int, list[tuple[int, tuple[int, int]]]] = {}
    for place, (number, span) in enumerate(zip(read.word_ids(), read["offset_mapping"])):
        if number is not None:
            spans.setdefault(number, []).append((place, span))
    found = [
        Word(prompt[parts[0][1][0] : parts[-1][1][1]], tuple(place for place, _ in parts)) for parts in spans.values()
    ]
    words = [word for word in found if re.search(r"\w", word.text)]  # stops and commas are tokens too
    if not words:
        raise ValueError(f"prompt must hold a word to be followed, got {shown(prompt)}")
    return words
