"""A stage: steps until its seconds are over, what is said meanwhile, and the way back where a loss is lost."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from .average import Average
from .intake import Intake
from .step import Step, forget, set_rate

WARM = 0.02  # the share of a stage in which the rate rises
CHECK = 50  # steps between looks at the loss, for each of which the device is waited for
REPORT = 10.0  # seconds between reports
LOSSES = 4  # how often a stage may lose its loss
SAVING = 20  # seconds of training for each of saving


@dataclass
class Course:
    """Where the stages of one run write and read: the folder, the seconds of each stage, the clock."""

    folder: Path
    given: dict[str, float]
    clock: Callable[[], float] = time.perf_counter
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.began = self.clock()

    def seconds(self, stage: str) -> float:
        """How long a stage is: what folder/seconds.json says by now, or what was given; a file that is no table of numbers is
        as good as none, since it may be half written."""
        try:
            said = json.loads((self.folder / "seconds.json").read_text())[stage]
        except (OSError, ValueError, KeyError, TypeError):
            return self.given.get(stage, 0.0)
        return float(said) if isinstance(said, int | float) else self.given.get(stage, 0.0)

    def say(self, words: str) -> None:
        """A line, with the seconds since the run began."""
        print(f"[{self.clock() - self.began:6.1f}] {words}", flush=True)

    def note(self, stage: str, step: int, loss: float, rate: float) -> None:
        """A line of folder/log.csv, and of what is said."""
        self.say(f"{stage}: step {step}, loss {loss:.4f}, {rate:.1f} steps a second")
        with (self.folder / "log.csv").open("a", newline="") as file:
            seconds = f"{self.clock() - self.began:.0f}"
            csv.writer(file).writerow([seconds, stage, step, f"{loss:.5f}", f"{rate:.2f}"])


def rate_at(done: float, peak: float) -> float:
    """The learning rate when a share in [0, 1] of a stage is done: up, then half a cosine down to nothing."""
    if done < WARM:
        return peak * max(done / WARM, 0.02)
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def run_stage(
    name: str,
    step: Step,
    average: Average,
    peak: float,
    intake: Intake,
    course: Course,
    save: Callable[[], None] | None = None,
) -> int:
    """Take steps until the stage's seconds are over, lessons coming in meanwhile; how many steps that were.

    The module then carries its averaged weights. `save` is called about every REPORT seconds with those in it, less often
    where it takes long. A loss that is not finite sends weights and average back, at half the rate; FloatingPointError
    where that did not help LOSSES times.
    """
    began = reported = saved = course.clock()
    seconds, count, since, lost, pause = course.seconds(name), 0, 0, 0, REPORT
    while (done := (course.clock() - began) / seconds if seconds > 0 else 1.0) < 1:
        set_rate(step.optimizer, rate_at(done, peak))
        step()
        average.update()
        intake.ingest()
        count, since = count + 1, since + 1
        if count % CHECK and course.clock() - reported < REPORT:
            continue
        seconds, total = course.seconds(name), float(step.total)  # waits for the device
        if not math.isfinite(total) or not average.secure():
            lost, peak = lost + 1, peak / 2
            if lost > LOSSES:
                average.go_back()
                raise FloatingPointError(f"the loss of {name} was lost {lost} times, the last at step {count}")
            course.say(f"{name}: the loss is not finite at step {count}; back to the average, at half the rate")
            _go_back(step, average)
            since = 0
            continue
        now = course.clock()
        if now - reported >= REPORT:
            course.note(name, count, total / since, since / (now - reported))
            reported, since = now, 0
            step.total.zero_()
        if save is not None and now - saved >= pause:
            average.swap()
            save()
            average.swap()
            saved = course.clock()
            pause = max(REPORT, SAVING * (saved - now))
    average.secure()
    average.go_back()
    taken = course.clock() - began
    course.note(name, count, float(step.loss), count / max(taken, 1e-9))
    return count


def _go_back(step: Step, average: Average) -> None:
    average.go_back()
    forget(step.optimizer)
    with torch.no_grad():
        step.total.zero_()
