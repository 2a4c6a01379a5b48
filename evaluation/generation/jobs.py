"""The explicit list of images to make: which prompt, which seed, which scale, which file."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ldm_core.sampling import image_seed

from .prompts import Prompt


@dataclass(frozen=True)
class Job:
    """One image."""

    prompt: Prompt
    seed: int
    guidance_scale: float

    @property
    def file(self) -> str:
        """Its name, sorted by prompt, then seed, then scale.

        It carries a hash of the text: an edited prompt that keeps its place and its seed is another image.
        """
        text = hashlib.sha256(self.prompt.text.encode()).hexdigest()[:8]
        return f"{self.prompt.id:05d}_{text}_{self.seed:010d}_w{self.guidance_scale:g}.png"


def list_jobs(prompts: Sequence[Prompt], scales: Sequence[float], images_per_prompt: int, run_seed: int) -> list[Job]:
    """All images of a run, a prompt's scales side by side.

    A prompt's k-th image has one seed at every scale. k goes on counting where a prompt's text occurs again.
    """
    jobs: list[Job] = []
    said: Counter[str] = Counter()
    for prompt in prompts:
        for _ in range(images_per_prompt):
            seed = prompt.seed
            if seed is None or images_per_prompt > 1:
                seed = image_seed(run_seed if prompt.seed is None else prompt.seed, prompt.text, said[prompt.text])
            said[prompt.text] += 1
            jobs += [Job(prompt, seed, scale) for scale in scales]
    return jobs
