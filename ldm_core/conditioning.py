"""Prompts -> conditioning, per family: by one CLIP text encoder, by two, or by two and a T5.

Each prompt is encoded by itself, so its bytes do not depend on its neighbours, and once per call.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

if TYPE_CHECKING:
    from .tasks.control import ControlRows


@dataclass(frozen=True)
class Blend:
    """A prompt between two: (1 - share) of the first one's conditioning and share of the second's; at 0 and 1 they themselves."""

    first: str
    second: str
    share: float  # 0 to 1

    def __str__(self) -> str:
        return f"{self.first} -> {self.second} {self.share:.6g}"


@dataclass(frozen=True)
class Conditioning:
    """The conditioning of one prompt, or of many stacked: tokens to attend to, in some families a pooled embedding; of many
    also what controls the picture, where an image does, and for an upscaler how noisy the image is that it enlarges."""

    tokens: Tensor  # (tokens, width), or (R, tokens, width)
    pooled: Tensor | None = None  # (width), or (R, width)
    control: ControlRows | None = None
    noise_levels: Tensor | None = None  # (R,) int64

    @classmethod
    def stack(cls, each: Sequence[Conditioning]) -> Conditioning:
        """One row for each."""
        pooled = [one.pooled for one in each if one.pooled is not None]
        return cls(torch.stack([one.tokens for one in each]), torch.stack(pooled) if pooled else None)

    def rows(self, chosen: slice | Sequence[int]) -> Conditioning:
        """Some rows of many."""
        pooled = None if self.pooled is None else self.pooled[chosen]
        levels = None if self.noise_levels is None else self.noise_levels[chosen]
        return Conditioning(self.tokens[chosen], pooled, self.control and self.control.rows(chosen), levels)

    def towards(self, other: Conditioning, share: float) -> Conditioning:
        """(1 - share) of this one and share of another of the same shape."""
        pooled = None
        if self.pooled is not None and other.pooled is not None:
            pooled = (1 - share) * self.pooled + share * other.pooled
        return Conditioning((1 - share) * self.tokens + share * other.tokens, pooled)

    def to(self, dtype: torch.dtype) -> Conditioning:
        """In a network's precision."""
        pooled = None if self.pooled is None else self.pooled.to(dtype)
        control = self.control and self.control.to(dtype)
        return Conditioning(self.tokens.to(dtype), pooled, control, self.noise_levels)

    def controlled(self, control: ControlRows | None) -> Conditioning:
        """The same rows with an image's control beside them."""
        return replace(self, control=control)

    def noisy(self, levels: Tensor | None) -> Conditioning:
        """The same rows with the noise levels (R,) of the images that they enlarge."""
        return replace(self, noise_levels=levels)


class TextEncoder:
    """A tokenizer and its network: CLIP's (Radford et al. 2021) or T5's (Raffel et al. 2020)."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, network: PreTrainedModel, length: int | None = None):
        self.tokenizer, self.network = tokenizer, network.eval()
        self._run: Callable = self.network
        # A tokenizer that does not say how much it may give says 10**30; the network knows its own positions.
        positions = getattr(network.config, "max_position_embeddings", None) or tokenizer.model_max_length
        self.length = length or min(tokenizer.model_max_length, positions)  # tokens
        if self.length < 2:
            raise ValueError(f"a tokenizer's model_max_length must be 2 or more, got {self.length}")

    def encode(self, prompt: str, *, masked: bool = False, **options: Any) -> Any:
        """The network's output for one prompt, padded to the length; what is too long loses its end. With masked, padding
        is left out where the network's config says that it was trained so."""
        tokens = self.tokenizer(
            prompt, padding="max_length", max_length=self.length, truncation=True, return_tensors="pt"
        )
        device = next(self.network.parameters()).device
        if masked and getattr(self.network.config, "use_attention_mask", False):
            options["attention_mask"] = tokens.attention_mask.to(device)
        return self._run(tokens.input_ids.to(device), **options)

    def run_by(self, run: Callable | None) -> None:
        """Let another engine's counterpart run in the network's place; None is torch again."""
        self._run = run or self.network

    def is_truncated(self, prompt: str) -> bool:
        """Whether a prompt is longer than the encoder reads."""
        return len(self.tokenizer(prompt).input_ids) > self.length


