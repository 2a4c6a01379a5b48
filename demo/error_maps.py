"""Where a picture differs from what it was made of: how much, to which side, and as eyes see it; each as a map of colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

PATCH = 64  # pixels: the worst one is shown enlarged
# Dark to bright, equal steps to the eye.
HEAT = np.array([(0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)], float)
# From darker than it should be, over right, to brighter.
SIDES = np.array([(5, 48, 97), (67, 147, 195), (247, 247, 247), (214, 96, 77), (103, 0, 31)], float)
# Linear sRGB to XYZ under D65, each row over the white point (IEC 61966-2-1).
WHITE = torch.tensor([0.95047, 1.0, 1.08883], dtype=torch.float64)
TO_XYZ = torch.tensor(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
    dtype=torch.float64,
)


@dataclass(frozen=True)
class Scale:
    """Colours for the values from `low` to `high`; what lies beyond gets the last of them. In words what the ends mean."""

    colours: np.ndarray
    low: float
    high: float
    words: tuple[str, str]

    def picture(self, values: Tensor) -> Image.Image:
        """Values (H, W) as colours."""
        places = np.linspace(0, 255, len(self.colours))
        table = np.stack([np.interp(np.arange(256), places, self.colours[:, channel]) for channel in range(3)], axis=1)
        levels = ((values - self.low) / (self.high - self.low) * 255).round().clamp(0, 255).byte().cpu().numpy()
        return Image.fromarray(table.round().astype(np.uint8)[levels])

    def legend(self) -> str:
        """The colours between the words."""
        stops = ", ".join(f"rgb({red:.0f} {green:.0f} {blue:.0f})" for red, green, blue in self.colours)
        bar = f'<i style="background:linear-gradient(90deg, {stops})"></i>'
        return f'<div class="heat"><span>{self.words[0]}</span>{bar}<span>{self.words[1]}</span></div>'


# The same for all autoencoders, so that their maps can be compared.
PLAIN = Scale(HEAT, 0, 64, ("0", "64 or more levels off"))
SIGNED = Scale(SIDES, -32, 32, ("32 levels darker", "32 brighter"))
SEEN = Scale(HEAT, 0, 20, ("0", "&Delta;E of 20 or more; eyes notice about 2"))


def levels_off(image: Tensor, rebuilt: Tensor) -> Tensor:
    """Root mean square over the channels (H, W), in levels of 255, of images (3, H, W) in [0, 1]."""
    return (image - rebuilt).square().mean(0).sqrt() * 255


def signed_levels(image: Tensor, rebuilt: Tensor) -> Tensor:
    """By how many levels of 255 the second is brighter, mean over the channels (H, W), of images (3, H, W) in [0, 1]."""
    return (rebuilt - image).mean(0) * 255


def delta_e(image: Tensor, rebuilt: Tensor) -> Tensor:
    """The CIE 1976 colour difference (H, W) of sRGB images (3, H, W) in [0, 1]: their distance in CIELAB."""
    return (to_lab(image) - to_lab(rebuilt)).square().sum(0).sqrt()


def to_lab(image: Tensor) -> Tensor:
    """CIELAB (3, H, W) under D65 of an sRGB image (3, H, W) in [0, 1]: L from 0 to 100, a and b about -128 to 127."""
    values = image.double()
    linear = torch.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    relative = torch.einsum("xc,chw->xhw", TO_XYZ, linear) / WHITE[:, None, None]
    bent = torch.where(
        relative > (6 / 29) ** 3, relative.clamp(min=0) ** (1 / 3), relative / (3 * (6 / 29) ** 2) + 4 / 29
    )
    x, y, z = bent
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def worst_patch(error: Tensor) -> tuple[int, int]:
    """Top and left of the PATCH x PATCH square with the largest mean square of errors (H, W), on a grid of eight pixels."""
    size = min(PATCH, *error.shape)
    means = F.avg_pool2d(error.square()[None], size, stride=8)[0]
    row, column = divmod(int(means.argmax()), means.shape[1])
    return 8 * row, 8 * column
