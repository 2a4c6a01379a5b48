"""A visitor's photo: checked before it is decoded, then made ready, and in words what was done to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData
from PIL import Image, ImageOps
from torch import Tensor

from evaluation.metrics.reconstruction import crop
from ldm_core.data.photos import TURNS, open_photo, photo_header
from ldm_core.images import from_pil, to_pil

FORMATS = {"JPEG": "JPEG", "PNG": "PNG", "WEBP": "WebP", "BMP": "BMP", "TIFF": "TIFF"}
NO_PICTURE = f"This file is no picture that can be read; {', '.join(FORMATS.values())} will do."
LEAST = 32  # pixels a side
LONGEST = 32  # times as long as wide


def picture_input(**looks: Any) -> gr.Image:
    """An input for a picture's file, which comes as it is: gradio would open it first, and fail in words of its own."""
    box = gr.Image(type="filepath", image_mode=None, sources=["upload", "clipboard"], buttons=[], **looks)
    box.preprocess = _path_of  # type: ignore[method-assign]  # gradio offers no other way
    return box


def _path_of(payload: ImageData | None) -> str | None:
    return payload.path if payload is not None else None


def check_upload(path: object, megapixels: int) -> str:
    """What is wrong with an uploaded file, by its header alone; empty where nothing is.

    A small file can hold a picture of gigabytes, so nothing is decoded here.
    """
    if not isinstance(path, str) or not path:
        return "Choose a photo first, or one of the samples."
    try:
        header = photo_header(Path(path))
    except Image.DecompressionBombError:
        return f"The picture is larger than the {megapixels} megapixels that this page takes."
    except ValueError:
        return NO_PICTURE
    width, height = header.size
    if header.kind not in FORMATS:
        return f"This is a {header.kind} file; {', '.join(FORMATS.values())} will do."
    if width * height > megapixels * 1e6:
        return f"The picture has {width} x {height} pixels; this page takes {megapixels} megapixels at the most."
    return (
        ""
        if min(width, height) >= LEAST
        else f"The picture has {width} x {height} pixels; {LEAST} a side are the least."
    )


def read_upload(path: str, longest: int, multiple: int) -> tuple[Tensor, list[str]]:
    """An image (3, H, W) in [0, 1] with sides that are multiples of a number, and what was done to get it.

    ValueError in words where the file is cut short.
    """
    done = []
    try:
        header, picture = photo_header(Path(path)), open_photo(Path(path))
    except (ValueError, Image.DecompressionBombError):
        raise ValueError("The picture cannot be read to its end: the file is damaged or cut short.") from None
    if header.orientation in TURNS:
        done.append("turned as its camera says")
    if header.transparent:
        done.append("put on white where it is transparent")
    elif header.mode not in ("RGB", "P"):
        done.append(f"brought from {header.mode} to 8-bit RGB")
    if max(picture.size) > LONGEST * min(picture.size):
        picture = middle(picture)
        done.append(f"cut to its middle, {picture.width} x {picture.height}, since it is very long")
    ratio = max(
        longest / max(picture.size), multiple / min(picture.size)
    )  # both sides by one, so that nothing is stretched
    if ratio < 1:
        before = picture.size
        picture = picture.resize([round(side * ratio) for side in before], Image.Resampling.LANCZOS)
        done.append(f"made smaller, from {before[0]} x {before[1]} to {picture.width} x {picture.height}")
    image = from_pil(picture)
    ready = crop(image, multiple)
    if ready.shape != image.shape:
        done.append(f"cropped to multiples of {multiple}")
    return ready, done


def fitted_upload(path: str, width: int, height: int) -> tuple[Tensor, list[str]]:
    """An image (3, H, W) in [0, 1] of that size: the middle of a picture, in its own proportions; and what was done to it."""
    image, done = read_upload(path, 8 * max(width, height), 1)
    if image.shape[1:] == (height, width):
        return image, done
    picture = ImageOps.fit(to_pil(image), (width, height), Image.Resampling.LANCZOS)
    return from_pil(picture), [*done, f"brought to {width} x {height}, its middle"]


def middle(picture: Image.Image) -> Image.Image:
    """A picture without the ends that make it longer than LONGEST times its width."""
    width, height = (min(side, LONGEST * min(picture.size)) for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))
