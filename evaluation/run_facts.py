"""What run.json holds: everything that is needed to repeat a run, and what a reader must know of it."""

from __future__ import annotations

import dataclasses
import datetime
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ldm_core.files import write_whole

from .amounts import amount
from .condition import shown
from .generation.axes import Condition, from_stored, scale_axis, setting_in_words, stored
from .generation.axes import conditions as of_axes
from .paths import clean_json, portable

PACKAGES = ("torch", "diffusers", "transformers", "numpy", "pandas", "scipy", "pillow")
FILE = "run.json"


@dataclass(frozen=True)
class RunFacts:
    """The keys of run.json. Those with a default came later: a file without them is read all the same."""

    model: str
    prompts: str  # the file's name
    prompts_sha256: str
    prompt_count: int
    image_count: int
    guidance_scales: list[float]
    protocol: dict[str, Any]  # what changes a pixel, beside prompt, seed, scale and what is swept
    images_per_prompt: int
    metrics: list[str]
    source: str = ""  # of the model
    vae: str | None = None
    lora: str | None = None
    control: str | None = None  # what steered the pictures by their control images
    processes: int = 1
    batch_size: int = 16
    not_computed: dict[str, str] = field(default_factory=dict)
    detectors: dict[str, dict[str, str]] = field(default_factory=dict)  # by name: name, sha256, resize
    references: dict[str, dict[str, Any]] = field(default_factory=dict)  # by detector: words, n, how they were made
    truncated_by_detectors: dict[str, int] = field(default_factory=dict)
    unseen_words: dict[str, int] = field(default_factory=dict)
    prompts_with_unseen_words: int = 0
    substituted_words: dict[str, str] = field(default_factory=dict)  # and what was drawn in their place
    prompts_with_substituted_words: int = 0
    truncated_prompts: int = 0
    device: str = "cpu"
    threads: int = 0
    machine: str = ""
    python: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""
    flat_images: list[str] = field(default_factory=list)  # images of one colour all over
    command: str = ""
    commit: str | None = None  # of the repository that ran, "+" where it had been changed
    constants: dict[str, dict[str, Any]] = field(default_factory=dict)  # by metric: k, a kernel's degree, ...
    axes: list[str] = field(default_factory=lambda: ["guidance_scale"])
    conditions: list[Condition] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> RunFacts:
        """Of a run folder. ValueError where its run.json was not written by the run command."""
        try:
            known = json.loads((folder / FILE).read_text(encoding="utf-8"))
            return cls.from_json(known)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            words = "" if isinstance(error, UnicodeDecodeError) else f" ({' '.join(str(error).split())[:200]})"
            raise ValueError(f"--out {folder}: its {FILE} was not written by this command{words}") from None

    @classmethod
    def from_json(cls, known: Mapping[str, Any]) -> RunFacts:
        """From the object of a run.json of any age; what it holds beside these keys is dropped."""
        names = {part.name for part in dataclasses.fields(cls)}
        made = cls(**{name: value for name, value in known.items() if name in names and name != "conditions"})
        for part in dataclasses.fields(cls):
            if not _fits(getattr(made, part.name), str(part.type)) and part.name != "conditions":
                raise TypeError(f"{part.name} is no {part.type}")
        if not all(isinstance(axis, str) for axis in made.axes):
            raise TypeError("axes are no names")
        found = [from_stored(one) for one in known.get("conditions", [])]
        return dataclasses.replace(made, conditions=found or _of_scales(made))

    def to_json(self) -> dict[str, Any]:
        """The object for run.json; no home folder in it."""
        values = {part.name: getattr(self, part.name) for part in dataclasses.fields(self)}
        return clean_json(values | {"conditions": [stored(condition) for condition in self.conditions]})

    @property
    def title(self) -> str:
        """Of the report."""
        return f"{self.model} on {self.prompts}"

    @property
    def lead(self) -> str:
        """What was run, in one sentence."""
        size = f"{self.setting('width')} x {self.setting('height')}"
        return (
            f"{amount(self.image_count, 'image')} of {size} pixels from {amount(self.prompt_count, 'prompt')}; "
            f"{amount(self.setting('steps'), 'step')} of {self.setting('scheduler')}, {self.setting('guidance_schedule')} guidance, "
            f"{self.protocol['dtype']} on {self.device}{self._of_starts}{self._of_control}. "
            "± is one standard error; the same prompt has the same seed under every condition."
        )

    @property
    def _of_starts(self) -> str:
        """What a run that began at images did with them."""
        if "task" not in self.protocol:
            return ""
        words = {"image_to_image": "image-to-image", "inpainting": "inpainting"}
        return f"; {words.get(self.protocol['task'], self.protocol['task'])} at strength {self.setting('strength')}"

    @property
    def _of_control(self) -> str:
        """What steered a run whose pictures have control images."""
        return "" if self.control is None else f"; steered by {self.control} at scale {self.setting('control_scale')}"

    @property
    def notes(self) -> list[str]:
        """What a reader must know of the prompts beside the metrics' own."""
        notes = []
        if self.substituted_words:
            most = "; ".join(f"{word}: {nearest}" for word, nearest in list(self.substituted_words.items())[:12])
            notes.append(
                f"{self.prompts_with_substituted_words} of {self.prompt_count} prompts hold words that the model's world does "
                f"not, and the nearest that it holds was drawn ({most}{'; ...' if len(self.substituted_words) > 12 else ''})."
            )
        if self.unseen_words:
            most = ", ".join(list(self.unseen_words)[:12])
            notes.append(
                f"{self.prompts_with_unseen_words} of {self.prompt_count} prompts hold words the model has never "
                f"seen ({len(self.unseen_words)} words, most often: {most})."
            )
        if self.truncated_prompts:
            notes.append(
                f"{self.truncated_prompts} prompts are longer than the text encoder reads; their ends were cut off."
            )
        return notes

    def same_settings(self, axes: Sequence[str]) -> dict[str, object]:
        """The settings that are the same for every picture, by name; `axes` are those that are not."""
        same = {"model": self.model} | self.protocol
        swept = {*axes, "weights", "configs"}
        return {name: value for name, value in same.items() if name not in swept and value not in (None, "")}

    def setting(self, name: str) -> str:
        """A setting of the pictures as a sentence has it: "20", or "4, 8 or 12" where it was swept."""
        return setting_in_words(name, self.conditions) if self.conditions else shown(self.protocol[name])

    def write(self, folder: Path) -> None:
        """Into a run folder, whole or not at all."""
        write_whole(folder / FILE, json.dumps(self.to_json(), indent=1))


