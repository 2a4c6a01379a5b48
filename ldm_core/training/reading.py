"""Before the denoiser learns to draw, the text encoder learns to read.

The diffusion loss says little about words: most of it is the same whatever the caption. Published systems therefore
condition on an encoder that was trained for language beforehand (CLIP in Rombach et al. 2022, T5 in Saharia et al.
2022). Here the encoder first learns to tell from a caption's end-of-text state each fact that the caption states; the
denoiser then trains it further.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from .corpus import Corpus

BATCH = 128


def learn_to_read(
    encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    corpus: Corpus,
    steps: int,
    device: str,
    learning_rate: float = 1e-3,
) -> float:
    """Train the encoder in place; returns the share of the last captions whose facts were all read right."""
    encoder.to(device)
    head = nn.Linear(encoder.config.hidden_size, len(corpus.facts)).to(device)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    read = []
    for step in tqdm(range(steps), desc="learning to read", unit="step", mininterval=2):
        captions, stated = captions_of(corpus, step)
        tokens = tokenizer(captions, padding=True, truncation=True, return_tensors="pt").input_ids.to(device)
        logits = head(encoder(tokens).pooler_output)
        loss = misread(logits, stated.to(device))
        loss.backward()
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        read.append(float(((logits > 0).float().cpu() == stated).all(1).float().mean()))
    return float(np.mean(read[-50:]))


def misread(logits: Tensor, stated: Tensor) -> Tensor:
    """Cross-entropy of facts (B, F), summed over the facts: of these a caption states a few in a hundred, so a mean would
    weigh next to nothing."""
    return F.binary_cross_entropy_with_logits(logits, stated, reduction="none").sum(1).mean()


def captions_of(corpus: Corpus, step: int) -> tuple[list[str], Tensor]:
    """A batch of captions and their facts as ones and zeros (B, len(corpus.facts)); they depend on the step alone."""
    if corpus.heard is not None:
        captions = [corpus.heard(step * BATCH + row) for row in range(BATCH)]
    else:
        chosen = np.random.default_rng(step).integers(len(corpus.images), size=BATCH)
        captions = [corpus.caption(int(index), step) for index in chosen]
    return captions, facts_stated(corpus, captions)


def facts_stated(corpus: Corpus, captions: list[str]) -> Tensor:
    """The facts of captions as ones and zeros (B, len(corpus.facts))."""
    columns = {fact: column for column, fact in enumerate(corpus.facts)}
    stated = torch.zeros(len(captions), len(columns))
    for row, caption in enumerate(captions):
        for fact in corpus.facts_of(caption):
            stated[row, columns[fact]] = 1.0
    return stated
