"""The network of the everyday world's reader: from pixels to what is in each cell of a grid, and to one feature vector."""

from __future__ import annotations

import re
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ldm_core.data.everyday import GROUNDS, KINDS, SKIES, known_words
from ldm_core.data.everyday.lexicon import SCENERY
from ldm_core.data.everyday.truth import ATTRIBUTES, GRID

FEATURES = 64
INPUT_SIZE = 256  # pixels; any image is resized to this, bicubic with antialias
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
PLACE = 128  # numbers in the feature of a place, 16 x 16 pixels
DETAIL = 64  # numbers in the feature of a cell, 8 x 8 pixels
WIDTHS = (48, 80, 160)  # channels at an eighth, a sixteenth and a thirty-second of the input's size


class Maps(NamedTuple):
    """What is seen where: features of places (B, PLACE, GRID / 2, GRID / 2) and of cells (B, DETAIL, GRID, GRID)."""

    places: Tensor
    details: Tensor


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
    """Images (B, 3, 256, 256) in [-1, 1] -> features of places and of cells, and a vector (B, 2048).

    What a picture is of shows at half its size; a small thing on or before a larger one only at the whole.
    """

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = WIDTHS
        self.stem = nn.Sequential(nn.PixelUnshuffle(4), *_conv(48, fine))
        self.eighth = nn.Sequential(*_conv(fine, middle, stride=2), Residual(middle))
        self.sixteenth = nn.Sequential(*_conv(middle, coarse, stride=2), Residual(coarse), Look(coarse))
        self.down = nn.Conv2d(coarse, middle, 1)
        self.merge = nn.Sequential(*_conv(middle, PLACE))
        self.whole = nn.Sequential(nn.Conv2d(coarse, 32, 1), nn.Flatten(), nn.LayerNorm(32 * (GRID // 4) ** 2))
        self.detail = Detail()

    def forward(self, images: Tensor) -> tuple[Maps, Tensor]:
        """The features, and the vector."""
        eighth = self.eighth(self.stem(F.avg_pool2d(images, 2)))
        sixteenth = self.sixteenth(eighth)
        places = self.merge(eighth + F.interpolate(self.down(sixteenth), scale_factor=2.0))
        return Maps(places, self.detail(images, places)), self.whole(sixteenth)


class Detail(nn.Module):
    """Images at their whole size and the features of places -> features of cells (B, DETAIL, GRID, GRID)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.PixelUnshuffle(4), *_conv(48, 32), *_conv(32, DETAIL, stride=2))
        self.around = nn.Conv2d(PLACE, DETAIL, 1)
        self.merge = nn.Sequential(Residual(DETAIL), Residual(DETAIL))

    def forward(self, images: Tensor, places: Tensor) -> Tensor:
        return self.merge(self.stem(images) + F.interpolate(self.around(places), scale_factor=2.0))


class Things(nn.Module):
    """Where things are, and what they are: features of places and cells -> a logit a cell, and ABOUT of chosen cells.

    The details begin without a say: their layers' weights are zero at first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.where = nn.Sequential(nn.Conv2d(PLACE, 64, 1), nn.SiLU(), nn.Conv2d(64, 4, 1))
        self.hidden, self.quarter = nn.Linear(PLACE, 192), nn.Embedding(4, 192)  # four cells share a feature
        self.about = nn.Linear(192, sum(ABOUT.values()))
        self.where_detail, self.hidden_detail = nn.Conv2d(DETAIL, 1, 1), nn.Linear(DETAIL, 192)
        for layer in (self.where_detail, self.hidden_detail):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(cast(Tensor, layer.bias))
        nn.init.constant_(cast(Tensor, cast(nn.Conv2d, self.where[2]).bias), EMPTY)

    def forward(self, maps: Maps) -> Tensor:
        """The logit of a thing's point (truth.points) being in a cell, (B, GRID, GRID)."""
        return (F.pixel_shuffle(self.where(maps.places), 2) + self.where_detail(maps.details))[:, 0]

    def describe(self, maps: Maps, pictures: Tensor, cells: Tensor) -> dict[str, Tensor]:
        """What is said of the things in cells (n,) of pictures (n,): (n, numbers) for each name of ABOUT."""
        line, column = cells // GRID, cells % GRID
        quarter = self.quarter(line % 2 * 2 + column % 2)
        place, detail = maps.places[pictures, :, line // 2, column // 2], maps.details[pictures, :, line, column]
        hidden = F.silu(self.hidden(place) + quarter + self.hidden_detail(detail))
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
    """Images (B, 3, H, W) in [0, 1] of any size -> (B, 3, 256, 256) in [-1, 1]."""
    if images.shape[-2:] != (INPUT_SIZE, INPUT_SIZE):
        images = F.interpolate(images.float(), (INPUT_SIZE, INPUT_SIZE), mode="bicubic", antialias=True).clamp(0, 1)
    return images * 2 - 1
