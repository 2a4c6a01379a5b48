"""What noised latents show, read by the denoiser's own network: how many things of each sort, what sky and what ground.

A denoiser knows what is in a noised latent, or it could not go on drawing it; given another last layer it says so (a latent
reward model: Zhang et al. 2025, arXiv 2502.01051). Nothing has to be decoded then for a drawing to be judged, at any of its
times, and the judgement has a gradient. It learns from the drawing program's truth alone, of drawings without the withheld
combinations: the evaluation's reader, which looks at pixels and by which models are scored, has no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..checks import first_line
from ..data.everyday import GROUNDS, KINDS, SKIES
from ..data.everyday.lexicon import SCENERY
from ..data.everyday.truth import ATTRIBUTES, GRID, UNSEEN
from ..files import whole_file
from ..pipeline import LatentDiffusion
from ..precision import mixed
from .lesson import attention_for_training

# What is said in each cell, and in how many numbers: of the thing whose middle is there, and of the whole scene.
ANSWERS = {
    "kind": len(KINDS),
    **{name: len(answers) for name, answers in ATTRIBUTES.items()},
    "sky": len(SKIES),
    "ground": len(GROUNDS),
    "scenery": len(SCENERY),
}
EMPTY = -5.0  # the first logit of a kind: the middle of a thing is in one cell of a hundred


class LatentReader(nn.Module):
    """The U-Net of a finished model with a last layer that says ANSWERS, told nothing of the picture."""

    nothing: Tensor  # what the text encoder says of "", (1, T, width)

    def __init__(self, model: LatentDiffusion):
        super().__init__()
        drawing = model.denoiser.network
        self.unet = UNet2DConditionModel.from_config({**drawing.config, "out_channels": sum(ANSWERS.values())})
        inner = {name: value for name, value in drawing.state_dict().items() if not name.startswith("conv_out.")}
        self.unet.load_state_dict(inner, strict=False)
        nn.init.zeros_(self.unet.conv_out.weight)
        with torch.no_grad():
            self.unet.conv_out.bias.zero_()[: len(KINDS)] = EMPTY
        self.register_buffer("nothing", model.conditioner.encode("").tokens[None].clone())

    def forward(self, noisy: Tensor, t: Tensor) -> dict[str, Tensor]:
        """Latents (B, C, h, w) at times (B,) -> logits of each of ANSWERS: of a cell (B, n, h, w), of the scene (B, n)."""
        device = noisy.device.type
        with mixed(device), attention_for_training(device):
            said = self.unet(noisy, t, encoder_hidden_states=self.nothing.expand(len(noisy), -1, -1)).sample
        parts = dict(zip(ANSWERS, said.float().split(list(ANSWERS.values()), dim=1)))
        return {
            name: part.mean((2, 3)) if name in ("sky", "ground", "scenery") else part for name, part in parts.items()
        }


def misread(logits: Mapping[str, Tensor], truth: Mapping[str, Tensor], beside: Tensor) -> dict[str, Tensor]:
    """The parts of the loss of what is said of B latents: cross-entropy of where things of each kind are, a sum for each
    thing, of their attributes and of the scene.

    `truth` are the labels of ..data.everyday.truth, of each B rows. `beside` (2, B, MOST) are cells, down and across, by which
    an attribute is asked beside a thing's middle: where the middle is uncertain its neighbours must know as well.
    """
    there = truth["kind"] != UNSEEN
    picture, row = there.nonzero().T
    side = logits["kind"].shape[-1]
    line, column = (at[picture, row] * side // GRID for at in (truth["cell"] // GRID, truth["cell"] % GRID))
    middles = torch.zeros_like(logits["kind"])
    middles[picture, truth["kind"][picture, row], line, column] = 1
    surprise = F.binary_cross_entropy_with_logits(logits["kind"], middles, reduction="sum")
    found = {"kind": surprise / there.sum().clamp(min=1)}
    down, across = ((at + step[picture, row]).clamp(0, side - 1) for at, step in zip((line, column), beside))
    for name in ATTRIBUTES if len(picture) else ():
        answers, right = logits[name][picture, :, down, across], truth[name][picture, row]
        told = right != UNSEEN
        found[name] = F.cross_entropy(answers, right, ignore_index=UNSEEN, reduction="sum") / told.sum().clamp(min=1)
    found["sky"] = F.cross_entropy(logits["sky"], truth["scene"][:, 0])
    found["ground"] = F.cross_entropy(logits["ground"], truth["scene"][:, 1])
    found["scenery"] = F.binary_cross_entropy_with_logits(logits["scenery"], truth["scene"][:, 2:].float())
    return found


def counted(kind_logits: Tensor) -> Tensor:
    """How many things of each kind are expected in latents, (B, kinds, h, w) -> (B, kinds)."""
    return kind_logits.sigmoid().sum((2, 3))


def numbers_of_kinds(kinds: np.ndarray) -> np.ndarray:
    """How many things of each kind there truly are, labels (B, MOST) -> (B, kinds)."""
    return np.stack([np.bincount(row[row != UNSEEN], minlength=len(KINDS)) for row in kinds])


def save_reader(path: Path, reader: LatentReader) -> None:
    """In fp16, but for what the model itself says."""
    weights = {name: value.half().cpu().contiguous() for name, value in reader.unet.state_dict().items()}
    with whole_file(path) as partial:
        save_file(weights, partial, {"format": "pt"})


def load_reader(path: Path, model: LatentDiffusion, argument: str = "--reader") -> LatentReader:
    """A reader that train_latent_reader made of a model like this one: float32, frozen, on the CPU; ValueError for others."""
    reader = LatentReader(model)
    try:
        reader.unet.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ValueError(
            f"{argument} {path} is none that train_latent_reader made of this model: {first_line(error)}"
        ) from None
    return reader.requires_grad_(False).eval()
