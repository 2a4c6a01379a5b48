"""Captions of scenes on which nothing was trained, as a prompt set with the file that a run has it from."""

from __future__ import annotations

from pathlib import Path

from ldm_core.files import write_whole

from .prompts import Prompt
from .worlds import DRAWN, caption_of


def held_out_prompts(world: str, count: int, folder: Path) -> tuple[list[Prompt], Path]:
    """The first so many of a drawn world, and their file in a folder."""
    seeds = DRAWN[world].HELD_OUT_SEEDS[:count]
    prompts = [Prompt(place, caption_of(world, seed)) for place, seed in enumerate(seeds)]
    file = folder / "held-out.txt"
    write_whole(file, "\n".join(prompt.text for prompt in prompts))
    return prompts, file
