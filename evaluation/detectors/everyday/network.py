"""The network of the everyday world's reader: from pixels to what is in each cell of a grid, and to one feature vector."""

from __future__ import annotations

import re
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ldm_core.data.everyday import GROUNDS, KINDS, SKIES, known_words
from ldm_core.data.everyday.lexicon import SCENERY

from .truth import ATTRIBUTES, GRID

FEATURES = 64
INPUT_SIZE = 128  # pixels; any image is resized to this, bicubic with antialias
MAX_WORDS = 48
EMPTY = -6.0  # the first logit of a cell: of 1,024 cells two or three hold the middle of a thing
# What is said of a thing, and in how many numbers.
ABOUT = {
    "kind": len(KINDS),
    **{name: len(answers) for name, answers in ATTRIBUTES.items()},
    "box": 4,  # how far left, up, right and down of its cell's middle it reaches
    "partner": 2,  # from its middle to that of the thing it is related to
}
SCENE = {"sky": len(SKIES), "ground": len(GROUNDS), **dict.fromkeys(SCENERY, 2)}
PLACE = 128  # numbers in the feature of a place
WIDTHS = (48, 80, 160)  # channels at a quarter, an eighth and a sixteenth of the input's size


class Residual(nn.Module):
    """Two 3x3 convolutions beside an identity (He et al. 2016)."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(*_conv(width, width), nn.Conv2d(width, width, 3, padding=1, bias=False))
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x + self.norm(self.body(x)))


class Look(nn.Module):
    """All places see each other: self-attention over an 8x8 map, so that one thing is read with regard to the rest."""

    def __init__(self, width: int, heads: int = 5):
        super().__init__()
        self.position = nn.Parameter(0.02 * torch.randn(1, (GRID // 4) ** 2, width))
        self.layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.layer(x.flatten(2).transpose(1, 2) + self.position)
        return tokens.transpose(1, 2).unflatten(2, x.shape[2:])


class Eye(nn.Module):
    """Images (B, 3, 128, 128) in [-1, 1] -> features of places (B, 128, GRID / 2, GRID / 2), and a vector (B, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = WIDTHS
        self.stem = nn.Sequential(nn.PixelUnshuffle(4), *_conv(48, fine))
        self.eighth = nn.Sequential(*_conv(fine, middle, stride=2), Residual(middle))
        self.sixteenth = nn.Sequential(*_conv(middle, coarse, stride=2), Residual(coarse), Look(coarse))
        self.down = nn.Conv2d(coarse, middle, 1)
        self.merge = nn.Sequential(*_conv(middle, PLACE))
        self.whole = nn.Sequential(nn.Conv2d(coarse, 32, 1), nn.Flatten(), nn.LayerNorm(32 * (GRID // 4) ** 2))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The features of places, and the vector."""
        eighth = self.eighth(self.stem(images))
        sixteenth = self.sixteenth(eighth)
        return self.merge(eighth + F.interpolate(self.down(sixteenth), scale_factor=2.0)), self.whole(sixteenth)


class Things(nn.Module):
    """Where things are, and what they are: features of places -> a logit a cell, and ABOUT of chosen cells."""

    def __init__(self) -> None:
        super().__init__()
        self.where = nn.Sequential(nn.Conv2d(PLACE, 64, 1), nn.SiLU(), nn.Conv2d(64, 4, 1))
        self.hidden, self.quarter = nn.Linear(PLACE, 192), nn.Embedding(4, 192)  # four cells share a feature
        self.about = nn.Linear(192, sum(ABOUT.values()))
        nn.init.constant_(cast(Tensor, cast(nn.Conv2d, self.where[2]).bias), EMPTY)

    def forward(self, places: Tensor) -> Tensor:
        """(B, PLACE, GRID / 2, GRID / 2) -> the logit of a thing's middle being in a cell, (B, GRID, GRID)."""
        return F.pixel_shuffle(self.where(places), 2)[:, 0]

    def describe(self, places: Tensor, pictures: Tensor, cells: Tensor) -> dict[str, Tensor]:
        """What is said of the things in cells (n,) of pictures (n,): (n, numbers) for each name of ABOUT."""
        line, column = cells // GRID, cells % GRID
        quarter = self.quarter(line % 2 * 2 + column % 2)
        hidden = F.silu(self.hidden(places[pictures, :, line // 2, column // 2]) + quarter)
        return dict(zip(ABOUT, self.about(hidden).split(list(ABOUT.values()), dim=1)))


class TextReader(nn.Module):
    """Texts into the space of the features, by a small transformer over the world's own words."""

    def __init__(self, width: int = 96):
        super().__init__()
        self.words = {word: index for index, word in enumerate(known_words(), start=2)}  # 0 pads, 1 is any other word
        self.embed = nn.Embedding(len(self.words) + 2, width, padding_idx=0)
        self.position = nn.Parameter(0.02 * torch.randn(MAX_WORDS, width))
        layer = nn.TransformerEncoderLayer(
            width, 3, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.reader = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.project = nn.Linear(width, FEATURES)

    def tokens(self, text: str) -> list[int]:
        """MAX_WORDS numbers, filled up with 0: one shape whatever the text, so that none depends on the others."""
        found = [self.words.get(word, 1) for word in re.findall(r"[^\W\d_]+", text.lower())][:MAX_WORDS] or [1]
        return found + [0] * (MAX_WORDS - len(found))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, up to MAX_WORDS) -> features (B, FEATURES)."""
        absent = tokens == 0
        hidden = self.reader(self.embed(tokens) + self.position[: tokens.shape[1]], src_key_padding_mask=absent)
        return self.project(hidden.masked_fill(absent[..., None], 0).sum(1) / (~absent).sum(1, keepdim=True))


def _conv(channels_in: int, channels: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.SiLU()]


def prepare(images: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] of any size -> (B, 3, 128, 128) in [-1, 1]."""
    if images.shape[-2:] != (INPUT_SIZE, INPUT_SIZE):
        images = F.interpolate(images.float(), (INPUT_SIZE, INPUT_SIZE), mode="bicubic", antialias=True).clamp(0, 1)
    return images * 2 - 1
