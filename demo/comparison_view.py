"""Autoencoders side by side as people look at them: a table, a wipe over any two, and for each its errors and its latent."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from evaluation.metrics.reconstruction import lpips_obstacle
from evaluation.metrics.round_trip import RoundTrip
from ldm_core.images import to_pil

from .drift import Drift, drift_html
from .error_maps import PATCH, PLAIN, SEEN, SIGNED, Scale, delta_e, levels_off, signed_levels, worst_patch
from .figures import decibels, enlarged, figure, picture_source
from .pair_view import pair_html, ratio_style, window

CHANNELS = 16  # of a latent, shown at most
COLUMNS = (
    "autoencoder",
    "PSNR, dB",
    "SSIM",
    "mean &Delta;E",
    "latent",
    "times fewer values",
    "kB (bits a pixel)",
    "bicubic, dB",
    "JPEG, dB",
    "WebP, dB",
    "encode, decode, s",
)
MEASURES = (
    "PSNR: how close each pixel is to the photo's, in decibels, more is closer; from about 40 on hardly anybody sees a "
    "difference. SSIM: how alike structures are, 1 is the same. &Delta;E: the difference of colours as eyes see them; 2 is "
    "about what one notices. kB and bits a pixel: of a latent that is kept with 8 bits a number. What else is to be had at the "
    "same cost: bicubic is the photo shrunk to as many numbers and enlarged again; JPEG and WebP are files of as many bytes"
)


@dataclass(frozen=True)
class Compared:
    """One autoencoder's round trip, beside what other means make of the image at the same cost."""

    name: str
    words: str
    trip: RoundTrip
    usual_psnr: float | None  # by the posterior's mean in float32, where the trip is by something else
    others: dict[str, float | None]  # of same_cost
    delta_e: float = 0.0  # mean over the pixels
    lpips: float | None = None

    def numbers(self) -> dict[str, object]:
        """What a script gets of it."""
        trip = self.trip
        return {
            "autoencoder": self.name,
            "psnr": _number(round(trip.psnr, 3)),
            "ssim": round(trip.ssim, 4),
            "delta_e": round(self.delta_e, 3),
            "lpips": None if self.lpips is None else round(self.lpips, 4),
            "latent": list(trip.latent.shape[1:]),
            "values_saved": trip.values_saved,
            "bytes": trip.byte_count,
            "bits_per_pixel": round(trip.bits_per_pixel, 4),
            "psnr_mean_float32": _number(self.usual_psnr),
            **{name: _number(value) for name, value in self.others.items()},
            "encode_seconds": round(trip.encode_seconds, 3),
            "decode_seconds": round(trip.decode_seconds, 3),
        }


def _number(value: float | None) -> float | str | None:
    """As JSON and CSV hold it, neither of which has an infinity."""
    return decibels(value) if value is not None and math.isinf(value) else value


def comparison_html(
    image: Tensor, compared: list[Compared], failed: Mapping[str, str], drifts: Mapping[str, Drift] | None = None
) -> str:
    """The whole view of an image (3, H, W) in [0, 1]."""
    pictures = [("original", picture_source(to_pil(image)))]
    pictures += [(each.name, picture_source(to_pil(each.trip.rebuilt[0]))) for each in compared]
    shown = "".join(
        f"<figure>{window(source, f'the photo, {name}')}<figcaption>{html.escape(name)}</figcaption></figure>"
        for name, source in pictures
    )
    details = "".join(_detail(each, image, index == 0) for index, each in enumerate(compared))
    pair = f'{pair_html(pictures)}<div class="row all">{shown}</div>' if compared else ""
    drifted = drift_html(drifts) if drifts else ""
    return f'<div class="ae" {ratio_style(image)}>{_table(compared)}{_notes(failed)}{pair}{details}{drifted}</div>'


def _table(compared: list[Compared]) -> str:
    best = max((each.trip.psnr for each in compared), default=0.0)
    scored = any(each.lpips is not None for each in compared)
    head = "".join(f"<th>{name}</th>" for name in (*COLUMNS, *(["LPIPS"] if scored else [])))
    rows = "".join(_row(each, each.trip.psnr == best, scored) for each in compared)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="wide" tabindex="0" role="region" aria-label="numbers">{table}</div>'


