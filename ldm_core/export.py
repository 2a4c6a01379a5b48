"""Write a model as graphs that other programs and quicker engines run, in a folder that `ldm_core.load` takes as well.

    python -m ldm_core.export scenes --format onnx --precision fp32 --out exports/scenes
    python -m ldm_core.export scenes --format openvino --precision int8 --out exports/scenes-int8

The denoiser is in the precision asked for; the autoencoder's halves and the text encoders stay in float32. int8 is static
(quantise and dequantise nodes around convolutions and matrix products, weights by channel), its ranges those of real
denoising of calibration prompts. Numbers of rows are free, and of a U-Net the sides too.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from . import command
from .adapted import BASE
from .checkpoint import read_json, save_config
from .exported import DECODER, ENCODER, ENDINGS, FILE, NETWORK, PRECISIONS
from .files import write_whole
from .loading import load, quiet
from .pipeline import LatentDiffusion
from .quantisation import in_bfloat16, in_int8
from .traced import Call, to_onnx

CALIBRATION = (  # where no file of prompts is given
    "a red house on the left and a pine tree on the right",
    "two boats on the water at night",
    "a photo of an ankle boot",
    "a yellow balloon above mountains",
)
CALLS = 24  # of the denoiser that ranges are taken from, spread over all steps


class Recorder:
    """Runs in a network's place and keeps the arguments of its calls."""

    def __init__(self, work: Callable):
        self.work, self.calls = work, list[Call]()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append(Call.of(*args, **kwargs))
        return self.work(*args, **kwargs)


