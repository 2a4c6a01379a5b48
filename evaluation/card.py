"""The figures of an embedded model's card, computed anew on what it has never seen.

    python -m evaluation.card scenes
    python -m evaluation.card fashion --data FOLDER      the folder of the official Fashion-MNIST files
    python -m evaluation.card everyday --reader          how often the reader of that world is right, and no model

Makes held-out captions into pictures at every guidance scale (in float32 on every machine, resumable), and prints every metric
against w, the autoencoder's PSNR, the ceilings, and for the drawn world how far the model composes. The model may be
a folder that `ldm_core.training` made. An autoencoder alone has `python -m evaluation.autoencoders`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

import ldm_core
from ldm_core.data import fashion_mnist
from ldm_core.files import write_whole
from ldm_core.images import from_uint8, rounded
from ldm_core.pipeline import LatentDiffusion
from ldm_core.training.fact_reader import FactReader

from . import bars, command, run, statistics
from .detectors.detector import load_detector
from .detectors.everyday import EverydayDetector, load_everyday_detector
from .detectors.everyday.audit import COUNT, SUMMED, audit
from .metrics.composition import asked_for, composition
from .metrics.reconstruction import psnr
from .prompts import load_prompts
from .statistics import Estimate
from .worlds import DRAWN, caption_of, drawings

BATCH = 50  # images
SHEET = 8  # pictures along a side
METRICS = {
    **dict.fromkeys(DRAWN, "fd_scenes,coverage_scenes,clip_scenes,scene_accuracy,scene_prompt_accuracy,scene_extra"),
    "fashion": "fd_fashion,coverage_fashion,fashion_accuracy",
}
SCALES = {**dict.fromkeys(DRAWN, "0,1,2,4,8"), "fashion": "0,1,1.25,2,4"}
ACCURACY = {**dict.fromkeys(DRAWN, "scene_accuracy"), "fashion": "fashion_accuracy"}
Held = tuple[list[str], Tensor]  # captions, and images (B, 3, H, W) in [0, 1]


def held_out_drawings(world: str, count: int, size: int) -> Iterator[Held]:
    """Captions of a drawn world's held-out scenes, and their drawings."""
    for start in range(0, count, BATCH):
        seeds = DRAWN[world].HELD_OUT_SEEDS[start : min(start + BATCH, count)]
        named = [caption_of(world, seed) for seed in seeds]
        yield named, from_uint8(drawings(world, seeds, size))


def held_out_fashion(count: int, size: int, folder: Path | None) -> Iterator[Held]:
    """Fashion-MNIST's test images with a caption each."""
    images, labels = (part[:count] for part in fashion_mnist.load("test", folder))
    images = fashion_mnist.pad(images, size)
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        named = [fashion_mnist.caption(int(label), start + index) for index, label in enumerate(labels[part])]
        yield named, from_uint8(np.repeat(images[part, ..., None], 3, axis=3))


def captions(world: str, count: int) -> Iterator[str]:
    """Prompts that nothing was trained on: of held-out scenes, or of the ten labels in turn."""
    if world in DRAWN:
        yield from (caption_of(world, seed) for seed in DRAWN[world].HELD_OUT_SEEDS[:count])
    else:
        yield from (fashion_mnist.caption(index % len(fashion_mnist.LABELS), index) for index in range(count))


@torch.inference_mode()
def autoencoder_figures(
    model: LatentDiffusion, held: Iterator[Held]
) -> tuple[statistics.Estimate, statistics.Estimate]:
    """PSNR of 8-bit reconstructions in dB, and how much of the captions the detector still reads in them."""
    detector, metric = load_detector(model.spec.world), ACCURACY[model.spec.world]
    values, read = [], []
    for texts, images in held:
        rebuilt = rounded(model.reconstruct(images))
        values += psnr(images, rebuilt).tolist()
        read += detector.extract(rebuilt, texts)[1][metric]
    return statistics.mean(values), statistics.mean(read)


