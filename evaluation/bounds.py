"""How much a run may be asked for: what is beyond is refused before anything is allocated. Imports nothing heavy.

Those of a single picture stand in ldm_core.settings (steps, sides), of a recipe in ldm_core.recipe, of a file of statistics
in detectors/reference_files.py; pictures end where Pillow's guard against bombs ends, at 179 megapixels.
"""

from __future__ import annotations

MOST_IMAGES = (
    1_000_000  # of a run: prompts x images per prompt x conditions; each costs about a kilobyte of bookkeeping
)
MOST_PROMPT_BYTES = 256 << 20  # of a prompt file; COCO's captions of all 118,287 training images are 92 MB
LONGEST_PROMPT = 20_000  # characters; text encoders read the first 77 to 512 tokens


def check_amount(prompts: int, images_per_prompt: int, conditions: int) -> None:
    """ValueError where a run would be of more images than any."""
    count = prompts * images_per_prompt * conditions
    if count > MOST_IMAGES:
        raise ValueError(
            f"{prompts} prompts x {images_per_prompt} images x {conditions} conditions are {count} images; "
            f"{MOST_IMAGES} a run at the most (--limit, --images-per-prompt)"
        )
