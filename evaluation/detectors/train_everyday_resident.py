"""The reader's training by seconds: processes draw ahead, the lessons lie on the device, and a step is recorded (see
ldm_core.training.resident). A way of train_everyday, of the same loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ldm_core.data import everyday as world
from ldm_core.placement import choose_device
from ldm_core.training.resident.average import Average
from ldm_core.training.resident.intake import Intake
from ldm_core.training.resident.rows import Rows
from ldm_core.training.resident.stage import Course, run_stage
from ldm_core.training.resident.step import Step, quick_products
from ldm_core.training.resident.studio import Arrays, Studio

from .everyday.detector import EverydayDetector
from .everyday.lessons import augment, scene_of, truth_of
from .everyday.losses import loss_of
from .everyday.mirror import some_mirrored
from .everyday.moved import FURTHEST, moved, moved_truth
from .everyday.network import INPUT_SIZE
from .everyday.training import GO_ON_RATE, JITTER, MIRRORED, MOVED, RATE, begun, optimizer_of

CHUNK = 32  # drawings a job
MADE = "detector.safetensors"  # in the folder, before it is measured, which takes minutes
FIRST = 4  # batches that are there before the first step


def lessons(start: int, count: int) -> Arrays:
    """Drawings to learn from, from the start-th on: pixels uint8 (count, 3, 256, 256), made softer and noisier as a drawing
    of the other training is, and what is true of them."""
    scenes = [scene_of(index) for index in range(start, start + count)]
    images = np.stack([world.draw(scene, INPUT_SIZE) for scene in scenes])
    values = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    softer = augment(values, np.random.default_rng((2, start)))
    pixels = softer.mul(255).round().to(torch.uint8)
    return {"pixels": pixels.numpy(), **truth_of(scenes, start)}


class ReaderLesson:
    """The loss of rows on the device; texts are learned from at each step."""

    def __init__(self, detector: EverydayDetector, rows: Rows, batch: int):
        self.detector, self.rows, self.batch = detector, rows, batch

    def loss(self) -> Tensor:
        chosen = self.rows.chosen(self.batch)
        taken = {name: values[chosen] for name, values in self.rows.data.items()}
        images, said = taken.pop("pixels").float() / 255, taken.pop("said")
        way = torch.randint(said.shape[1], (self.batch,), device=said.device)
        said = said[torch.arange(self.batch, device=said.device), way].long()
        turned = torch.rand(self.batch, device=said.device) < MIRRORED
        images, taken, said = some_mirrored(turned, images, taken, said, self.detector.text.words)
        steps = torch.randint(-FURTHEST, FURTHEST + 1, (self.batch, 2), device=said.device)
        steps = steps * (torch.rand(self.batch, 1, device=said.device) < MOVED)
        images, taken = moved(images, steps), moved_truth(taken, steps)
        jitter = JITTER * (2 * torch.rand(*taken["kind"].shape, 2, device=said.device) - 1)
        return torch.stack([*loss_of(self.detector, images, taken, said, jitter).values()]).sum()


def train(
    seconds: float,
    batch: int,
    pool: int,
    workers: int,
    folder: Path,
    device: str | None = None,
    begin: EverydayDetector | None = None,
) -> EverydayDetector:
    """Of averaged weights, on the CPU. folder/detector.safetensors holds it too; folder/seconds.json, {"reader": 60}, changes the
    seconds meanwhile, and folder/log.csv says what the loss was."""
    course = Course(folder, {"reader": seconds})
    with Studio({"reader": lessons}, workers, CHUNK, course.say) as studio:  # before the device is touched
        device = choose_device(device)
        if device == "cuda":
            quick_products()
        torch.manual_seed(0)
        detector = begun(begin).to(device)
        rows = Rows(pool, device, shapes())
        intake = Intake(studio, lambda kind, made: added(rows, made), device)
        intake.wait_for(rows, FIRST * batch)
        optimizer = optimizer_of(detector, capturable=True)
        step = Step(ReaderLesson(detector, rows, batch).loss, optimizer, device, clip=5.0, say=course.say)
        peak = RATE if begin is None else GO_ON_RATE
        run_stage("reader", step, Average(detector, 0.998), peak, intake, course)
    detector = detector.cpu()
    made = detector.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # it takes that too
    save_file(made.state_dict(), folder / MADE)
    return made


def finished(file: Path) -> EverydayDetector:
    """What an earlier training left in its folder. ValueError where it is of another shape."""
    detector = EverydayDetector()
    try:
        detector.load_state_dict(load_file(file))
    except RuntimeError:
        raise ValueError(f"--finished {file} is no detector of this version") from None
    return detector


def added(rows: Rows, made: dict[str, Tensor]) -> list[Rows]:
    """The rows, if they grew."""
    if rows.full:
        return []
    rows.add(made)
    return [rows]


def shapes() -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Of a row of each array of the lessons."""
    return {name: (values.shape[1:], torch.from_numpy(values).dtype) for name, values in lessons(0, 1).items()}
