"""All stages on one GPU in a quarter of an hour: processes draw ahead, and what a step needs lies on the device.

    python -m ldm_core.training.train_resident scenes-gpu --out runs/gpu --seconds text=40,decoder=55,denoiser=450,turbo=60,control=22

The stages named are taught in order, each for its seconds, from the model of --init. OUT/model is a diffusers folder that
`ldm_core.load` takes, OUT/turbo and OUT/control what those stages make of it; each is written after its stage, OUT/model/unet
every ten seconds meanwhile. OUT/seconds.json, {"denoiser": 300}, changes a stage's seconds while it runs. A stage that fails
is said, the others are taught; the exit code is then 2.
"""

from __future__ import annotations

import argparse
import traceback
from pathlib import Path

import torch
from transformers import CLIPTokenizer

from .. import command, registry
from ..placement import choose_device
from .command import run_command
from .resident.drawing import Drawing
from .resident.model import begin
from .resident.network import WAYS
from .resident.pool import Pool
from .resident.recipe import RESIDENTS, STAGES, ResidentRecipe
from .resident.stage import Course
from .resident.stages import Stages
from .resident.step import quick_products
from .resident.studio import WORKERS, Studio


def train(
    recipe: ResidentRecipe,
    init: Path,
    folder: Path,
    device: str | None,
    seconds: dict[str, float],
    rates: dict[str, float],
    workers: int,
    ways: tuple[str, ...] = ("plain",),
    trial: float = 5.0,
    base: str = "",
) -> list[str]:
    """Teach the stages of `seconds` in order, on the best device where none is named; the names of those that failed.

    ValueError where `init` cannot be begun from."""
    if not (init / "tokenizer").is_dir():
        raise ValueError(f"--init {init} must be a model's folder: it has no tokenizer/")
    course, config = Course(folder, seconds), recipe.denoiser
    tokenizer = CLIPTokenizer.from_pretrained(init / "tokenizer")
    drawing = Drawing(tokenizer, config.text_tokens, config.image_size, recipe.captions, config.attribute_dropout)
    makers = {"heard": drawing.heard, "pictures": drawing.pictures, "silhouettes": drawing.silhouettes}
    with Studio(makers, workers, recipe.chunk, course.say) as studio:  # before the device is touched
        device = choose_device(device)
        if device == "cuda":
            quick_products()
            course.say(torch.cuda.get_device_name())
        torch.manual_seed(config.seed)
        model = begin(init, folder / "model", recipe, device, course.say)
        pool = Pool(studio, model.vae, recipe, device)
        stages = Stages(model, pool, course, recipe, device, rates, ways, trial, base)
        return [name for name in STAGES if seconds.get(name) and not _taught(name, stages)]


def _taught(name: str, stages: Stages) -> bool:
    try:
        getattr(stages, name)()
    except Exception as error:  # noqa: BLE001  # an hour that is lent is not lost to one stage of five
        stages.course.say(f"{name} FAILED: {' '.join(repr(error).split())}")
        traceback.print_exc()
        if stages.device == "cuda":
            torch.cuda.empty_cache()
        return False
    return True


def numbers_by_stage(text: str) -> dict[str, float]:
    """ "text=40,decoder=55" -> {"text": 40.0, "decoder": 55.0}. ArgumentTypeError for another stage, or what is no number
    above 0."""
    found = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = 0.0
        if name not in STAGES or not 0 < found[name] < float("inf"):
            known = ", ".join(STAGES)
            raise argparse.ArgumentTypeError(f"{part!r} must be STAGE=NUMBER above 0, the stage one of {known}")
    return found


def ways_of(text: str) -> tuple[str, ...]:
    """ "plain,bf16" -> ("plain", "bf16"). ArgumentTypeError for one that is none of network.WAYS."""
    ways = tuple(text.split(","))
    if unknown := sorted({*ways} - {*WAYS}):
        raise argparse.ArgumentTypeError(f"must be of {', '.join(WAYS)}, got {', '.join(unknown)}")
    return ways


def options() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = command.parser("ldm_core.training.train_resident", __doc__)
    parser.add_argument("recipe", choices=sorted(RESIDENTS), help="named recipe of ldm_core/training/config.py")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder of the run")
    parser.add_argument(
        "--init",
        type=Path,
        default=registry.WEIGHTS / "scenes",
        metavar="FOLDER",
        help="the model to go on from; default: the embedded scenes",
    )
    parser.add_argument(
        "--seconds",
        type=numbers_by_stage,
        required=True,
        metavar="STAGE=S,...",
        help=f"which stages, and how long each: {', '.join(STAGES)}",
    )
    parser.add_argument(
        "--rates",
        type=numbers_by_stage,
        default={},
        metavar="STAGE=R,...",
        help="peak learning rates other than the recipe's: smaller ones go on more gently",
    )
    parser.add_argument("--device", default=None, help="cuda or cpu; default: the best this machine has")
    parser.add_argument("--workers", type=int, default=WORKERS, metavar="N", help="processes; default: %(default)s")
    parser.add_argument(
        "--unet",
        type=ways_of,
        default=("plain",),
        metavar="WAY,...",
        help=f"how the denoiser calls its U-Net, the quickest of several: {', '.join(WAYS)}; default: plain",
    )
    parser.add_argument(
        "--try",
        dest="trial",
        type=float,
        default=5.0,
        metavar="S",
        help="of several ways, time each for S seconds; default: %(default)s",
    )
    parser.add_argument(
        "--base", default="", metavar="NAME", help="the model that OUT/turbo names as its base; default: OUT/model"
    )

    return parser


def main(argv: list[str] | None = None) -> int:
    def work(given: argparse.Namespace) -> bool:
        failed = train(
            RESIDENTS[given.recipe],
            given.init,
            given.out,
            given.device,
            given.seconds,
            given.rates,
            given.workers,
            given.unet,
            given.trial,
            given.base,
        )
        if failed:
            raise ValueError(f"these stages failed, the others are in {given.out}: {', '.join(failed)}")
        return True

    return run_command(options(), argv, work)


if __name__ == "__main__":
    raise SystemExit(main())