def sheet(run_folder: Path, scale: float) -> Image.Image:
    """The pictures of the first prompts, at the scale of the run that is nearest to the one given: to be looked at."""
    images = pd.read_csv(run_folder / "images.csv")
    scales = images["guidance_scale"]
    chosen = images[scales == scales.iloc[(scales - scale).abs().argmin()]].drop_duplicates("prompt_id")[: SHEET**2]
    pictures = [Image.open(run_folder / file) for file in chosen["file"]]
    width, height = pictures[0].size
    whole = Image.new("RGB", (SHEET * width, SHEET * height))
    for index, picture in enumerate(pictures):
        whole.paste(picture, (index % SHEET * width, index // SHEET * height))
    return whole


def main(argv: list[str] | None = None) -> int:
    parser = command.parser("evaluation.card", __doc__)
    parser.add_argument("model", help="a model of one of the repository's worlds: a registry name or a folder")
    parser.add_argument("--count", type=int, default=1000, help="held-out pictures and prompts (default: %(default)s)")
    parser.add_argument("--guidance-scales", default=None, help=f"default: {SCALES}")
    parser.add_argument(
        "--steps", type=int, default=None, help="default: the model's; others show what steps are worth"
    )
    note = "only how often the reader of a world, given in the model's place, is right on real drawings"
    parser.add_argument("--reader", action="store_true", help=note)
    note = "captions of each combination that training withheld, for the everyday world (default: %(default)s)"
    parser.add_argument("--withheld", type=int, default=20, metavar="N", help=note)
    parser.add_argument("--data", type=Path, default=None, metavar="FOLDER", help="the Fashion-MNIST files")
    parser.add_argument("--out", type=Path, default=None, help="default: runs/card-<model>-<n>-steps")
    return command.carry_out(parser, argv, work)


def error(found: Estimate, digits: int) -> str:
    """An estimate's standard error as it stands behind the value; nothing where none is known."""
    return "" if found.se is None else f" (± {found.se:.{digits}f})"


def reader(world: str) -> int:
    """Print how often the reader of a world is right on real drawings, by skill; the exit code."""
    if world != "everyday":
        raise ValueError(f"--reader is for the world everyday, whose truth is kept fact by fact, got {world!r}")
    detector = load_everyday_detector()
    print(f"the reader on {COUNT} held-out drawings: the share of each skill's atoms that it reads right")
    print(audit(detector).round(4).to_string(index=False))
    print(f"\nreal drawings against their own captions: the most that a model can score\n{ceilings(detector)}")
    return 0


def ceilings(detector: EverydayDetector) -> str:
    """A line each for what real drawings score against their own captions."""
    found = {name: detector.ceiling(name)[0] for name in METRICS["everyday"].split(",") if name.startswith("scene_")}
    return "\n".join(f"{name} {one.value:.4f} ({one.low:.4f} to {one.high:.4f})" for name, one in found.items())


def work(arguments: argparse.Namespace) -> int:
    """The exit code."""
    if arguments.reader:
        return reader(arguments.model)
    model = ldm_core.load(arguments.model, engine="torch")
    world = model.spec.world
    if world not in METRICS:
        raise ValueError(f"model {arguments.model!r} is of no world of this repository; use evaluation.run")
    scene = world in DRAWN
    size = (arguments.count, model.height)
    held = held_out_drawings(world, *size) if scene else held_out_fashion(*size, arguments.data)
    quality, readable = autoencoder_figures(model, held)
    print(
        f"autoencoder on {quality.n} held-out images: {quality.value:.2f} dB PSNR{error(quality, 2)}; "
        f"the detector finds {readable.value:.4f}{error(readable, 4)} of their captions in its reconstructions",
        flush=True,
    )
    steps = arguments.steps or model.spec.steps
    out = arguments.out or Path("runs") / f"card-{model.spec.name}-{steps}-steps"
    scales = arguments.guidance_scales or SCALES[world]
    texts = captions(world, arguments.count)
    status = drawn(arguments.model, steps, scales, METRICS[world], texts, out / "run")
    if status:
        return status
    sheet(out / "run", model.spec.guidance_scale).save(out / "sheet.png")
    print(
        f"\n{out / 'sheet.png'}: the first {SHEET**2} prompts at w = {model.spec.guidance_scale:g}, or the scale next to it"
    )
    words = FactReader.find(Path(model.spec.source), world) if scene else None
    if scene:
        print("\nwhat captions ask for in a colour or a relation, by whether training ever showed it")
        print(composition(out / "run", world, words).round(3).to_string(index=False))
    return obedience(arguments, steps, out, quality, words) if world == "everyday" else 0


def drawn(model: str, steps: int, scales: str, metrics: str, texts: Iterable[str], folder: Path) -> int:
    """Make texts into pictures and score them; `folder` is the run's, beside which the texts are kept. The exit code."""
    prompts = folder.with_suffix(".jsonl")
    write_whole(prompts, "".join(json.dumps({"prompt": text}) + "\n" for text in texts))
    given = {
        "model": model,
        "prompts": prompts,
        "out": folder,
        "steps": steps,
        "guidance-scales": scales,
        "metrics": metrics,
        "dtype": "float32",
    }
    return run.main([word for name, value in given.items() for word in (f"--{name}", str(value))])


def obedience(arguments: argparse.Namespace, steps: int, out: Path, quality: Estimate, words: FactReader | None) -> int:
    """Draw what training never showed, at the scale that obeys best, and print every bar of the world; the exit code."""
    world = "everyday"
    scale = bars.best_scale(pd.read_csv(out / "run" / "images.csv"))
    texts = bars.withheld_captions(arguments.withheld)
    status = drawn(arguments.model, steps, f"{scale:g}", ACCURACY[world], texts, out / "withheld")
    if status:
        return status
    print("\nwhat captions of withheld combinations ask for: read in them by the text encoder, and drawn")
    print(composition(out / "withheld", world, words).round(3).to_string(index=False))
    found = [
        bars.Bar("autoencoder, dB", quality, 34, 36),
        bars.of_reader(pd.DataFrame(load_everyday_detector().measured["audit"]), SUMMED),
        *bars.of_images(bars.drawn_at(out / "run", scale), arguments.count),
        *bars.of_withheld(asked_for(out / "withheld", world)),
        bars.Bar("prompts of coco.txt with a kind that it knows", bars.known_prompts(coco()), 0.70, 0.85),
    ]
    print(f"\nthe bars, at w = {scale:g}")
    print(pd.DataFrame([bar.row() for bar in found]).round(3).to_string(index=False))
    return 0


def coco() -> list[str]:
    """The prompts that the README's main command names."""
    return [prompt.text for prompt in load_prompts(Path(__file__).parents[1] / "prompts" / "coco.txt")]


if __name__ == "__main__":
    raise SystemExit(main())
