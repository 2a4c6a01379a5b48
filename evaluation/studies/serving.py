"""Does a quantised U-Net behind an HTTP endpoint answer in 180 ms, and draw as well as the model that it was?

The model is exported, each export's pictures of held-out captions are compared with the model's own on the same seeds, and
what clients wait for is timed by `demo.serve_timing`, each in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..worlds import DRAWN
from .study import FAILS, HOLDS, IN_PART, MEASURED, Option, Outcome, Study

if TYPE_CHECKING:
    import pandas as pd

BAR = 0.18  # seconds, p50 of one client: of the text, on an NVIDIA L4
PLAIN = "torch float32"
LOSS = {"scene_accuracy": 0.02, "fd_scenes": 0.05}  # what an export may lose: absolute; of the distance a share of it
RELATIVE = {"fd_scenes"}
KNOWN = ("onnx-fp32", "onnx-bf16", "onnx-int8", "openvino-fp32", "openvino-bf16", "openvino-int8")


@dataclass(frozen=True)
class Served:
    """One way to serve the model: what it is called, what is loaded, and how."""

    name: str
    model: str
    engine: str | None = None
    dtype: str | None = None
    megabytes: float = 0.0


def run(options: argparse.Namespace, work: Path) -> Outcome:
    """Export, compare, time."""
    import pandas as pd

    asked = _asked(options)
    served, left_out = ways(options, asked, work)
    qualities = quality(options, served, work)
    waits = pd.concat([timed(one, options, work) for one in served], ignore_index=True)
    accepted = accepted_ways(qualities)
    verdict, words = concluded(waits, accepted)
    sizes = pd.DataFrame([{"way": one.name, "MB": one.megabytes, "accepted": one.name in accepted} for one in served])
    tables = {"waits": waits, "quality": qualities, "sizes": sizes}
    return Outcome(verdict, words, tables, _figures(waits), (*_notes(options), *left_out))


def _notes(options: argparse.Namespace) -> tuple[str, ...]:
    steps = f"{options.steps} steps" if options.steps else "the model's own number of steps"
    return (
        (
            f"The text's card is an NVIDIA L4 and its model is not named; here one picture of {options.model} in {steps} is timed on this "
            "machine's CPU, decoding, PNG and JSON included, no network between. Waits are of the clock, and what else runs counts."
        ),
        (
            f"An export is accepted where, of {options.prompts} held-out captions on the same seeds, the whole interval of what it loses "
            f"against {PLAIN} lies within {LOSS['scene_accuracy']:g} of accuracy and {LOSS['fd_scenes']:.0%} of the distance "
            "(evaluation.compare --strict)."
        ),
        (
            "Requests that wait together are drawn together, up to eight pictures a turn; each client asks for its next picture when it "
            "has its last. load: libraries imported, weights or graphs read; first: the very first picture, with what is compiled for it "
            "where no cache holds it."
        ),
    )


def _asked(options: argparse.Namespace) -> list[tuple[str, str]]:
    """(format, precision) of each export. ValueError for one that is none."""
    found = []
    for name in filter(None, (part.strip() for part in options.exports.split(","))):
        if name not in KNOWN:
            raise ValueError(f"--exports must be of {', '.join(KNOWN)}, got {name!r}")
        form, _, precision = name.partition("-")
        found.append((form, precision))
    return found


def ways(options: argparse.Namespace, asked: Sequence[tuple[str, str]], work: Path) -> tuple[list[Served], list[str]]:
    """The model by torch, by OpenVINO where that is installed, and as each export, made where it is not there yet; and in
    words which could not be."""
    import importlib.util

    import ldm_core
    from ldm_core.export import export

    model = ldm_core.load(options.model, "cpu", "float32", engine="torch")
    if model.spec.world not in DRAWN:
        raise ValueError(
            f"--model {options.model} draws none of the worlds whose readers compare pictures: {', '.join(DRAWN)}"
        )
    size = _megabytes(model.files[0])
    served, left_out = [Served(PLAIN, options.model, "torch", "float32", size)], []
    if importlib.util.find_spec("openvino") is None:
        return served, ["openvino is not installed, by which exports run: none was made."]
    served.append(Served("openvino, as loaded", options.model, "openvino", None, size))
    for form, precision in asked:
        folder = work / "exports" / f"{form}-{precision}"
        try:
            if not folder.exists():
                export(model, folder, form, precision)
            served.append(Served(f"{form} {precision}", str(folder), megabytes=_megabytes(folder)))
        except ValueError as error:
            left_out.append(f"Left out: {' '.join(str(error).split())}")
    return served, left_out


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def quality(options: argparse.Namespace, served: Sequence[Served], work: Path) -> pd.DataFrame:
    """Every way's pictures minus those of torch in float32: evaluation.compare's rows, with the margin, and whether the whole
    interval of the loss lies within it."""
    from ldm_core.registry import find as find_model

    from ..compare import compare, gate
    from ..finished import Finished
    from ..held_out_prompts import held_out_prompts
    from ..runner import Run

    prompts, file = held_out_prompts(find_model(options.model).world, options.prompts, work)
    for one in served:
        Run(_config(one, file, options, work), prompts).carry_out()
    runs = [Finished.read(work / "runs" / _folder(one)) for one in served]
    table = compare(runs)
    table = table[table["metric"].isin(LOSS)].reset_index(drop=True)
    allowed = [_margin(row) for _, row in table.iterrows()]
    within = [
        not any(gate(table.iloc[[place]], {metric: margin}))
        for place, (metric, margin) in enumerate(zip(table["metric"], allowed))
    ]
    names = {_folder(one): one.name for one in served}
    kept = table.assign(way=table["run"].map(names), margin=allowed, within=within)
    return kept[["way", "metric", "value_a", "value_b", "difference", "low", "high", "margin", "within"]]


def _margin(row: pd.Series) -> float:
    allowed = LOSS[row["metric"]]
    return allowed * row["value_a"] if row["metric"] in RELATIVE else allowed


def _folder(one: Served) -> str:
    return one.name.replace(", ", "-").replace(" ", "-")


def _config(one: Served, file: Path, options: argparse.Namespace, work: Path) -> Any:
    from ldm_core.settings import SamplingSettings

    from ..config import RunConfig

    settings = SamplingSettings.of(steps=options.steps) if options.steps else SamplingSettings()
    return RunConfig(
        file,
        settings=settings,
        guidance_scales=(options.scale,),
        model=one.model,
        engine=one.engine,
        dtype=one.dtype,
        device="cpu",
        metrics=tuple(LOSS),
        out=work / "runs" / _folder(one),
    )


def accepted_ways(qualities: pd.DataFrame) -> list[str]:
    """Those within every margin; what they are compared with among them."""
    within = qualities.groupby("way", sort=False)["within"].all()
    return [PLAIN, *(str(way) for way in within.index[within])]


def timed(one: Served, options: argparse.Namespace, work: Path) -> pd.DataFrame:
    """What clients wait for, by `demo.serve_timing` in a process of its own; of an earlier call where that had finished."""
    import pandas as pd

    file = work / f"waits-{_folder(one)}-{options.requests}-{options.steps}.csv"
    if not file.exists():
        command = [sys.executable, "-m", "demo.serve_timing", "--model", one.model, "--csv", str(file)]
        command += ["--requests", str(options.requests)]
        command += ["--engine", one.engine] if one.engine else []
        command += ["--dtype", one.dtype] if one.dtype else []
        command += ["--steps", str(options.steps)] if options.steps else []
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | {"HF_HUB_OFFLINE": "1"}
        )
        if ended.returncode:
            last = (ended.stderr.strip().splitlines() or ["no word"])[-1]
            raise ValueError(f"{one.name} could not be served: {last}")
    return pd.read_csv(file).assign(way=one.name)


def concluded(waits: pd.DataFrame, accepted: Sequence[str]) -> tuple[str, str]:
    """An accepted int8 export answers one client within the text's time; in part where another accepted way does."""
    alone = waits[waits["clients"] == 1].set_index("way")
    quick = [way for way in alone.index if alone.loc[way, "p50"] < BAR and way in accepted]
    quantised = [way for way in alone.index if way.endswith("int8")]
    plain = alone.loc[PLAIN, "p50"]
    parts = [
        f"{way} {1000 * row['p50']:.0f} ms ({row['p50'] / plain:.2f} of {PLAIN}'s; {'accepted' if way in accepted else 'not accepted'}; "
        f"first picture after {row['load_seconds'] + row['first_seconds']:.1f} s)"
        for way, row in alone.iterrows()
    ]
    most = waits[waits["clients"] == waits["clients"].max()].set_index("way")
    crowd = "; ".join(f"{way} {row['p50']:.2f} s, {row['rate']:.1f} pictures a second" for way, row in most.iterrows())
    words = (
        f"p50 of one client: {'; '.join(parts)}. Of {most['clients'].iloc[0]:.0f} clients: {crowd}. Within {1000 * BAR:.0f} ms and "
        f"accepted: {', '.join(quick) or 'none'}."
    )
    if any(way in quantised for way in quick):
        return HOLDS, words
    return IN_PART if quick else FAILS, words


def _figures(waits: pd.DataFrame) -> dict[str, str]:
    import pandas as pd

    from ..report.charts import chart

    rows = [
        {"way": row["way"], "clients": row["clients"], "value": row["p50"], "low": row["p50"], "high": row["p95"]}
        for _, row in waits.iterrows()
    ]
    return {"waits": chart(pd.DataFrame(rows), "p50 to p95, seconds", False, BAR, axis="clients", others=["way"])}


STUDY = Study(
    name="serving",
    claim="A U-Net quantised to int8 (ONNX, QDQ) behind an HTTP endpoint answers with p50 < 180 ms on an NVIDIA L4",
    source="“Latent Diffusion Models”, Build it (applied engineer)",
    kind=MEASURED,
    minutes=12,
    run=run,
    options=(
        Option("model", "scenes", "registry name or folder of a model of the drawn world"),
        Option("exports", "onnx-fp32,openvino-bf16,onnx-int8", f"of {', '.join(KNOWN)}"),
        Option("prompts", 200, "held-out captions that pictures are compared on"),
        Option("scale", 4.0, "guidance scale of those pictures"),
        Option("requests", 3, "of each client"),
        Option("steps", 0, "of a picture; 0 for the model's own"),
    ),
)
