"""What an evaluation run is asked for: one frozen dataclass, its defaults read by the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from ldm_core.checks import check_real, check_whole
from ldm_core.recipe import Recipe, Task
from ldm_core.settings import STRENGTHS, SamplingSettings, default

from .bounds import MOST_IMAGES
from .catalogue import RESIZE_MODES, check
from .data_sets import DATA_SETS
from .detectors.reference_files import SUFFIXES
from .generation.axes import Axis, Condition, conditions, scale_axis
from .shard import Shard

SCALES = (1.0, 2.0, 4.0, 8.0)  # where nothing else is asked for


@dataclass(frozen=True)
class RunConfig:
    """The command line of `python -m evaluation.run`."""

    prompts: Path
    settings: SamplingSettings = field(default_factory=SamplingSettings)
    guidance_scales: tuple[float, ...] | None = None  # None: 1, 2, 4, 8; the model's own where something else is swept
    sweep: tuple[Axis, ...] = ()
    model: str | None = None  # None: the best this machine can really run
    vae: str | None = None
    lora: str | None = None  # FILE or FILE:WEIGHT, several with commas between
    config: str | None = None  # of a single file: a diffusers folder of its family
    control: str | None = None  # a ControlNet or T2I-Adapter by name, folder or hub id: see ldm_core/tasks/control.py
    offload: bool = False
    compile: bool = False
    engine: str | None = None  # torch or openvino; None: the better one here
    limit: int | None = None
    shuffle: bool = False  # the limit's prompts are drawn at random by the run's seed
    task: Task | None = None  # of a recipe's picture
    remade: Recipe | None = None  # whose picture it is, in place of a prompt file
    steering: Task | None = None  # by what image a recipe's picture was steered
    unconditional: int | None = None  # so many images of the empty prompt, in place of a prompt file
    init_images: Path | None = None  # a folder of start images, or one for all prompts: see generation/starts.py
    masks: Path | None = None  # of what of them is drawn anew, likewise
    control_images: Path | None = None  # what the control steers by, likewise
    images_per_prompt: int = 1
    seed: int = 0
    batch_size: int = 16  # images denoised together
    device: str | None = None
    dtype: str | None = None
    metrics: tuple[str, ...] | None = None  # None: those of the model's world, as far as they can run
    # A folder of images, or a file of statistics; None: what ships with the detector, or pictures of the model's world.
    reference: Path | None = None
    download: str = "ask"  # whether what is missing is fetched: see downloads.py
    resize: str = "clean"  # how images are brought to Inception's size; see detectors/resize.py
    out: Path | None = None  # None: runs/<model>-<prompt file's stem>
    dry_run: bool = False
    report_only: bool = False
    shard: Shard | None = None  # make this part of the images and no table
    log: str | None = None  # a tracker that gets every metric too: see trackers.py
    command: str = ""  # as it was typed, for run.json

    def __post_init__(self) -> None:
        """Check what needs no model; the rest is checked when the model is loaded, before the first picture."""
        for name in ("limit", "unconditional", "images_per_prompt", "batch_size"):
            value = getattr(self, name)
            if value is not None:
                whole = check_whole(f"--{name.replace('_', '-')}", value, 1, MOST_IMAGES)
                object.__setattr__(self, name, whole)
        object.__setattr__(self, "seed", check_whole("--seed", self.seed, 0, 2**32 - 1))
        if self.guidance_scales is not None:
            scales = tuple(check_real("--guidance-scales", w, 0, math.inf) for w in self.guidance_scales)
            object.__setattr__(self, "guidance_scales", scales)
        if self.shuffle and self.limit is None:
            raise ValueError("--shuffle draws at random what --limit N leaves: give --limit too")
        if self.shard is not None and self.report_only:
            raise ValueError("--shard makes images and --report-only makes none: give one of them")
        if self.reference is not None and not self.reference.is_dir():
            if self.reference.suffix.lower() not in SUFFIXES:
                raise ValueError(
                    f"--reference {self.reference} is no folder of images, nor a file of statistics ({', '.join(SUFFIXES)}), "
                    f"nor a data set ({', '.join(DATA_SETS)})"
                )
            if not self.reference.is_file():
                raise ValueError(f"--reference {self.reference} is not there")
        if self.resize not in RESIZE_MODES:
            raise ValueError(f"--resize must be one of {', '.join(RESIZE_MODES)}, got {self.resize!r}")
        check(self.metrics or ())
        self._check_starts()
        self._check_control()
        _ = self.conditions  # sweeps that clash

    def _check_starts(self) -> None:
        """Start images are there, and so is what goes with them alone; their strength is decided."""
        for flag, path in (("--init-images", self.init_images), ("--masks", self.masks)):
            if path is not None and not path.exists():
                raise ValueError(f"{flag} {path} is not there")
        if self.init_images is not None:
            strength = STRENGTHS[self.task_name]
            object.__setattr__(self, "settings", self.settings.resolved(strength=strength))
        elif self.masks is not None:
            raise ValueError("--masks say what of start images is drawn anew: give --init-images too")
        elif any(condition.settings.strength is not None for condition in self.conditions):
            raise ValueError("strength says how far start images are drawn anew: give --init-images too")

    def _check_control(self) -> None:
        """A control has images to steer by, and nothing is said of one where there is none."""
        if self.control_images is not None and not self.control_images.exists():
            raise ValueError(f"--control-images {self.control_images} is not there")
        if self.control is not None and self.control_images is None:
            raise ValueError(f"--control {self.control} steers by images: give --control-images too")
        if self.control is None and self.control_images is not None:
            raise ValueError("--control-images are what a control network steers by: give --control too")
        own = [condition.settings for condition in self.conditions]
        for name in ("control_scale", "control_interval"):
            if self.control is None and any(settings[name] != default(name) for settings in own):
                raise ValueError(f"{name} says how a control image counts: give --control and --control-images too")

    @property
    def task_name(self) -> str:
        """What is done with start images."""
        return "image_to_image" if self.masks is None else "inpainting"

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What varies; the guidance scale first where it does."""
        usual = (1.0,) if self.unconditional else SCALES  # without a prompt there is nothing to guide to
        scales = self.guidance_scales or (() if self.sweep else usual)
        axes = (scale_axis(scales), *self.sweep) if scales else self.sweep
        return tuple(sorted(axes, key=lambda axis: axis.name != "guidance_scale"))

    @property
    def conditions(self) -> list[Condition]:
        """Every value of each axis with every value of the others."""
        return conditions(self.settings, self.axes)
