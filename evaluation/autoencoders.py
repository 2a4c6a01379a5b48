"""Autoencoders side by side over a folder of photographs.

    python -m evaluation.autoencoders --images FOLDER --models photo-f8,sd-vae-ft-mse,taesd --out runs/autoencoders

Each image is cropped (never squeezed) to sides that every model can take, encoded to the posterior mean, decoded and
rounded to 8 bits. Writes images.csv (a row per image and model), summary.csv and report.html.
"""

from __future__ import annotations

import argparse
import html
import math
from pathlib import Path

import pandas as pd
from torch import Tensor
from tqdm import tqdm

from ldm_core.autoencoder import Autoencoder
from ldm_core.data.photos import open_photo, photo_files
from ldm_core.files import write_whole
from ldm_core.images import from_pil
from ldm_core.loading import autoencoder_folder, choose_device, load_autoencoder, quiet
from ldm_core.registry import AUTOENCODERS

from . import command, statistics
from .metrics.reconstruction import crop
from .metrics.round_trip import QUALITIES, round_trip, same_cost
from .report.document import document

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


def measure(files: list[Path], models: dict[str, Autoencoder]) -> pd.DataFrame:
    """A row per image and model."""
    multiple = math.lcm(*(model.factor for model in models.values()))
    rows = []
    for path in tqdm(files, desc="images", unit="image", mininterval=2):
        image = crop(from_pil(open_photo(path)), multiple)
        if not image.numel():
            raise ValueError(f"{path} is smaller than {multiple} pixels along a side, which these models need")
        for name, model in models.items():
            size = {"image": path.name, "width": image.shape[2], "height": image.shape[1]}
            latent = {"model": name, "factor": model.factor, "latent_channels": model.latent_channels}
            rows.append(size | latent | compare(image, model))
    return pd.DataFrame(rows)


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


def page(summary: pd.DataFrame, folder: Path) -> str:
    """The summary as one self-contained HTML file."""
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
    table = measure(files, {name: load_autoencoder(autoencoder_folder(name), device) for name in names})
    out.mkdir(parents=True, exist_ok=True)
    summary = summarise(table)
    for name, content in (("images", table), ("summary", summary)):
        write_whole(out / f"{name}.csv", content.to_csv(index=False, lineterminator="\n"))
    write_whole(out / "report.html", page(summary, arguments.images))
    print(summary.round(3).to_string(index=False))
    print(f"\nreport: {out / 'report.html'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
