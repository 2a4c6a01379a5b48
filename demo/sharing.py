"""What others see of the page where its address is shared: its own title, words and picture."""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from .answers import Send

PICTURE = Path(__file__).parent / "pictures" / "draw.webp"
ADDRESS = "/preview.webp"  # of the picture
TITLE = "Latent diffusion"
WORDS = "Draw from text, sweep guidance, and see what autoencoders keep: a small latent-diffusion model at work in your browser."
TAGS = re.compile(rb'<meta\s[^>]*?(?:property="og:|name="twitter:)[^>]*>\s*')


class Sharing:
    """Gives pages these tags in place of gradio's own, and the picture that they name."""

    def __init__(self, app: Callable[..., Awaitable]):
        self.app = app

    async def __call__(self, scope: dict, receive: Callable, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == ADDRESS and scope["method"] in ("GET", "HEAD"):
            body = PICTURE.read_bytes()
            headers = [(b"content-type", b"image/webp"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body if scope["method"] == "GET" else b""})
            return
        await self.app(scope, receive, self._tagged(scope, send) if scope["type"] == "http" else send)

    def _tagged(self, scope: dict, send: Send) -> Send:
        page = False

        async def written(message: dict) -> None:
            nonlocal page
            if message["type"] == "http.response.start":
                headers = message.get("headers", [])
                page = any(key.lower() == b"content-type" and value.startswith(b"text/html") for key, value in headers)
                if page:
                    kept = [header for header in headers if header[0].lower() != b"content-length"]
                    message = message | {"headers": kept}
            elif page and b"<head>" in message.get("body", b""):
                body = TAGS.sub(b"", message["body"])
                message = message | {"body": body.replace(b"<head>", b"<head>" + tags(scope).encode(), 1)}
            await send(message)

        return written


def tags(scope: dict) -> str:
    """Of the page at the address that a request used."""
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"), "")
    home = html.escape(f"{scope.get('scheme', 'http')}://{host}")
    named = {"title": TITLE, "description": WORDS, "image": f"{home}{ADDRESS}"}
    shown = [f'<meta property="og:{name}" content="{value}">' for name, value in named.items()]
    shown += [f'<meta name="twitter:{name}" content="{value}">' for name, value in named.items()]
    return "".join(
        [*shown, '<meta property="og:type" content="website">', f'<meta property="og:url" content="{home}/">']
    )
