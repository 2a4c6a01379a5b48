"""The demo page.

    python -m demo.app        or        python demo/app.py

Sends nothing anywhere: no analytics, no outside requests, no prompt is logged.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import gradio as gr
from starlette.middleware import Middleware

if __package__ in (None, ""):  # python demo/app.py: the repository is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.guard import Guard
from demo.session import Limits, Session, limits_of
from demo.tabs import generate, guidance, reconstruct
from demo.theme import theme

TABS = {"Draw": generate.build, "Guidance sweep": guidance.build, "Autoencoders": reconstruct.build}
WAITING = 12  # visitors in the queue; the next is told that the page is busy
STYLE = Path(__file__).with_name("style.css")


def build(session: Session) -> gr.Blocks:
    """The page, a tab each."""
    spec = session.model.spec
    with gr.Blocks(title="Latent diffusion", analytics_enabled=False, delete_cache=(600, 1800)) as page:
        gr.Markdown(
            f"# Latent diffusion\nModel `{spec.name}`: {spec.description or spec.source}, "
            f"{session.model.width} x {session.model.height} pixels, on {session.model.device}."
        )
        with gr.Tabs():
            for name, tab in TABS.items():
                with gr.Tab(name):
                    tab(session)
    # Without api_open=False a script could pass by the queue, its limits and the validator.
    return page.queue(max_size=WAITING, default_concurrency_limit=1, api_open=False)


def main(argv: list[str] | None = None) -> None:
    environment = os.environ.get
    parser = argparse.ArgumentParser(
        prog="python -m demo.app",
        description="Open the demo page.",
        epilog="Each option may also be set as LDM_MODEL, LDM_HOST, LDM_PORT, LDM_LIMITS.",
    )
    parser.add_argument("--model", default=environment("LDM_MODEL", "scenes"), help="registry name, folder or hub id")
    parser.add_argument(
        "--host",
        default=environment("LDM_HOST") or environment("GRADIO_SERVER_NAME") or "127.0.0.1",
        help="0.0.0.0 to serve a network (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        help="(default: %(default)s)",
        default=int(environment("LDM_PORT") or environment("GRADIO_SERVER_PORT") or 7860),
    )
    parser.add_argument(
        "--limits",
        default=environment("LDM_LIMITS", ""),
        metavar="NAME=VALUE,...",
        help=f"what a visitor may ask for: {', '.join(vars(Limits()))}",
    )
    arguments = parser.parse_args(argv)
    try:
        session = Session.load(arguments.model, limits_of(arguments.limits))
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    build(session).launch(server_name=arguments.host, server_port=arguments.port, **launch_options())


def launch_options() -> dict[str, Any]:
    """How the page is served wherever it is: by the guard, in its own looks, telling nobody anything."""
    return {
        "theme": theme(),
        "css_paths": STYLE,
        "ssr_mode": False,
        "show_error": False,
        "max_file_size": "20mb",
        "enable_monitoring": False,
        "run_history": False,
        "state_session_capacity": 200,
        "strict_cors": True,
        "footer_links": ["api"],
        "app_kwargs": {"middleware": [Middleware(Guard)]},
        "mcp_server": False,
    }


if __name__ == "__main__":
    main()
