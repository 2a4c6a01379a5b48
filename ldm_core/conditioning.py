"""Prompts -> what the denoiser attends to, per family. Today `sd`: one CLIP text encoder.

Each prompt is encoded by itself, so its bytes do not depend on its neighbours, and once per call.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer


class ClipConditioner:
    """Stable Diffusion 1, 2 and the embedded models: hidden states of a CLIP text encoder (Radford et al. 2021)."""

    def __init__(self, tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, words: frozenset[str] | None = None):
        self.tokenizer, self.text_encoder = tokenizer, text_encoder.eval()
        self.words = words  # all that the model was ever told, where that is known

    @torch.inference_mode()
    def encode(self, prompt: str) -> Tensor:
        """A prompt -> (tokens, width), padded to the tokenizer's length; what is too long loses its end."""
        tokens = self.tokenizer(
            prompt, padding="max_length", max_length=self.tokenizer.model_max_length, truncation=True,
            return_tensors="pt",
        )  # fmt: skip
        device = next(self.text_encoder.parameters()).device
        # Encoders that were trained with a mask say so in their config (diffusers reads the same flag).
        uses_mask = getattr(self.text_encoder.config, "use_attention_mask", False)
        mask = tokens.attention_mask.to(device) if uses_mask else None
        return self.text_encoder(tokens.input_ids.to(device), attention_mask=mask).last_hidden_state[0]

    def is_truncated(self, prompt: str) -> bool:
        """Whether a prompt is longer than the encoder reads."""
        return len(self.tokenizer(prompt).input_ids) > self.tokenizer.model_max_length

    def unseen_words(self, prompts: list[str]) -> Counter[str]:
        """Words the model has never been told, with how many prompts hold each; empty where that is not known."""
        if self.words is None:
            return Counter()
        return Counter(word for prompt in prompts for word in set(words_of(prompt)) - self.words)


def words_of(prompt: str) -> list[str]:
    """The words of a text in lower case, hyphens and apostrophes apart."""
    return re.findall(r"[^\W\d_]+", prompt.lower())


def load_words(tokenizer_folder: Path) -> frozenset[str] | None:
    """The vocabulary beside an embedded model's tokenizer; None where there is none."""
    path = tokenizer_folder / "words.txt"
    return frozenset(words_of(path.read_text(encoding="utf-8"))) if path.exists() else None