def _fits(value: Any, annotation: str) -> bool:
    """Whether a value is of the kind that a field of RunFacts says, as far as its outermost brackets."""
    kinds: dict[str, type] = {"str": str, "int": int, "list": list, "dict": dict, "None": type(None)}
    return any(isinstance(value, kinds[one.split("[")[0]]) for one in annotation.split(" | "))


def _of_scales(facts: RunFacts) -> list[Condition]:
    """The conditions of a file of the first house, which knew guidance scales alone."""
    from ldm_core.settings import FIELDS, SamplingSettings

    from .generation.protocol import fingerprint

    settings = SamplingSettings.from_stored({name: facts.protocol[name] for name in FIELDS if name in facts.protocol})
    folder = f"images/{fingerprint(facts.protocol)}"
    found = of_axes(settings, [scale_axis(facts.guidance_scales)])
    return [dataclasses.replace(condition, folder=folder) for condition in found]


def machine() -> dict[str, Any]:
    """Where and by what a run was made."""
    import torch

    return {
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
    }


def command_line(module: str, argv: Sequence[str] | None = None) -> str:
    """The command as a shell takes it, paths as they may be passed on."""
    words = sys.argv[1:] if argv is None else argv
    return shlex.join(["python", "-m", module, *(portable(word) if "/" in word else word for word in words)])


def commit() -> str | None:
    """The git commit of this code, "+" behind it where files were changed since; None where there is no repository."""
    here = Path(__file__).parent
    try:
        found = _git(here, "rev-parse", "HEAD")
        return found + (
            "+" if _git(here, "status", "--porcelain", "--untracked-files=no", "--", str(here.parent)) else ""
        )
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()
