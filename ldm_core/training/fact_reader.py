"""What a model's text encoder understood of a prompt, apart from what its denoiser then draws.

The encoder learned to read by telling each fact that a caption states (reading.py); the layer that tells them is kept beside
it and asked here. A fact that is read and not drawn is the denoiser's fault, one that is not read the encoder's.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from .corpus import load_corpus

HEAD = Path("text_encoder") / "facts.safetensors"  # below a model's folder
BATCH = 128  # captions


class FactReader:
    """Captions -> the facts that are read in each, as strings of the world's known facts (data/everyday/atoms.py)."""

    def __init__(self, folder: Path, world: str):
        """Of a model's folder. FileNotFoundError where the layer was not kept: not every text encoder has learned this way."""
        self.facts = load_corpus(world, 1, 16, None).facts
        encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", torch_dtype=torch.float32).eval()
        head = nn.Linear(encoder.config.hidden_size, len(self.facts))
        load_head(folder / HEAD, head)
        self.module = nn.ModuleDict({"text_encoder": encoder, "head": head})
        self.tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")

    @classmethod
    def find(cls, folder: Path, world: str) -> FactReader | None:
        """None where the layer was not kept."""
        return cls(folder, world) if (folder / HEAD).exists() else None

    @torch.inference_mode()
    def __call__(self, captions: list[str]) -> list[frozenset[str]]:
        """The facts that the encoder reads in each caption."""
        found = []
        for start in range(0, len(captions), BATCH):
            states = read(self.module, self.tokenizer, captions[start : start + BATCH], "cpu")
            for row in (self.module["head"](states) > 0).tolist():
                found.append(frozenset(fact for fact, stated in zip(self.facts, row) if stated))
        return found


def save_head(path: Path, head: nn.Linear) -> None:
    """Weights as bytes with a scale for each fact, half the size of fp16: no drawing needs them."""
    scale = head.weight.detach().abs().amax(dim=1, keepdim=True).clamp(min=1e-8) / 127
    weight = (head.weight.detach() / scale).round().to(torch.int8)
    save_file({"weight": weight, "scale": scale.half(), "bias": head.bias.detach().half()}, path)


def load_head(path: Path, head: nn.Linear) -> None:
    """What `save_head` wrote. RuntimeError where it is of another shape."""
    kept = load_file(path)
    head.load_state_dict({"weight": kept["weight"].float() * kept["scale"].float(), "bias": kept["bias"].float()})


def read(module: nn.ModuleDict, tokenizer: CLIPTokenizer, captions: list[str], device: str) -> Tensor:
    """The end-of-text states (B, width) of captions.

    Long and short ones go apart, each padded to its own longest: half of a batch would be padding.
    """
    order = sorted(range(len(captions)), key=lambda row: len(captions[row]))
    parts = [order[start : start + 32] for start in range(0, len(order), 32)]
    states = []
    for part in parts:
        padded = tokenizer([captions[row] for row in part], padding=True, truncation=True, return_tensors="pt")
        with torch.autocast(device, torch.bfloat16, enabled=device != "cpu"):  # rows this small gain nothing on a CPU
            states.append(module["text_encoder"](padded.input_ids.to(device)).pooler_output.float())
    return torch.cat(states)[torch.tensor(order).argsort()]
