"""Autoencoders side by side as people look at them: a table, and for each a slider, its errors, and its latent."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from evaluation.metrics.round_trip import RoundTrip
from ldm_core.images import to_pil

from .data_url import data_url

PATCH = 64  # pixels: the worst one is shown enlarged
WORST = 64  # levels of 255 at the bright end of the error map; the same for all, so that maps can be compared
CHANNELS = 16  # of a latent, shown at most
COLUMNS = (
    "autoencoder",
    "PSNR, dB",
    "SSIM",
    "latent",
    "values saved",
    "kB at 8 bits",
    "bicubic, dB",
    "JPEG, dB",
    "WebP, dB",
    "encode, decode, s",
)
# Dark to bright, equal steps to the eye.
HEAT = np.array([(0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)], float)


@dataclass(frozen=True)
class Compared:
    """One autoencoder's round trip, beside what other means make of the image at the same cost."""

    name: str
    words: str
    trip: RoundTrip
    sampled_psnr: float | None  # by a sample of the posterior in place of its mean
    others: dict[str, float | None]  # of same_cost

    def numbers(self) -> dict[str, object]:
        """What a script gets of it."""
        trip = self.trip
        return {
            "autoencoder": self.name,
            "psnr": _number(round(trip.psnr, 3)),
            "ssim": round(trip.ssim, 4),
            "latent": list(trip.latent.shape[1:]),
            "values_saved": trip.values_saved,
            "bytes": trip.byte_count,
            "psnr_sampled": _number(self.sampled_psnr),
            **{name: _number(value) for name, value in self.others.items()},
            "encode_seconds": round(trip.encode_seconds, 3),
            "decode_seconds": round(trip.decode_seconds, 3),
        }


def _number(value: float | None) -> float | str | None:
    """As JSON and CSV hold it, neither of which has an infinity."""
    return decibels(value) if value is not None and math.isinf(value) else value


