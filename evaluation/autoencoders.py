"""Autoencoders side by side over a folder of photographs.

    python -m evaluation.autoencoders --images FOLDER --models photo-f8,sd-vae-ft-mse,taesd --out runs/autoencoders

Each image is cropped (never squeezed) to sides that every model can take, encoded to the posterior mean, decoded and
rounded to 8 bits. Writes images.csv (a row per image and model), summary.csv and report.html.
"""

from __future__ import annotations

import argparse
import html
import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from torch import Tensor
from tqdm import tqdm

from ldm_core.autoencoder import Autoencoder
from ldm_core.data.photos import open_photo, photo_files
from ldm_core.files import write_whole
from ldm_core.images import from_pil
from ldm_core.loading import autoencoder_folder, load_autoencoder, quiet
from ldm_core.placement import choose_device
from ldm_core.registry import AUTOENCODERS

from . import command, statistics
from .metrics.reconstruction import SSIM_WINDOW, crop
from .metrics.round_trip import QUALITIES, round_trip, same_cost
from .paths import without_home
from .report.document import document
from .run_folder import write_table

CODECS = [f"psnr_{codec.lower()}" for codec in QUALITIES]
DEFAULT = "photo-f4,photo-f8,photo-f16"


def compare(image: Tensor, autoencoder: Autoencoder) -> dict[str, float | None]:
    """One image (3, H, W) through one autoencoder: quality and times, and what other means make of it at the same cost."""
    found = round_trip(image, autoencoder)
    return {
        "psnr": found.psnr,
        "ssim": found.ssim,
        **same_cost(image, found),
        "values_saved": found.values_saved,
        "bytes": found.byte_count,
        "encode_seconds": found.encode_seconds,
        "decode_seconds": found.decode_seconds,
    }


def measure(files: list[Path], models: dict[str, Autoencoder]) -> tuple[pd.DataFrame, dict[str, str]]:
    """A row per image and model; and the files that are left out of all of them, each with the reason.

    ValueError where none is left.
    """
    multiple = math.lcm(*(model.factor for model in models.values()))
    rows: list[dict] = []
    left_out: dict[str, str] = {}
    for path in tqdm(files, desc="images", unit="image", mininterval=2):
        try:
            rows += _rows(path, models, multiple)
        except ValueError as error:
            left_out[str(path)] = str(error)
    if not rows:
        first = next(iter(left_out.values()))
        raise ValueError(f"none of the {len(files)} images can be measured; the first: {first}")
    return pd.DataFrame(rows), left_out


def _rows(path: Path, models: dict[str, Autoencoder], multiple: int) -> list[dict]:
    """An image's row for each model; ValueError names one that cannot be read or measured by all of them."""
    image, rows = crop(from_pil(open_photo(path)), multiple), []
    least = max(multiple, SSIM_WINDOW)
    if min(image.shape[1:]) < least:
        raise ValueError(f"{path} is smaller than {least} pixels along a side, which these models and SSIM need")
    for name, model in models.items():
        size = {"image": path.name, "width": image.shape[2], "height": image.shape[1]}
        latent = {"model": name, "factor": model.factor, "latent_channels": model.latent_channels}
        found = compare(image, model)
        if odd := [key for key, value in found.items() if value is not None and not math.isfinite(value)]:
            raise ValueError(f"{path} has no finite {odd[0]}: it is of one colour, or kept to the last bit")
        rows.append(size | latent | found)
    return rows


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """A row per model: means over images with standard errors, and the gain over bicubic, paired."""
    rows = []
    for name, part in table.groupby("model", sort=False):
        quality = statistics.mean(part["psnr"])
        gain = statistics.mean(part["psnr"] - part["psnr_bicubic"])
        rows.append(
            {
                "model": name,
                "factor": part["factor"].iloc[0],
                "latent_channels": part["latent_channels"].iloc[0],
                "values_saved": part["values_saved"].mean(),
                "n": len(part),
                "psnr": quality.value,
                "psnr_se": quality.se,
                "ssim": part["ssim"].mean(),
                "psnr_bicubic": part["psnr_bicubic"].mean(),
                "gain": gain.value,
                "gain_se": gain.se,
                "bytes": part["bytes"].mean(),
                **{name: _all_of(part[name]) for name in CODECS},
                "encode_seconds": part["encode_seconds"].median(),
                "decode_seconds": part["decode_seconds"].median(),
            }
        )
    return pd.DataFrame(rows)


