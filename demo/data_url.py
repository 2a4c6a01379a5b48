"""A picture within the page itself."""

from __future__ import annotations

import base64
import io

from PIL import Image


def data_url(picture: Image.Image, kind: str, **options: object) -> str:
    """The picture as png or webp, with PIL's options for it."""
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
