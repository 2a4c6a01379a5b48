"""Prompts -> what the denoiser is told, per family: one CLIP, two CLIPs, or two CLIPs and a T5.

Each prompt is encoded by itself, so its bytes do not depend on its neighbours, and once per call.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Conditioning:
    """What a denoiser is told of one prompt, or of many stacked: tokens to attend to, and in some families a summary."""

    tokens: Tensor  # (tokens, width), or (R, tokens, width)
    pooled: Tensor | None = None  # (width), or (R, width)

    @classmethod
    def stack(cls, each: Sequence[Conditioning]) -> Conditioning:
        """One row for each."""
        pooled = None if each[0].pooled is None else torch.stack([one.pooled for one in each])
        return cls(torch.stack([one.tokens for one in each]), pooled)

    def rows(self, chosen: slice | Sequence[int]) -> Conditioning:
        """Some rows of many."""
        return Conditioning(self.tokens[chosen], None if self.pooled is None else self.pooled[chosen])

    def to(self, dtype: torch.dtype) -> Conditioning:
        """In a network's precision."""
        return Conditioning(self.tokens.to(dtype), None if self.pooled is None else self.pooled.to(dtype))


class TextReader:
    """A tokenizer and its text encoder: CLIP's (Radford et al. 2021) or T5's (Raffel et al. 2020)."""

    def __init__(self, tokenizer: object, encoder: nn.Module, length: int | None = None):
        self.tokenizer, self.encoder = tokenizer, encoder.eval()
        self.length = length or tokenizer.model_max_length  # tokens

    def read(self, prompt: str, **options: bool) -> object:
        """The encoder's output for one prompt, padded to the length; what is too long loses its end."""
        tokens = self.tokenizer(
            prompt, padding="max_length", max_length=self.length, truncation=True, return_tensors="pt"
        )
        device = next(self.encoder.parameters()).device
        # Encoders that were trained with a mask say so in their config (diffusers reads the same flag).
        if getattr(self.encoder.config, "use_attention_mask", False):
            options["attention_mask"] = tokens.attention_mask.to(device)
        return self.encoder(tokens.input_ids.to(device), **options)

    def is_truncated(self, prompt: str) -> bool:
        """Whether a prompt is longer than the encoder reads."""
        return len(self.tokenizer(prompt).input_ids) > self.length


class Conditioner(ABC):
    """What all families' conditioners share; `readers` are their text encoders, the one that reads farthest last."""

    # What stands in the unconditional place where no negative prompt is given: the empty text, or None for zeros.
    nothing: str | None = ""

    def __init__(self, *readers: TextReader, words: frozenset[str] | None = None):
        self.readers = readers
        self.words = words  # all that the model was ever told, where that is known

    @property
    def encoders(self) -> Iterator[nn.Module]:
        """The text encoders, for whoever moves them between devices."""
        return (reader.encoder for reader in self.readers)

    @abstractmethod
    def encode(self, prompt: str | None) -> Conditioning:
        """One prompt, or what `nothing` is."""

    def is_truncated(self, prompt: str) -> bool:
        """Whether a prompt is longer than any encoder reads."""
        return all(reader.is_truncated(prompt) for reader in self.readers)

    def unseen_words(self, prompts: list[str]) -> Counter[str]:
        """Words the model has never been told, with how many prompts hold each; empty where that is not known."""
        if self.words is None:
            return Counter()
        return Counter(word for prompt in prompts for word in set(words_of(prompt)) - self.words)


class ClipConditioner(Conditioner):
    """Stable Diffusion 1, 2 and the embedded models: the last hidden states of one CLIP text encoder."""

    @torch.inference_mode()
    def encode(self, prompt: str) -> Conditioning:
        (reader,) = self.readers
        return Conditioning(reader.read(prompt).last_hidden_state[0].float())


class TwoClipsConditioner(Conditioner):
    """Stable Diffusion XL (Podell et al. 2023, section 2.1): two CLIPs' second-last hidden states side by side, and the
    second one's projected summary."""

    def __init__(self, *readers: TextReader, zeros_for_none: bool):
        super().__init__(*readers)
        self.nothing = None if zeros_for_none else ""  # as the checkpoint's force_zeros_for_empty_prompt says

    @torch.inference_mode()
    def encode(self, prompt: str | None) -> Conditioning:
        if prompt is None:
            told = self.encode("")
            return Conditioning(torch.zeros_like(told.tokens), torch.zeros_like(told.pooled))
        outputs = [reader.read(prompt, output_hidden_states=True) for reader in self.readers]
        tokens = torch.cat([output.hidden_states[-2][0].float() for output in outputs], dim=-1)
        return Conditioning(tokens, outputs[-1].text_embeds[0].float())


class ThreeReadersConditioner(Conditioner):
    """Stable Diffusion 3 (Esser et al. 2024, section 4): two CLIPs side by side, filled up with zeros to T5's width, then
    T5's tokens behind them; both CLIPs' summaries. Without T5, which may be left out, its tokens are zeros."""

    T5_TOKENS = 256  # as diffusers' pipeline by default

    def __init__(self, *readers: TextReader, width: int):
        super().__init__(*readers)
        self.width = width  # of the denoiser's tokens

    @torch.inference_mode()
    def encode(self, prompt: str) -> Conditioning:
        outputs = [reader.read(prompt, output_hidden_states=True) for reader in self.readers[:2]]
        clip = torch.cat([output.hidden_states[-2][0].float() for output in outputs], dim=-1)
        clip = nn.functional.pad(clip, (0, self.width - clip.shape[-1]))
        if len(self.readers) > 2:
            t5 = self.readers[2].read(prompt).last_hidden_state[0].float()
        else:
            t5 = clip.new_zeros(self.T5_TOKENS, self.width)
        return Conditioning(torch.cat([clip, t5]), torch.cat([output.text_embeds[0].float() for output in outputs]))


def words_of(prompt: str) -> list[str]:
    """The words of a text in lower case, hyphens and apostrophes apart."""
    return re.findall(r"[^\W\d_]+", prompt.lower())


def load_words(tokenizer_folder: Path) -> frozenset[str] | None:
    """The vocabulary beside an embedded model's tokenizer; None where there is none."""
    path = tokenizer_folder / "words.txt"
    return frozenset(words_of(path.read_text(encoding="utf-8"))) if path.exists() else None