def _notes(failed: Mapping[str, str]) -> str:
    missing = "".join(
        f'<p class="failed"><b>{html.escape(name)}</b>: {html.escape(why)}</p>' for name, why in failed.items()
    )
    obstacle = lpips_obstacle()
    lpips = (
        f"LPIPS is not computed: {html.escape(obstacle)}"
        if obstacle
        else "LPIPS: how different it looks, less is closer"
    )
    return f'{missing}<details class="measures"><summary>What the numbers say</summary><p>{MEASURES}. {lpips}.</p></details>'


def _row(each: Compared, best: bool, scored: bool) -> str:
    trip = each.trip
    channels, height, width = trip.latent.shape[1:]
    usual = f" <small>(mean, float32: {decibels(each.usual_psnr)})</small>" if each.usual_psnr is not None else ""
    others = ["unreachable" if value is None else decibels(value) for value in each.others.values()]
    cells = [
        f"<b>{decibels(trip.psnr)}</b>{usual}" if best else f"{decibels(trip.psnr)}{usual}",
        f"{trip.ssim:.3f}",
        f"{each.delta_e:.2f}",
        f"{channels} x {height} x {width}",
        f"{trip.values_saved:.0f}x",
        f"{trip.byte_count / 1000:.1f} ({trip.bits_per_pixel:.2f})",
        *others,
        f"{trip.encode_seconds:.2f}, {trip.decode_seconds:.2f}",
        *([] if not scored else ["" if each.lpips is None else f"{each.lpips:.4f}"]),
    ]
    name = f"<td title='{html.escape(each.words)}'>{html.escape(each.name)}</td>"
    return f"<tr>{name}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _detail(each: Compared, image: Tensor, opened: bool) -> str:
    rebuilt, name = each.trip.rebuilt[0], html.escape(each.name)
    error, signed, seen = (measure(image, rebuilt) for measure in (levels_off, signed_levels, delta_e))
    top, left = worst_patch(error)
    area = (slice(None), slice(top, top + PATCH), slice(left, left + PATCH))
    pair = "".join(
        figure(picture_source(enlarged(to_pil(part[area]), 3)), f"worst {PATCH} x {PATCH} square, {words}")
        for part, words in ((image, "original"), (rebuilt, each.name))
    )
    maps = (
        _map(PLAIN, error, each.name, f"error, mean {float(error.mean()):.1f} of 255 levels")
        + _map(SIGNED, signed, each.name, f"signed error, mean {float(signed.mean()):+.2f} levels")
        + _map(SEEN, seen, each.name, f"colour as eyes see it (Lab), mean ΔE {float(seen.mean()):.1f}")
    )
    return (
        f"<details{' open' if opened else ''}><summary>{name} <small>{html.escape(each.words)}</small></summary>"
        f'<div class="row maps">{maps}</div><div class="row maps">{pair}</div>{_latents(each.trip.latent[0], each.name)}</details>'
    )


def _map(scale: Scale, values: Tensor, name: str, words: str) -> str:
    shown = window(picture_source(scale.picture(values)), f"map of {name}: {words}")
    return f"<figure>{shown}<figcaption>{html.escape(words)}</figcaption>{scale.legend()}</figure>"


def _latents(latent: Tensor, name: str) -> str:
    figures = []
    for index, channel in enumerate(latent[:CHANNELS]):
        words = f"channel {index + 1}: mean {float(channel.mean()):.2f}, std {float(channel.std()):.2f}"
        figures.append(figure(picture_source(latent_picture(channel)), words))
    more = f"<p>and {len(latent) - CHANNELS} channels more</p>" if len(latent) > CHANNELS else ""
    return (
        f"<h4>The latent of {html.escape(name)}</h4><p>What the generator of pictures really works on: {len(latent)} small "
        "maps, each number worth a patch of the photo. Grey is 0, white and black three standard deviations.</p>"
        f"<div class='row small'>{''.join(figures)}</div>{more}"
    )


def latent_picture(channel: Tensor) -> Image.Image:
    """A latent channel (h, w) in grey: 0 in the middle, three standard deviations to either end."""
    reach = 3 * float(channel.std()) or 1.0
    levels = ((channel / reach + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    return enlarged(Image.fromarray(levels), max(1, 192 // max(channel.shape)))
