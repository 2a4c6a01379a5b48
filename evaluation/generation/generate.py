"""Makes the images that are missing, in batches, and keeps account of what they cost.

Files are written whole or not at all, by threads while the next batch denoises, so a killed run loses two batches at most.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from ldm_core.images import load_png_and_text, pixels_sha256, save_png, to_uint8
from ldm_core.pipeline import LatentDiffusion
from ldm_core.recipe import DECIDED, Recipe

from ..processes import Processes
from .axes import Condition
from .batches import batches, sample
from .cost import CostLog
from .jobs import Job
from .steering import steered

SEAL = "pixels_sha256"  # the text in a picture's file that says which pixels the run drew


def missing(jobs: Sequence[Job], out: Path, sealed: bool = True) -> list[Job]:
    """The jobs without a sound image of their own in a run's folder; damaged and foreign ones are named, and will be made
    again. ValueError where a folder stands in an image's place.

    sealed  whether the run's pictures say by their recipe and SEAL what they are; those of earlier versions need not
    """
    absent = []
    for job in jobs:
        path = out / job.file
        if path.is_dir():
            raise ValueError(f"{path} is a folder where a picture should be; move it away")
        if not path.exists():
            absent.append(job)
        elif why := _unlike(job, path, sealed):
            print(f"{why}, made again: {path}")
            absent.append(job)
    return absent


def check_images(jobs: Sequence[Job], out: Path, sealed: bool = True) -> None:
    """ValueError names an image that this command will score and cannot make again, if it is damaged or not the job's;
    `sealed` as in `missing`."""
    for job in jobs:
        if (out / job.file).is_dir() or (why := _unlike(job, out / job.file, sealed)):
            what = "a folder" if (out / job.file).is_dir() else why
            raise ValueError(f"{out / job.file} is {what}; remove it, or run the command again that made it")


def _unlike(job: Job, path: Path, sealed: bool) -> str:
    """Why a file is not a job's image: by its pixels' number, its seal and the recipe that it carries.

    A picture without them, as earlier versions wrote them, is taken for the job's where its size is, if not `sealed`.
    """
    try:
        pixels, text = load_png_and_text(path)
    except OSError:
        return "damaged"
    height, width, _ = pixels.shape
    settings = job.condition.settings
    if (height, width) != (settings["height"], settings["width"]):
        return f"of {width} x {height} pixels and not of this run"
    if SEAL in text and text[SEAL] != pixels_sha256(pixels):
        return "changed since this run drew it"
    try:
        recipe = Recipe.from_json(text["recipe"])
    except (KeyError, ValueError):
        return "without the recipe that this run's pictures carry" if sealed else ""
    same = (recipe.prompt, recipe.seed) == (job.text, job.seed)
    same &= all(recipe.settings[name] == settings[name] for name in DECIDED)
    if not same:
        return "of another prompt, seed or setting"
    return "without the seal of this run's pictures" if sealed and SEAL not in text else ""


def generate(
    model: LatentDiffusion, jobs: Sequence[Job], out: Path, batch_size: int, processes: Processes | None = None
) -> None:
    """Make the jobs' images in a run's folder, each with its recipe inside.

    Jobs that differ in nothing but prompt, seed and guidance share batches, and there every network row that they have in
    common. Several processes are given the same jobs and take batch after batch; the first shows the progress of all.
    """
    processes = processes or Processes()
    for job in jobs:
        (out / job.file).parent.mkdir(parents=True, exist_ok=True)
    terminal = sys.stderr.isatty()
    todo = list(batches(jobs, processes.portion(len(jobs), batch_size)))
    taken = list(itertools.accumulate(map(len, todo)))  # images up to each batch
    words = "images" if processes.count == 1 else f"images, {processes.count} processes"
    bar = tqdm(
        total=len(jobs),
        desc=words,
        unit="image",
        smoothing=0.1,
        dynamic_ncols=True,
        ascii=not terminal,
        mininterval=0.5 if terminal else 15,
        disable=not processes.first,
    )
    log, recipes = CostLog(out, processes.name), dict[Condition, Recipe]()
    pending: list[Future] = []
    with bar, ThreadPoolExecutor(4) as writers:
        for place in processes.draw(len(todo)):
            batch = todo[place]
            began, rows = time.perf_counter(), model.network_rows
            images = sample(model, batch)
            drawn = time.perf_counter()
            _finish(pending)  # those of the batch before, written meanwhile
            pixels = to_uint8(images)
            for job in batch:
                if job.condition not in recipes:
                    recipes[job.condition] = model.recipe(job.text, job.seed, job.condition.settings)
            texts = [_recipe(recipes[job.condition], job, model).to_png_text() for job in batch]
            pending = [
                writers.submit(save_png, out / job.file, own, text | {SEAL: pixels_sha256(own)})
                for job, own, text in zip(batch, pixels, texts)
            ]
            log.images(model, batch, time.perf_counter() - began, drawn - began, model.network_rows - rows)
            bar.update(taken[place] - bar.n)
        _finish(pending)
        bar.update(len(jobs) - bar.n)


def _recipe(of_condition: Recipe, job: Job, model: LatentDiffusion) -> Recipe:
    """A job's own, of any of its condition."""
    own = of_condition.settings
    task = None if job.start is None else job.start.task(own["height"], own["width"])
    made = replace(of_condition, prompt=job.text, seed=job.seed, task=task)
    return made if job.control is None else steered(made, model, job.control)


def _finish(written: Sequence[Future]) -> None:
    for future in written:
        future.result()  # a full disk is said here, not at the end
