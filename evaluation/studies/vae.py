"""Does an autoencoder keep photographs above 30 dB, and JPEG at 10 to 20 times fewer bytes with little loss?

Measured by evaluation/autoencoders.py; what codecs keep is measured at the text's ratios besides.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .study import FAILS, HOLDS, IN_PART, MEASURED, Option, Outcome, Study

if TYPE_CHECKING:
    import pandas as pd

BAR = 30.0  # dB
RATIOS = (10, 20, 48)  # of bytes of plain pixels; the first two are the text's for JPEG, the third its autoencoder's
COLUMNS = {"autoencoder": "psnr", "JPEG": "psnr_jpeg", "WebP": "psnr_webp", "bicubic": "psnr_bicubic"}


def run(options: argparse.Namespace, work: Path) -> Outcome:
    """Each photograph through each autoencoder and, at equal bytes, through JPEG and WebP."""
    from ldm_core.data.photos import photo_files
    from ldm_core.loading import autoencoder_folder, load_autoencoder, quiet
    from ldm_core.placement import choose_device

    from ..autoencoders import measure

    if not options.data:
        raise ValueError("--data must name a folder of photographs, such as the 24 of Kodak: none ship here")
    quiet()
    files = photo_files(Path(options.data))[: options.limit or None]
    names, device = [name.strip() for name in options.models.split(",")], choose_device(None)
    table, left_out = measure(files, {name: load_autoencoder(autoencoder_folder(name), device) for name in names})
    codecs = codec_table([path for path in files if str(path) not in left_out])
    summary = summarise(table)
    verdict, words = concluded(summary, codecs)
    notes = NOTES + tuple(f"Left out: {reason}" for reason in left_out.values())
    tables = {"summary": summary, "codecs": codecs, "images": _slim(table)}
    return Outcome(verdict, words, tables, _figures(summary), notes)


NOTES = (
    (
        "PSNR of 8-bit pictures by photograph, then the mean, with 95 % intervals over photographs; an autoencoder's latent is counted "
        "at 8 bits a value, uncoded; codecs have whole files of at most as many bytes."
    ),
    (
        "The autoencoders are this repository's, trained for squared error on other photographs. The published ones of Stable "
        "Diffusion, which keep 48 times fewer values and were trained for looks, were not at hand: --models sd-vae-ft-mse measures them."
    ),
)


def _slim(table: pd.DataFrame) -> pd.DataFrame:
    """What differs by photograph, without the times, which are of this machine."""
    return table[["image", "model", *COLUMNS.values(), "ssim", "bytes"]]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each autoencoder and each way of keeping a picture in as many bytes (bicubic: values)."""
    import pandas as pd

    from ..statistics import Estimate, mean

    rows = []
    for model, part in table.groupby("model", sort=False):
        saved = part["values_saved"].mean()
        for way, column in COLUMNS.items():
            values = part[column].astype(float)
            found = mean(values) if values.notna().all() else Estimate(math.nan, len(part))
            kept = {"model": model, "values saved": saved, "kept by": way} | found.columns()
            rows.append(kept | {"above 30 dB": int((values >= BAR).sum())})
    return pd.DataFrame(rows)


def codec_table(files: Sequence[Path]) -> pd.DataFrame:
    """JPEG at the text's ratios: PSNR, and how many photographs stay above 30 dB."""
    import pandas as pd

    from ldm_core.data.photos import open_photo
    from ldm_core.images import from_pil

    from ..metrics.round_trip import codec_psnr
    from ..statistics import Estimate, mean

    images = [from_pil(open_photo(path)) for path in files]
    rows = []
    for ratio in RATIOS:
        found = [codec_psnr(image, image.numel() // ratio, "JPEG") for image in images]
        known = [value for value in found if value is not None]
        whole = len(known) == len(found)  # a mean over those that go so far would flatter
        estimate = mean(known) if whole else Estimate(math.nan, len(found))
        above = {"above 30 dB": sum(value >= BAR for value in known)}
        rows.append({"codec": "JPEG", "times fewer bytes": ratio} | estimate.columns() | above)
    return pd.DataFrame(rows).rename(columns={"value": "psnr"})


def concluded(summary: pd.DataFrame, codecs: pd.DataFrame) -> tuple[str, str]:
    """Which autoencoders keep 30 dB, and what JPEG does at the text's ratios."""
    own = summary[summary["kept by"] == "autoencoder"].set_index("model")
    held = own["low"].fillna(own["value"]) >= BAR
    failed = own["high"].fillna(own["value"]) < BAR
    of_each = "; ".join(
        f"{model} ({row['values saved']:.0f} times fewer values) {row['value']:.2f} dB [{row['low']:.2f}, {row['high']:.2f}], "
        f"{row['above 30 dB']} of {row['n']} photographs above 30"
        for model, row in own.iterrows()
    )
    jpeg = codecs.set_index("times fewer bytes")
    at_bytes = "; ".join(
        f"{model} {_of(summary, model, 'JPEG')} and {_of(summary, model, 'WebP')}" for model in own.index
    )
    words = (
        f"{of_each}. At the bytes of these latents JPEG and WebP keep: {at_bytes} dB. JPEG keeps {_db(jpeg['psnr'][10])} at 10 and "
        f"{_db(jpeg['psnr'][20])} at 20 times fewer bytes than plain pixels, so that its part of the claim "
        f"{'holds' if jpeg['psnr'][20] >= BAR else 'does not hold'}."
    )
    return (HOLDS if held.all() else FAILS if failed.all() else IN_PART), words


def _of(summary: pd.DataFrame, model: object, way: str) -> str:
    row = summary[(summary["model"] == model) & (summary["kept by"] == way)].iloc[0]
    return _db(row["value"], unit="")


def _db(value: float, unit: str = " dB") -> str:
    return f"{value:.2f}{unit}" if math.isfinite(value) else "no file so small for all"


def _figures(summary: pd.DataFrame) -> dict[str, str]:
    from ..report.charts import chart

    rows = summary.rename(columns={"values saved": "saved", "kept by": "by"})
    rows = rows.assign(saved=rows["saved"].round().astype(int))
    return {"psnr": chart(rows, "PSNR, dB", True, BAR, axis="saved", others=["by"])}


STUDY = Study(
    name="vae",
    claim="An autoencoder's reconstructions are typically above 30 dB PSNR at 48 times fewer values; JPEG compresses 10 to 20 times "
    "with little loss",
    source="“The Latent Diffusion Idea”, The Compression Insight",
    kind=MEASURED,
    minutes=4,
    run=run,
    options=(
        Option("data", "", "a folder of photographs, such as Kodak's 24"),
        Option("models", "photo-f4,photo-f8,photo-f16", "autoencoders, as evaluation.autoencoders takes them"),
        Option("limit", 0, "only so many photographs; 0 for all"),
    ),
    needs="data",
)
