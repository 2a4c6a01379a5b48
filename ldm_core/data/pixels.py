"""Pixels of any kind that picture files hold, brought to 8-bit RGB.

    8 bits a channel    as they are: grey, palette, CMYK, YCbCr and L*a*b* converted, white behind what is transparent
    1 bit               black and white
    12, 16 bits         the upper eight, as Pillow itself reads 16-bit colour
    32-bit integers     of the least full scale that holds them: 255, 65535, 2^31 - 1 or (unsigned) 2^32 - 1
    floating point      [0, 1] where none is above 2 (such pictures pass 1 a little), else [0, 255], else [0, 65535]

Colour profiles are not applied, as no metric of the field applies them. Values that are not finite, and negative ones
beyond what sharpening leaves, are no picture's: ValueError.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageCms

BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # TIFF's tags
UNSIGNED = 1  # a sample format
WHITE_IS_ZERO = 0  # a photometric interpretation: scanners' negatives, which Pillow turns at 1 and 8 bits only
BELOW_ZERO = 0.1  # of the full scale: what resampling and sharpening leave


def opaque(picture: Image.Image) -> Image.Image:
    """A picture of any mode in RGB; see above for its values. ValueError where they are no picture's."""
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = Image.fromarray(_levels(picture))
    if picture.mode in ("RGBa", "La"):  # multiplied by its alpha already
        picture = picture.convert("RGBA" if picture.mode == "RGBa" else "LA")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return _of_lab(picture) if picture.mode == "LAB" else picture.convert("RGB")


def _levels(picture: Image.Image) -> np.ndarray:
    """Grey levels uint8 (H, W) of a picture whose values have more than eight bits."""
    values, tags = np.asarray(picture), getattr(picture, "tag_v2", {})
    bits = tags.get(BITS_PER_SAMPLE, (32,))[0]
    if picture.mode == "F":
        levels = _scaled(values.astype(np.float64), _full_scale_of_floats(values))
    elif bits <= 16 or picture.mode.startswith("I;16") or picture.format in ("PNG", "PPM"):
        levels = (values.astype(np.int64).clip(0, 65535) >> (min(bits, 16) - 8)).astype(np.uint8)
    else:
        if tags.get(SAMPLE_FORMAT, (0,))[0] == UNSIGNED:
            values = values.astype(np.int32).view(np.uint32)  # Pillow has no mode for them
        full = next(full for full in (255, 65535, 2**31 - 1, 2**32 - 1) if values.max() <= full)
        levels = _scaled(values.astype(np.float64), full)
    return 255 - levels if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else levels


def _full_scale_of_floats(values: np.ndarray) -> int:
    largest = values.max()
    full = 1 if largest <= 2 else next((full for full in (255, 65535) if largest <= full * 1.05), None)
    if not np.isfinite(values).all() or full is None:
        raise ValueError(
            f"its pixels are floating-point numbers from {values.min():g} to {largest:g}; pictures have [0, 1], [0, 255] "
            "or [0, 65535]"
        )
    return full


def _scaled(values: np.ndarray, full: int) -> np.ndarray:
    if values.min() < -BELOW_ZERO * full:
        raise ValueError(
            f"its pixels are numbers from {values.min():g} to {values.max():g}; pictures have none below 0"
        )
    return (values * (255 / full)).round().clip(0, 255).astype(np.uint8)


def _of_lab(picture: Image.Image) -> Image.Image:
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(picture, lab, rgb, outputMode="RGB")
    assert converted is not None, "not in place"
    return converted
