"""How a model reads a prompt, in words for the visitor: what it dropped, has never seen, or cannot read at all."""

from __future__ import annotations

import unicodedata

from ldm_core.conditioning import words_of
from ldm_core.pipeline import LatentDiffusion
from ldm_core.settings import SamplingSettings

MOST = 8  # words or signs that are named


def prompt_words(model: LatentDiffusion, prompt: str, settings: SamplingSettings, example: str) -> str:
    """Empty where the model reads the whole prompt and has seen each of its words; what it draws instead of others is said."""
    if not prompt.strip():
        return f"The prompt is empty, so the model drew what it liked. Try: {example}."
    conditioner, drawn = model.conditioner, model.in_own_words(prompt, settings)
    said = [drawn.describe()] if drawn.describe() else []
    words = list(dict.fromkeys(words_of(drawn.text)))
    if conditioner.words is not None:
        named = " ".join(drawn.unknown).lower()
        unseen = [word for word in words if word not in conditioner.words and word not in named]
        if words and all(word not in conditioner.words for word in words):
            return f"This model knows no word of this prompt, so the picture is a guess. Try: {example}."
        if unseen:
            said.append(f"This model has never seen: {_list(unseen)}.")
        if signs := signs_of(prompt):
            said.append(f"It reads words alone, not: {_list(signs)}.")
    if dropped := dropped_words(model, drawn.text):
        said.append(f"The prompt is too long for this model, which did not read its end: {_list(dropped)}.")
    return " ".join(said)


def dropped_words(model: LatentDiffusion, prompt: str) -> list[str]:
    """The words at the end of a prompt that are beyond what the model's text encoders read."""
    if not model.conditioner.is_truncated(prompt):
        return []
    parts = prompt.split()
    fits, over = 0, len(parts)
    while over - fits > 1:  # the longest beginning that is read whole
        middle = (fits + over) // 2
        fits, over = (fits, middle) if model.conditioner.is_truncated(" ".join(parts[:middle])) else (middle, over)
    return words_of(" ".join(parts[fits:]))


def signs_of(prompt: str) -> list[str]:
    """Numbers, emoji and the like; not letters, spaces and punctuation."""
    kept = (sign for sign in prompt if unicodedata.category(sign)[0] in "NS" and sign not in "`^~$+<=>|")
    return list(dict.fromkeys(kept))


def _list(words: list[str]) -> str:
    more = f" and {len(words) - MOST} more" if len(words) > MOST else ""
    return ", ".join(words[:MOST]) + more