def export(model: LatentDiffusion, out: Path, form: str, precision: str, prompts: Sequence[str] = CALIBRATION) -> None:
    """A folder with the model's configs and tokenizers and a graph for each network; written whole or not at all.

    ValueError for a format or precision that is none, a model that has no folder, and a folder that is there already.
    """
    for name, value, known in (("format", form, ENDINGS), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    _check(model, out, form, precision)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        made = Path(folder, "export")
        _copy_configs(model, made)
        _write_graphs(model, made, form, precision, prompts)
        about = {"format": form, "precision": precision, "defaults": model.spec.own_settings}
        about |= {"of": model.spec.name, "weights": model.weights}
        write_whole(made / FILE, json.dumps(about, indent=2) + "\n")
        made.rename(out)


def _check(model: LatentDiffusion, out: Path, form: str, precision: str) -> None:
    if out.exists():
        raise ValueError(f"--out {out} is there already; choose another folder")
    if not model.files[0].is_dir() or (model.files[0] / FILE).exists():
        raise ValueError(
            f"model {model.spec.reference!r} is no diffusers folder of torch weights, which export starts from"
        )
    needed = ["onnx"] + ["openvino"] * (form == "openvino") + ["onnxruntime"] * (precision == "int8")
    absent = [name for name in needed if importlib.util.find_spec(name) is None]
    if absent:
        raise ValueError(
            f"--format {form} --precision {precision} needs {' and '.join(absent)}: pip install {' '.join(absent)}"
        )


def _copy_configs(model: LatentDiffusion, made: Path) -> None:
    """All of a checkpoint's folder but its weights, and what an adapted model has of its base; of a swapped autoencoder its
    config."""
    kept = ("*.json", "*.txt", "*.model", "*.md")
    sources = [folder for folder in model.files if (folder / "model_index.json").is_file()]
    for folder, pattern in itertools.product(reversed(sources), kept):
        for path in folder.rglob(pattern):
            if not path.name.endswith(".index.json"):
                place = made / path.relative_to(folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)
    index = read_json(made / "model_index.json")
    write_whole(made / "model_index.json", json.dumps({k: v for k, v in index.items() if k != BASE}, indent=2) + "\n")
    save_config(model.autoencoder.vae, made / "vae")


def _write_graphs(model: LatentDiffusion, made: Path, form: str, precision: str, prompts: Sequence[str]) -> None:
    """Every network traced at a real call of it: of drawing the prompts, and of encoding a picture."""
    denoiser, decode, encode, texts = _recorded(model, prompts)
    part = model.family.denoiser_part
    axes = ("rows", "channels", "height", "width") if part == "unet" else ("rows",)
    plain = _plain(made / part, NETWORK, model.denoiser.network, denoiser, "__call__", axes)
    if precision == "int8":
        in_int8(plain, [dict(zip(call.names, call.arrays)) for call in denoiser])
    elif precision == "bf16":
        in_bfloat16(plain)
    sides = ("rows", "channels", "height", "width")
    files = [plain, _plain(made / "vae", DECODER, model.autoencoder.vae, decode, "decode", sides)]
    files += [_plain(made / "vae", ENCODER, model.autoencoder.vae, encode, "encode", sides)]
    parts = [part.encoder for part in model.family.text if (made / part.encoder).is_dir()]
    for encoder, name, calls in zip(model.conditioner.text_encoders, parts, texts):
        files.append(_plain(made / name, NETWORK, encoder.network, calls, "__call__", ("rows",)))
    if form == "openvino":
        for file in files:
            _to_openvino(file)


def _recorded(
    model: LatentDiffusion, prompts: Sequence[str]
) -> tuple[list[Call], list[Call], list[Call], list[list[Call]]]:
    """The calls of denoiser, decoder, encoder and text encoders while the prompts are drawn and a picture is encoded."""
    net, vae, encoders = model.denoiser.network, model.autoencoder.vae, model.conditioner.text_encoders
    of_net, decode, encode, texts = (
        Recorder(net),
        Recorder(vae.decode),
        Recorder(vae.encode),
        [Recorder(e.network) for e in encoders],
    )
    before = model.denoiser.takes
    try:
        model.denoiser._run = of_net
        model.autoencoder.run_by(decode, encode)
        for encoder, recorder in zip(encoders, texts):
            encoder.run_by(recorder)
        images = model.sample(list(prompts), list(range(len(prompts))), rows_per_call=2)
        model.encode(images[:1])
    finally:
        model.denoiser.run_by(None)
        model.denoiser.takes = before
        model.autoencoder.run_by(None)
        for encoder in encoders:
            encoder.run_by(None)
    every = max(1, len(of_net.calls) // CALLS)
    return of_net.calls[::every], decode.calls, encode.calls, [recorder.calls for recorder in texts]


def _plain(
    folder: Path, name: str, network: torch.nn.Module, calls: Sequence[Call], method: str, axes: Sequence[str]
) -> Path:
    """The ONNX file of a network in float32, its first dimensions free but for channels."""
    call = calls[0].with_rows(2)  # of one row, tracing might take a dimension for one that is always 1
    free = {}
    for place, (input_name, tensor) in enumerate(zip(call.names, call.tensors)):
        named = axes if place == 0 else axes[:1]  # latents first: what else there is has rows alone
        free[input_name] = {
            index: axis for index, axis in enumerate(named) if index < tensor.ndim and axis != "channels"
        }
    file = folder / f"{name}.onnx"
    to_onnx(network, call, file, method, {name: axes for name, axes in free.items() if axes})
    return file


def _to_openvino(file: Path) -> None:
    """OpenVINO's own files in place of an ONNX file."""
    import openvino

    from .openvino_network import core

    with tempfile.TemporaryDirectory() as folder:
        moved = shutil.move(file, Path(folder, file.name))
        openvino.save_model(core().read_model(moved), file.with_suffix(".xml"), compress_to_fp16=False)


def calibration_prompts(path: Path) -> tuple[str, ...]:
    """One a line; ValueError in one line names a file that holds none, or is no text."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"--prompts {path} is no text in UTF-8") from None
    prompts = tuple(line.strip() for line in lines if line.strip())
    if not prompts:
        raise ValueError(f"--prompts {path} holds no prompt")
    return prompts


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("ldm_core.export", __doc__)
    parser.add_argument("model", help="registry name, diffusers folder or hub id")
    parser.add_argument("--format", choices=sorted(ENDINGS), default="onnx", help="(default: %(default)s)")
    parser.add_argument(
        "--precision", choices=list(PRECISIONS), default="fp32", help="of the denoiser (default: %(default)s)"
    )
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="int8: calibration prompts, one a line")
    parser.add_argument("--vae", metavar="NAME|FOLDER", help="another autoencoder in place of the model's own")
    parser.add_argument("--lora", metavar="FILE[:WEIGHT]", help="low-rank weights to merge first")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="must not be there yet")
    return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    quiet()
    prompts = CALIBRATION if arguments.prompts is None else calibration_prompts(arguments.prompts)
    model = load(arguments.model, "cpu", "float32", arguments.vae, lora=arguments.lora, engine="torch")
    export(model, arguments.out, arguments.format, arguments.precision, prompts)
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(
        f"{arguments.out}: {arguments.format}, {arguments.precision}, {size / 1e6:.1f} MB; ldm_core.load({str(arguments.out)!r}) runs it"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
