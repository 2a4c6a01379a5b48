"""The explicit list of images to make: which prompt, which seed, under which condition, in which file."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ldm_core.sampling import image_seed

from ..condition import shown
from ..image_set import ImageSet
from ..prompts import Prompt
from .axes import Condition
from .starts import StartFiles


@dataclass(frozen=True)
class Job:
    """One image."""

    prompt: Prompt
    seed: int
    condition: Condition
    start: StartFiles | None = None  # what it begins from, if not from noise
    control: Path | None = None  # the image that steers it, if one does

    @property
    def text(self) -> str:
        """The prompt in the condition's wording: what the model is given."""
        return self.condition.wording.replace("{}", self.prompt.text)

    @property
    def name(self) -> str:
        """Of its file, sorted by prompt, then seed, then scale.

        It carries a hash of the text: an edited prompt that keeps its place and its seed is another image.
        """
        text = hashlib.sha256(self.text.encode()).hexdigest()[:8]
        return f"{self.prompt.id:05d}_{text}_{self.seed:010d}_w{shown(self.condition.guidance_scale)}.png"

    @property
    def file(self) -> str:
        """Its file, relative to the run's folder."""
        return f"{self.condition.folder}/{self.name}"


def list_jobs(
    prompts: Sequence[Prompt],
    conditions: Sequence[Condition],
    images_per_prompt: int,
    run_seed: int,
    starts: Mapping[int, StartFiles] | None = None,
    controls: Mapping[int, Path] | None = None,
) -> list[Job]:
    """All images of a run, a prompt's conditions side by side; starts and control images by a prompt's place.

    A prompt's k-th image has one seed under every condition.
    """
    begun, steering = starts or {}, controls or {}
    return [
        Job(prompt, seed, condition, begun.get(prompt.id), steering.get(prompt.id))
        for prompt, seed in with_seeds(prompts, images_per_prompt, run_seed)
        for condition in conditions
    ]


def with_seeds(prompts: Sequence[Prompt], images_per_prompt: int = 1, run_seed: int = 0) -> list[tuple[Prompt, int]]:
    """Each prompt with each of its seeds: its own where it has one, else by the rule of every run, whose k goes on counting
    where a prompt's text occurs again."""
    found: list[tuple[Prompt, int]] = []
    counts: Counter[str] = Counter()
    for prompt in prompts:
        for _ in range(images_per_prompt):
            seed = prompt.seed
            if seed is None or images_per_prompt > 1:
                seed = image_seed(run_seed if prompt.seed is None else prompt.seed, prompt.text, counts[prompt.text])
            counts[prompt.text] += 1
            found.append((prompt, seed))
    return found


def _pictures_given(job: Job) -> dict[str, str]:
    """Columns of images.csv: the files beside the prompt that it was made of."""
    start = job.start
    given = {"control_image": job.control}
    if start is not None:
        given = {"start": start.image, "mask": start.mask} | given
    return {name: path.name for name, path in given.items() if path is not None}


def image_set(out: Path, jobs: Sequence[Job], axes: Sequence[str]) -> ImageSet:
    """The jobs' images as what scoring takes; a column for the guidance scale whether or not it varies."""
    rows = (
        {
            "prompt_id": job.prompt.id,
            "prompt": job.prompt.text,
            "category": job.prompt.category,
            "seed": job.seed,
            "guidance_scale": job.condition.guidance_scale,
            **dict(job.condition.values),
            "file": job.file,
            **_pictures_given(job),
            "challenge": job.prompt.challenge,
            "reference": job.prompt.reference,
        }
        for job in jobs
    )
    return ImageSet.of_rows(out, rows, axes, named_by_content=True)
