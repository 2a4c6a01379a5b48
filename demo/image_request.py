"""A request for images in the shape that OpenAI's clients send, read and checked."""

from __future__ import annotations

import io
import re
import secrets
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ldm_core.images import png_text, to_pil
from ldm_core.recipe import Recipe
from ldm_core.settings import SamplingSettings

from .over_time import OVER_TIME
from .session import Session, size_text

MOST = 10  # pictures of one request, as there
FORMATS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}
IGNORED = (
    "user",
    "quality",
    "style",
    "moderation",
    "background",
    "output_compression",
)  # of theirs, that change nothing here
OWN = ("seed", "steps", "guidance_scale", "guidance_schedule", "scheduler", "negative_prompt")
KNOWN = ("model", "prompt", "n", "size", "response_format", "output_format", *IGNORED, *OWN)


class Unfit(ValueError):
    """A request that cannot be answered: which field, and why in words."""

    def __init__(self, field: str, words: str, status: int = 400):
        super().__init__(words)
        self.field, self.status = field, status


@dataclass(frozen=True)
class ImageRequest:
    """n pictures of a prompt, of seeds one after another."""

    prompt: str
    seeds: tuple[int, ...]
    settings: SamplingSettings
    format: str

    @classmethod
    def read(cls, session: Session, body: Any) -> ImageRequest:
        """From the request's JSON; Unfit says what does not fit, unknown fields too."""
        if not isinstance(body, dict):
            raise Unfit("body", "The request must be a JSON object.")
        given = {name: value for name, value in body.items() if value is not None}
        for name in given:
            if name not in KNOWN:
                raise Unfit(str(name)[:40], f"Unknown field; known: {', '.join(KNOWN)}.")
        model = session.model
        if given.get("model", model.spec.name) not in (model.spec.name, model.spec.reference):
            raise Unfit("model", f"The model here is {model.spec.name!r}.", 404)
        if given.get("response_format", "b64_json") != "b64_json":
            raise Unfit("response_format", "Pictures come as b64_json; no addresses are made.")
        form = given.get("output_format", "png")
        if not isinstance(form, str) or form not in FORMATS:
            raise Unfit("output_format", f"output_format must be one of {', '.join(FORMATS)}.")
        count = given.get("n", 1)
        if type(count) is not int or not 1 <= count <= MOST:
            raise Unfit("n", f"n must be a whole number from 1 to {MOST}.")
        return cls._checked(session, given, count, form)

    @classmethod
    def _checked(cls, session: Session, given: dict[str, Any], count: int, form: str) -> ImageRequest:
        """The fields that say how a picture is made, within the server's limits."""
        model = session.model
        prompt, negative = given.get("prompt", ""), given.get("negative_prompt", "")
        width, height = _size(given.get("size", "auto"), model.width, model.height)
        seed = given.get("seed", secrets.randbelow(2**32 - MOST))
        values: dict[str, Any] = {"steps": model.spec.steps, "guidance_scale": model.spec.guidance_scale}
        values |= {"scheduler": model.scheduler_name, "guidance_schedule": "constant"}
        values |= {name: given[name] for name in values if name in given}
        if "prompt" not in given:
            raise Unfit("prompt", "A prompt is needed.")
        size = size_text((width, height))
        found = session.problems(prompt, negative, seed, **values, size=size, model=model.spec.reference)
        if not found and (words := session.too_much((width, height), values["steps"], count)):
            found = {"n": words}
        if not found and seed + count - 1 > session.limits.largest_seed:
            found = {"seed": "The seeds of n pictures follow one another and must stay below 2**32."}
        for field, words in found.items():
            raise Unfit(field, words)
        values |= {"steps": int(values["steps"]), **OVER_TIME[values["guidance_schedule"]]}
        settings = SamplingSettings.of(**values, negative_prompt=negative, width=width, height=height)
        seeds = tuple(range(int(seed), int(seed) + count))
        return cls(prompt, seeds, settings, form)


def _size(text: object, width: int, height: int) -> tuple[int, int]:
    """Width and height of "256x256"; the model's own for "auto"."""
    if text == "auto":
        return width, height
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,5}x[0-9]{1,5}", text):
        raise Unfit("size", f"size must be like {width}x{height}, or auto.")
    wide, high = text.split("x")
    return int(wide), int(high)


def encoded(picture: Tensor, form: str, recipe: Recipe) -> bytes:
    """A picture file; a PNG carries its recipe."""
    file = io.BytesIO()
    more = {"pnginfo": png_text(recipe.to_png_text())} if form == "png" else {}
    to_pil(picture).save(file, format=FORMATS[form], **more)
    return file.getvalue()
