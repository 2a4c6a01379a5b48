"""Every change of an image's range and layout.

An image here is (B, 3, H, W) float32 in [0, 1]. At the boundary to files and detectors it is uint8, rounded once;
diffusers' autoencoders work in [-1, 1].
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from .data.photos import DAMAGED, opaque, pixels_of_png
from .files import whole_file


def to_uint8(images: Tensor) -> np.ndarray:
    """Images (B, 3, H, W) in [0, 1] -> uint8 (B, H, W, 3), to nearest: truncation would darken by half a level."""
    return (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def from_uint8(pixels: np.ndarray) -> Tensor:
    """uint8 (B, H, W, 3) -> images (B, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float() / 255


def rounded(images: Tensor) -> Tensor:
    """Images in [0, 1] as 8 bits hold them, still in [0, 1]."""
    return (images.clamp(0, 1) * 255).round() / 255


def to_pil(image: Tensor) -> Image.Image:
    """One image (3, H, W) in [0, 1] as a PIL picture."""
    return Image.fromarray(to_uint8(image[None])[0])


def from_pil(picture: Image.Image) -> Tensor:
    """A PIL picture of any mode -> one image (3, H, W) in [0, 1]; transparency shows white behind it."""
    return from_uint8(np.asarray(opaque(picture))[None])[0]


def to_model(images: Tensor) -> Tensor:
    """[0, 1] -> [-1, 1]."""
    return images * 2 - 1


def from_model(images: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1], clamped."""
    return ((images + 1) / 2).clamp(0, 1)


def png_text(text: dict[str, str]) -> PngImagePlugin.PngInfo:
    """Key and value pairs as PNG text chunks; UTF-8 where Latin-1 does not hold them."""
    chunks = PngImagePlugin.PngInfo()
    for key, value in text.items():
        chunks.add_text(key, value) if value.isascii() else chunks.add_itxt(key, value)
    return chunks


def save_png(path: Path, pixels: np.ndarray, text: dict[str, str] | None = None) -> None:
    """Write uint8 (H, W, 3) as PNG, whole or not at all."""
    with whole_file(path) as partial:
        Image.fromarray(pixels).save(partial, format="PNG", pnginfo=png_text(text or {}))


def pixels_sha256(pixels: np.ndarray) -> str:
    """Of an array's sides and values, as uint8 (H, W, 3): what a picture shows, however its file is packed."""
    return hashlib.sha256(f"{pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def load_png(path: Path) -> np.ndarray:
    """uint8 (H, W, 3) of a whole picture file; OSError names it where it is damaged, cut short or beyond all sizes."""
    return load_png_and_text(path)[0]


def load_png_and_text(path: Path) -> tuple[np.ndarray, dict[str, str]]:
    """The same, with the texts that the file carries by their keys."""
    try:
        with Image.open(path) as picture:
            pixels, text = np.asarray(picture.convert("RGB")), dict(getattr(picture, "text", {}))
            if picture.format == "PNG" and pixels_of_png(path) is None:
                raise OSError(DAMAGED)
            return pixels, text
    except Exception as error:  # noqa: BLE001  # the library raises what it likes over damaged bytes
        words = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
        raise OSError(f"{path} is no picture that can be read: {words[:200]}") from None
