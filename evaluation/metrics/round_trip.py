"""One image through one autoencoder and back, and what plain codecs make of it at the same cost."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from ldm_core.autoencoder import Autoencoder
from ldm_core.images import from_pil, rounded, to_pil

from .reconstruction import bicubic, psnr, ssim

# Of a latent value, where bytes are spoken of: published models keep their quality at that. None here is coded so.
BITS = 8
QUALITIES = {"JPEG": range(1, 96), "WEBP": range(101)}


@dataclass(frozen=True)
class RoundTrip:
    """The latent (1, C, h, w) of an image, what was decoded from it (1, 3, H, W), 8-bit rounded, and how good that is."""

    latent: Tensor
    rebuilt: Tensor
    psnr: float  # dB
    ssim: float
    values_saved: float  # image values per latent value
    encode_seconds: float
    decode_seconds: float

    @property
    def byte_count(self) -> int:
        """Of the latent at 8 bits a value."""
        return self.latent.numel() * BITS // 8

    @property
    def bits_per_pixel(self) -> float:
        """Of the latent at 8 bits a value, by pixels of the image."""
        return self.latent.numel() * BITS / self.rebuilt[0, 0].numel()


def round_trip(image: Tensor, autoencoder: Autoencoder, sample_seed: int | None = None) -> RoundTrip:
    """One image (3, H, W) in [0, 1] whose sides the autoencoder takes; by the posterior's mean, or a seeded sample of it."""
    began = time.perf_counter()
    generator = None if sample_seed is None else torch.Generator(autoencoder.device).manual_seed(sample_seed)
    latent = autoencoder.encode(image[None], sample_seed is not None, generator)
    encoded = time.perf_counter()
    rebuilt = rounded(autoencoder.decode(latent))
    decoded = time.perf_counter()
    return RoundTrip(
        latent.cpu(),
        rebuilt,
        float(psnr(image[None], rebuilt)),
        float(ssim(image[None], rebuilt)),
        image.numel() / latent.numel(),
        encoded - began,
        decoded - encoded,
    )


def same_cost(image: Tensor, trip: RoundTrip) -> dict[str, float | None]:
    """PSNR in dB of what other means keep of an image (3, H, W) at the cost of its round trip: as many values kept by
    bicubic shrinking, as many bytes of JPEG and WebP; None where a codec has no file so small."""
    codecs = {f"psnr_{codec.lower()}": codec_psnr(image, trip.byte_count, codec) for codec in QUALITIES}
    return {"psnr_bicubic": bicubic_psnr(image, trip.latent.numel()), **codecs}


def bicubic_psnr(image: Tensor, values: int) -> float:
    """PSNR in dB of an image (3, H, W) shrunk to as many values and enlarged again."""
    return float(psnr(image[None], rounded(bicubic(image[None], values))))


def codec_psnr(image: Tensor, byte_count: int, codec: str) -> float | None:
    """PSNR in dB of an image (3, H, W) as JPEG or WEBP at the best quality that fits; None where none is so small.

    Whole files are counted, header and all.
    """
    picture, qualities = to_pil(image), QUALITIES[codec]
    low, high, best = 0, len(qualities) - 1, None
    while low <= high:  # sizes grow with quality
        middle = (low + high) // 2
        coded = _coded(picture, codec, qualities[middle])
        if len(coded) <= byte_count:
            best, low = coded, middle + 1
        else:
            high = middle - 1
    if best is None:
        return None
    return float(psnr(image[None], from_pil(Image.open(io.BytesIO(best)))[None]))


def _coded(picture: Image.Image, codec: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    options = {"optimize": True} if codec == "JPEG" else {"method": 4}
    picture.save(buffer, format=codec, quality=quality, **options)
    return buffer.getvalue()