class Conditioner(ABC):
    """What all families' conditioners share; of their text encoders the one that takes the longest prompts is last."""

    # What stands in the unconditional place where no negative prompt is given: the empty text, or None for zeros.
    nothing: str | None = ""

    def __init__(self, *text_encoders: TextEncoder, words: frozenset[str] | None = None):
        self.text_encoders = text_encoders
        self.words = words  # all that the model's training captions held, where that is known

    @property
    def networks(self) -> Iterator[nn.Module]:
        """The text encoders' networks, for whoever moves them between devices."""
        return (encoder.network for encoder in self.text_encoders)

    @abstractmethod
    def encode(self, prompt: str | None) -> Conditioning:
        """One prompt, or what `nothing` is."""

    def is_truncated(self, prompt: str) -> bool:
        """Whether a prompt is longer than any encoder reads."""
        return all(encoder.is_truncated(prompt) for encoder in self.text_encoders)

    def unseen_words(self, prompts: list[str]) -> Counter[str]:
        """Words that no training caption held, with how many prompts hold each; empty where that is not known."""
        if self.words is None:
            return Counter()
        return Counter(word for prompt in prompts for word in set(words_of(prompt)) - self.words)


class ClipConditioner(Conditioner):
    """Stable Diffusion 1, 2 and the embedded models: the last hidden states of one CLIP text encoder."""

    @torch.inference_mode()
    def encode(self, prompt: str | None) -> Conditioning:
        (encoder,) = self.text_encoders
        return Conditioning(encoder.encode(prompt or "", masked=True).last_hidden_state[0].float())


class TwoClipsConditioner(Conditioner):
    """Stable Diffusion XL (Podell et al. 2023, section 2.1): two CLIPs' second-last hidden states side by side, and the
    second one's projected pooled embedding. A checkpoint may do without the first, as the refiner does."""

    def __init__(self, *text_encoders: TextEncoder, zeros_for_none: bool):
        super().__init__(*text_encoders)
        self.nothing = None if zeros_for_none else ""  # as the checkpoint's force_zeros_for_empty_prompt says

    @torch.inference_mode()
    def encode(self, prompt: str | None) -> Conditioning:
        if prompt is None:
            empty = self.encode("")
            pooled = None if empty.pooled is None else torch.zeros_like(empty.pooled)
            return Conditioning(torch.zeros_like(empty.tokens), pooled)
        outputs = [encoder.encode(prompt, output_hidden_states=True) for encoder in self.text_encoders]
        tokens = torch.cat([output.hidden_states[-2][0].float() for output in outputs], dim=-1)
        return Conditioning(tokens, outputs[-1].text_embeds[0].float())


class ClipsAndT5Conditioner(Conditioner):
    """Stable Diffusion 3 (Esser et al. 2024, section 4): two CLIPs side by side, filled up with zeros to T5's width, then
    T5's tokens behind them; both CLIPs' pooled embeddings. Without T5, which may be left out, its tokens are zeros."""

    T5_TOKENS = 256  # as diffusers' pipeline by default

    def __init__(self, *text_encoders: TextEncoder, width: int):
        super().__init__(*text_encoders)
        self.width = width  # of the denoiser's tokens

    @torch.inference_mode()
    def encode(self, prompt: str | None) -> Conditioning:
        outputs = [encoder.encode(prompt or "", output_hidden_states=True) for encoder in self.text_encoders[:2]]
        clip = torch.cat([output.hidden_states[-2][0].float() for output in outputs], dim=-1)
        clip = nn.functional.pad(clip, (0, self.width - clip.shape[-1]))
        if len(self.text_encoders) > 2:
            t5 = self.text_encoders[2].encode(prompt or "").last_hidden_state[0].float()
        else:
            t5 = clip.new_zeros(self.T5_TOKENS, self.width)
        return Conditioning(torch.cat([clip, t5]), torch.cat([output.text_embeds[0].float() for output in outputs]))


def words_of(prompt: str) -> list[str]:
    """The words of a text in lower case, hyphens and apostrophes apart."""
    return re.findall(r"[^\W\d_]+", prompt.lower())


def load_words(folders: Iterable[Path]) -> frozenset[str] | None:
    """The vocabulary beside an embedded model's tokenizer, in the first folder that has one; None where none has."""
    paths = (folder / "tokenizer" / "words.txt" for folder in folders)
    path = next((path for path in paths if path.exists()), None)
    return frozenset(words_of(path.read_text(encoding="utf-8"))) if path else None
