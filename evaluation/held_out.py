"""Captions of scenes on which nothing was trained, as a prompt set with the file that a run has it from."""

from __future__ import annotations

from pathlib import Path

from ldm_core.data import scenes
from ldm_core.files import write_whole

from .prompts import Prompt
from .worlds import caption_of


def held_out_prompts(count: int, folder: Path) -> tuple[list[Prompt], Path]:
    """The first so many, and their file in a folder."""
    prompts = [Prompt(place, caption_of("scenes", seed)) for place, seed in enumerate(scenes.HELD_OUT_SEEDS[:count])]
    file = folder / "held-out.txt"
    write_whole(file, "\n".join(prompt.text for prompt in prompts))
    return prompts, file
