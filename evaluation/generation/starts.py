"""The start images of a run, and its masks.

The n-th prompt of the file takes the n-th picture of the folder, in the order of their names, and of the masks likewise; a
single picture serves every prompt. Too few are refused, and too many where every prompt of the file is drawn. A picture of
another size is brought to the run's: enlarged or shrunk until it covers it, the middle taken. Of a mask white is drawn anew.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from ldm_core.data.photos import open_photo, photo_files
from ldm_core.images import from_pil
from ldm_core.recipe import Task
from ldm_core.tasks import image_to_image, inpainting
from ldm_core.tasks.replay import check_same
from ldm_core.tasks.start import image_sha256

from ..paths import portable
from ..prompts import Prompt

if TYPE_CHECKING:
    from ldm_core.pipeline import LatentDiffusion

    from ..config import RunConfig

KEPT = 256  # pictures in memory


@dataclass(frozen=True)
class StartFiles:
    """What one image begins from."""

    image: Path
    mask: Path | None = None

    def task(self, height: int, width: int) -> Task:
        """For its recipe."""
        image, mask = self.tensors(height, width)
        if mask is None:
            return Task(image_to_image.NAME, image_sha256(image))
        return Task(inpainting.NAME, image_sha256(image), image_sha256(mask))

    def tensors(self, height: int, width: int) -> tuple[Tensor, Tensor | None]:
        """The image (3, H, W) in [0, 1], and the mask (1, H, W), 1 where it is drawn anew."""
        mask = None if self.mask is None else (fitted(self.mask, height, width)[:1] >= inpainting.GREY).float()
        return fitted(self.image, height, width), mask


def starts_of(config: RunConfig, prompts: Sequence[Prompt]) -> dict[int, StartFiles]:
    """By a prompt's place in its file; empty for a run from noise. ValueError in one line where pictures are lacking."""
    if config.init_images is None:
        return {}
    images = _by_prompt("--init-images", config.init_images, prompts, config.limit is not None)
    if config.masks is None:
        return {place: StartFiles(image) for place, image in images.items()}
    masks = _by_prompt("--masks", config.masks, prompts, config.limit is not None)
    return {place: StartFiles(image, masks[place]) for place, image in images.items()}


def _by_prompt(flag: str, source: Path, prompts: Sequence[Prompt], limited: bool) -> dict[int, Path]:
    files = _files(flag, source)
    if len(files) == 1:
        return {prompt.id: files[0] for prompt in prompts}
    needed = max(prompt.id for prompt in prompts) + 1
    if len(files) < needed or (len(files) > needed and not limited):
        raise ValueError(
            f"{flag} {portable(source)} holds {len(files)} pictures and there are {needed} prompts: the n-th prompt takes the "
            "n-th picture by name; give as many, or one for all"
        )
    return {prompt.id: files[prompt.id] for prompt in prompts}


def _files(flag: str, source: Path) -> list[Path]:
    try:
        return [source] if source.is_file() else photo_files(source)
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from None


def protocol_of_starts(config: RunConfig) -> dict[str, str]:
    """What a run's protocol says of them; nothing for a run from noise."""
    if config.init_images is None:
        return {}
    found = {"task": config.task_name, "init_images": _sha256("--init-images", config.init_images)}
    return found if config.masks is None else found | {"masks": _sha256("--masks", config.masks)}


@functools.cache
def _sha256(flag: str, source: Path) -> str:
    """Of the files' contents, in the order of their names."""
    digests = (hashlib.sha256(path.read_bytes()).digest() for path in _files(flag, source))
    return hashlib.sha256(b"".join(digests)).hexdigest()


@functools.lru_cache(maxsize=KEPT)
def fitted(path: Path, height: int, width: int) -> Tensor:
    """A picture (3, H, W) in [0, 1] of that size, in 8 bits: as it is where it has it, else covering it, its middle."""
    picture = open_photo(path)
    if picture.size != (width, height):
        scale = max(width / picture.width, height / picture.height)
        sides = (max(width, round(picture.width * scale)), max(height, round(picture.height * scale)))
        picture = picture.resize(sides, Image.Resampling.BICUBIC)
        left, top = (sides[0] - width) // 2, (sides[1] - height) // 2
        picture = picture.crop((left, top, left + width, top + height))
    return from_pil(picture)


def draw(
    model: LatentDiffusion,
    starts: Sequence[StartFiles],
    prompts: list[str],
    seeds: list[int],
    settings: list,
) -> Tensor:
    """Images (B, 3, H, W) of one size, each from its start."""
    pairs = [start.tensors(own["height"], own["width"]) for start, own in zip(starts, settings)]
    images = torch.stack([image for image, _ in pairs])
    masks = [mask for _, mask in pairs if mask is not None]
    if not masks:
        return model.image_to_image(images, prompts, seeds, settings=settings)  # type: ignore[return-value]  # of one size
    return model.inpaint(images, torch.stack(masks), prompts, seeds, settings=settings)  # type: ignore[return-value]  # of one size


def check_recipe(task: Task, start: StartFiles, settings: Mapping | object) -> None:
    """ValueError where a recipe's picture was made of other files than these."""
    image, mask = start.tensors(settings["height"], settings["width"])  # type: ignore[index]  # by flat name
    if (mask is None) != (not task.mask):
        given = "no mask was" if mask is None else "a mask is"
        raise ValueError(f"--recipe is of {task.name}, and {given} given by --masks")
    check_same(task, image, mask)
