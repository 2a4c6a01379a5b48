"""A visitor's photo: checked before it is decoded, then made ready, and in words what was done to it."""

from __future__ import annotations

from PIL import Image, ImageOps
from torch import Tensor

from evaluation.metrics.reconstruction import crop
from ldm_core.data.photos import opaque
from ldm_core.images import from_pil

FORMATS = {"JPEG": "JPEG", "PNG": "PNG", "WEBP": "WebP", "BMP": "BMP", "TIFF": "TIFF"}


def check_upload(path: object, megapixels: int) -> str:
    """What is wrong with an uploaded file, by its header alone; empty where nothing is.

    A small file can hold a picture of gigabytes, so nothing is decoded here.
    """
    if not isinstance(path, str) or not path:
        return "Choose a photo first, or one of the samples."
    try:
        with Image.open(path) as picture:
            kind, (width, height) = picture.format, picture.size
    except Image.DecompressionBombError:
        return f"The picture is larger than the {megapixels} megapixels that this page takes."
    except (OSError, SyntaxError, ValueError):
        return f"This file is no picture that can be read; {', '.join(FORMATS.values())} will do."
    if kind not in FORMATS:
        return f"This is a {kind} file; {', '.join(FORMATS.values())} will do."
    if width * height > megapixels * 1e6:
        return f"The picture has {width} x {height} pixels; this page takes {megapixels} megapixels at the most."
    return "" if min(width, height) >= 32 else f"The picture has {width} x {height} pixels; 32 a side are the least."


def read_upload(path: str, longest: int, multiple: int) -> tuple[Tensor, list[str]]:
    """An image (3, H, W) in [0, 1] with sides that are multiples of a number, and what was done to get it.

    ValueError in words where the file is cut short.
    """
    done = []
    try:
        with Image.open(path) as picture:
            if picture.getexif().get(274, 1) != 1:
                done.append("turned as its camera says")
            turned = ImageOps.exif_transpose(picture)
            if turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info:
                done.append("put on white where it is transparent")
            elif turned.mode not in ("RGB", "P"):
                done.append(f"brought from {turned.mode} to 8-bit RGB")
            turned = opaque(turned)
    except (OSError, SyntaxError, Image.DecompressionBombError):
        raise ValueError("The picture cannot be read to its end: the file is damaged or cut short.") from None
    if max(turned.size) > longest:
        before, ratio = turned.size, longest / max(turned.size)
        width, height = (max(multiple, round(side * ratio)) for side in before)
        turned = turned.resize((width, height), Image.Resampling.LANCZOS)
        done.append(f"made smaller, from {before[0]} x {before[1]} to {width} x {height}")
    image = from_pil(turned)
    ready = crop(image, multiple)
    if ready.shape != image.shape:
        done.append(f"cropped to multiples of {multiple}")
    return ready, done