def comparison_html(image: Tensor, compared: list[Compared], failed: dict[str, str]) -> str:
    """The whole view of an image (3, H, W) in [0, 1]."""
    best = max((each.trip.psnr for each in compared), default=0.0)
    rows = "".join(_row(each, each.trip.psnr == best) for each in compared)
    missing = "".join(
        f'<p class="failed"><b>{html.escape(name)}</b>: {html.escape(why)}</p>' for name, why in failed.items()
    )
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    original = picture_source(to_pil(image))
    details = "".join(_detail(each, image, original, index == 0) for index, each in enumerate(compared))
    note = (
        f"{missing}<p>bicubic: shrunk to as many numbers and enlarged again; JPEG and WebP: files of as many bytes</p>"
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="ae"><div class="wide" tabindex="0" role="region" aria-label="numbers">{table}</div>{note}{details}</div>'


def _row(each: Compared, best: bool) -> str:
    trip = each.trip
    channels, height, width = trip.latent.shape[1:]
    sampled = f" <small>(sampled {decibels(each.sampled_psnr)})</small>" if each.sampled_psnr is not None else ""
    others = ["unreachable" if value is None else decibels(value) for value in each.others.values()]
    cells = [
        f"<b>{decibels(trip.psnr)}</b>{sampled}" if best else f"{decibels(trip.psnr)}{sampled}",
        f"{trip.ssim:.3f}",
        f"{channels} x {height} x {width}",
        f"{trip.values_saved:.0f}x",
        f"{trip.byte_count / 1000:.1f}",
        *others,
        f"{trip.encode_seconds:.2f}, {trip.decode_seconds:.2f}",
    ]
    name = f"<td title='{html.escape(each.words)}'>{html.escape(each.name)}</td>"
    return f"<tr>{name}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def decibels(value: float) -> str:
    """A PSNR, which has no end where nothing was lost."""
    return "identical" if math.isinf(value) else f"{value:.2f}"


def _detail(each: Compared, image: Tensor, original: str, opened: bool) -> str:
    rebuilt, name = each.trip.rebuilt[0], html.escape(each.name)
    source, shape = picture_source(to_pil(rebuilt)), f'style="--ratio: {image.shape[2]} / {image.shape[1]}"'
    error = (image - rebuilt).square().mean(0).sqrt() * 255  # (H, W), levels
    top, left = worst_patch(error)
    area = (slice(None), slice(top, top + PATCH), slice(left, left + PATCH))
    pair = "".join(
        _figure(picture_source(_enlarged(to_pil(part[area]), 3)), f"worst {PATCH} x {PATCH} patch, {words}")
        for part, words in ((image, "original"), (rebuilt, name))
    )
    return (
        f"<details{' open' if opened else ''}><summary>{name} <small>{html.escape(each.words)}</small></summary>"
        f'<figure class="cut" {shape}><div><img src="{original}" alt="the photo, original">'
        f'<img class="over" src="{source}" alt="the photo as {name} keeps it"><i></i></div>'
        f'<input type="range" min="0" max="100" value="50" aria-label="original to the left, {name} to the right" '
        "oninput=\"this.parentNode.style.setProperty('--cut', this.value + '%')\">"
        f"<figcaption>original to the left, {name} to the right; drag, or use the arrow keys</figcaption></figure>"
        f'<div class="row">{_figure(original, "original")}{_figure(source, name)}'
        f"{_figure(picture_source(heat_map(error)), f'error, mean {float(error.mean()):.1f} of 255')}</div>"
        f"{_scale()}<div class='row'>{pair}</div>{_latents(each.trip.latent[0], name)}</details>"
    )


def _figure(source: str, words: str) -> str:
    return f'<figure><img src="{source}" alt="{words}" loading="lazy"><figcaption>{words}</figcaption></figure>'


def _scale() -> str:
    colours = ", ".join(f"rgb({red:.0f} {green:.0f} {blue:.0f})" for red, green, blue in HEAT)
    bar = f'<i style="background:linear-gradient(90deg, {colours})"></i>'
    return f'<div class="heat"><span>0</span>{bar}<span>{WORST} or more levels off</span></div>'


def _latents(latent: Tensor, name: str) -> str:
    figures = []
    for index, channel in enumerate(latent[:CHANNELS]):
        mean, spread = float(channel.mean()), float(channel.std())
        words = f"channel {index + 1}: mean {mean:.2f}, std {spread:.2f}"
        figures.append(_figure(picture_source(latent_picture(channel)), words))
    more = f"<p>and {len(latent) - CHANNELS} channels more</p>" if len(latent) > CHANNELS else ""
    return (
        f"<h4>The latent of {name}</h4><p>What the generator of pictures really works on: {len(latent)} small maps, each number "
        f"worth a patch of the photo. Grey is 0, white and black three standard deviations.</p>"
        f"<div class='row small'>{''.join(figures)}</div>{more}"
    )


def latent_picture(channel: Tensor) -> Image.Image:
    """A latent channel (h, w) in grey: 0 in the middle, three standard deviations to either end."""
    reach = 3 * float(channel.std()) or 1.0
    levels = ((channel / reach + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    return _enlarged(Image.fromarray(levels), max(1, 192 // max(channel.shape)))


def heat_map(error: Tensor) -> Image.Image:
    """Errors (H, W) in levels of 255 as colours: black is none, pale yellow WORST or more."""
    places = np.linspace(0, 255, len(HEAT))
    table = np.stack([np.interp(np.arange(256), places, HEAT[:, channel]) for channel in range(3)], axis=1).round()
    levels = (error / WORST * 255).round().clamp(0, 255).byte().numpy()
    return Image.fromarray(table.astype(np.uint8)[levels])


def worst_patch(error: Tensor) -> tuple[int, int]:
    """Top and left of the PATCH x PATCH square with the largest mean square error, on a grid of eight pixels."""
    size = min(PATCH, *error.shape)
    means = F.avg_pool2d(error.square()[None], size, stride=8)[0]
    row, column = divmod(int(means.argmax()), means.shape[1])
    return 8 * row, 8 * column


def _enlarged(picture: Image.Image, factor: int) -> Image.Image:
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def picture_source(picture: Image.Image) -> str:
    """A picture as a data URL, without loss."""
    return data_url(picture, "webp", lossless=True, method=0)
