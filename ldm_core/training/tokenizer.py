"""A CLIP tokenizer that holds every word of a training corpus as one token, and spells all other text in bytes."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

START, END, SUFFIX = "<|startoftext|>", "<|endoftext|>", "</w>"


def build_tokenizer(words: list[str], max_length: int) -> CLIPTokenizer:
    """The tokenizer for a corpus' words, for prompts of up to max_length tokens, start and end included."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner = Tokenizer(models.BPE(end_of_word_suffix=SUFFIX))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    # Merging goes on until no pair is left, so that each word ends as a single token. Named beforehand, the letters that end
    # words have numbers of their own: the library would number them as chance has it, and so break ties between merges.
    last = [letter + SUFFIX for letter in alphabet]
    learner.train_from_iterator(
        words,
        trainers.BpeTrainer(
            vocab_size=100_000,
            min_frequency=1,
            end_of_word_suffix=SUFFIX,
            special_tokens=last,
            show_progress=False,
        ),
    )
    merges = _merges(learner)
    tokens = [*alphabet, *last, *(a + b for a, b in merges), START, END]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=max_length)


def tokenizer_for(words: list[str], max_length: int, folder: Path, init: Path | None) -> CLIPTokenizer:
    """The tokenizer that a run's folder holds, or the model it goes on from, whose text encoder knows no other; else one
    for the words. It is kept in the folder: words that come up later are spelled."""
    for known in (folder, init):
        if known is not None and (known / "tokenizer").exists():
            tokenizer = CLIPTokenizer.from_pretrained(known / "tokenizer")
            break
    else:
        tokenizer = build_tokenizer(words, max_length)
    tokenizer.save_pretrained(folder / "tokenizer")
    return tokenizer


def _merges(learner: Tokenizer) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
