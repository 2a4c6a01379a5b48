"""A test card for autoencoders: what each of them finds hard, in one picture with no photograph in it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE = 512  # pixels
PATCHES = ("#d7263d", "#f46036", "#ffd23f", "#2e933c", "#1b998b", "#2e5eaa", "#6d3b8c", "#ffffff", "#9a9a9a", "#111111")
TEXT = "Sphinx of black quartz, judge my vow. 0123456789"


def test_card() -> np.ndarray:
    """uint8 (512, 512, 3): fine text, gradients, a zone plate, colour patches, texture, thin lines."""
    card = Image.new("RGB", (SIZE, SIZE), "#f4f1ea")
    card.paste(Image.fromarray(_zone_plate(200)), (16, 16))
    card.paste(Image.fromarray(_texture(200)), (232, 16))
    card.paste(Image.fromarray(_gradients(264, 40)), (232, 232))
    draw = ImageDraw.Draw(card)
    for index, colour in enumerate(PATCHES):
        left, top = 448, 16 + index * 20
        draw.rectangle((left, top, left + 47, top + 17), fill=colour)
    for index in range(20):  # lines one pixel wide, ever closer
        left = 16 + round(200 * (1 - 0.86**index))
        draw.line((left, 232, left, 271), fill="#111111")
    top = 286
    for size in (8, 10, 12, 15, 19, 24, 32):
        words = TEXT if size < 20 else TEXT.split(",")[0]  # as much as fits
        draw.text((16, top), words, fill="#111111", font=ImageFont.load_default(size))
        top += round(size * 1.45)
    draw.ellipse((404, 380, 496, 472), outline="#2e5eaa", width=3)
    draw.line((404, 380, 496, 472), fill="#d7263d", width=2)
    return np.asarray(card)


def _zone_plate(size: int) -> np.ndarray:
    """cos(pi r^2 / size): every spatial frequency up to half a cycle a pixel, at the rim."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    wave = np.cos(np.pi * (x**2 + y**2) / size)
    return np.repeat(((wave + 1) * 127.5).round().astype(np.uint8)[..., None], 3, axis=2)


def _texture(size: int) -> np.ndarray:
    """Noise that falls off as natural images do, 1/f in amplitude, in three colours of their own."""
    rng = np.random.default_rng(7)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    falloff = 1 / np.maximum(frequency, 1 / size)
    planes = [np.fft.irfft2(np.fft.rfft2(rng.normal(size=(size, size))) * falloff, s=(size, size)) for _ in range(3)]
    shared = np.stack([0.8 * planes[0] + 0.2 * plane for plane in planes], axis=2)
    return (128 + 48 * shared / shared.std()).clip(0, 255).round().astype(np.uint8)


def _gradients(width: int, height: int) -> np.ndarray:
    """From black to white, and round the hues."""
    ramp = np.linspace(0, 255, width).round().astype(np.uint8)
    grey = np.repeat(np.repeat(ramp[None, :, None], height // 2, axis=0), 3, axis=2)
    hues = np.stack([ramp, np.full_like(ramp, 200), np.full_like(ramp, 230)], axis=1)[None]
    colour = np.asarray(Image.fromarray(np.repeat(hues, height - height // 2, axis=0), "HSV").convert("RGB"))
    return np.concatenate([grey, colour])