def _all_of(values: pd.Series) -> float:
    """The mean, where every image has a value: a mean over those that a codec can make so small would flatter it."""
    return values.astype(float).mean() if values.notna().all() else float("nan")


def _with_errors(values: pd.Series, errors: pd.Series, form: str) -> list[str]:
    return [f"{value:{form}}" + (f" ± {error:.2f}" if pd.notna(error) else "") for value, error in zip(values, errors)]


def _or_unreachable(value: float) -> str:
    return f"{value:.2f}" if pd.notna(value) else "unreachable"


def page(summary: pd.DataFrame, folder: Path, left_out: Mapping[str, str] | None = None) -> str:
    """The summary as one self-contained HTML file, with the files that are left out of it."""
    shown = pd.DataFrame(
        {
            "model": summary["model"],
            "f": summary["factor"],
            "channels": summary["latent_channels"],
            "values saved": [f"{saved:.0f}x" for saved in summary["values_saved"]],
            "PSNR, dB": _with_errors(summary["psnr"], summary["psnr_se"], ".2f"),
            "SSIM": [f"{value:.3f}" for value in summary["ssim"]],
            "bicubic, as many values, dB": [f"{value:.2f}" for value in summary["psnr_bicubic"]],
            "gain, dB": _with_errors(summary["gain"], summary["gain_se"], "+.2f"),
            "kB at 8 bits": [f"{count / 1000:.1f}" for count in summary["bytes"]],
            "JPEG of that size, dB": [_or_unreachable(value) for value in summary["psnr_jpeg"]],
            "WebP, dB": [_or_unreachable(value) for value in summary["psnr_webp"]],
            "encode": [f"{1000 * value:.0f} ms" for value in summary["encode_seconds"]],
            "decode": [f"{1000 * value:.0f} ms" for value in summary["decode_seconds"]],
        }
    )
    count, name = int(summary["n"].max()), html.escape(folder.name)
    body = (
        f"<h1>Autoencoders on {name}</h1>"
        f'<p class="lead">{count} images; posterior mean, decoded, rounded to 8 bits; PSNR per image, then averaged; '
        f"± is one standard error.</p>"
        f'<div class="scroll">{shown.to_html(index=False, border=0)}</div>'
    )
    if left_out:
        reasons = "".join(f"<li>{html.escape(without_home(reason))}</li>" for reason in left_out.values())
        body += f"<p>Left out, of all models: {len(left_out)}</p><ul>{reasons}</ul>"
    return document(f"Autoencoders on {name}", body)


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("evaluation.autoencoders", __doc__)
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER", help="photographs, searched below too")
    parser.add_argument(
        "--models",
        default=DEFAULT,
        help=f"names ({', '.join(AUTOENCODERS)}, or a model's), folders or hub ids, with commas between (default: %(default)s)",
    )
    parser.add_argument("--limit", type=int, default=None, metavar="N", help="only the first N images")
    parser.add_argument("--device", default=None)
    parser.add_argument("--out", type=Path, default=None, help="default: runs/autoencoders-<folder>")
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    quiet()
    out = arguments.out or Path("runs") / f"autoencoders-{arguments.images.resolve().name}"
    files = photo_files(arguments.images)[: arguments.limit]
    device = choose_device(arguments.device)
    names = list(dict.fromkeys(name.strip() for name in arguments.models.split(",")))
    table, left_out = measure(files, {name: load_autoencoder(autoencoder_folder(name), device) for name in names})
    out.mkdir(parents=True, exist_ok=True)
    summary = summarise(table)
    for name, content in (("images", table), ("summary", summary)):
        write_table(out / f"{name}.csv", content)
    write_whole(out / "report.html", page(summary, arguments.images, left_out))
    for reason in left_out.values():
        print(f"left out: {reason}")
    print(summary.round(3).to_string(index=False))
    print(f"\nreport: {out / 'report.html'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
