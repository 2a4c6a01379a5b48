"""The options of the commands that serve, each with its variable. Imports no gradio."""

from __future__ import annotations

import argparse
import os

from ldm_core import command
from ldm_core.registry import ENGINES

from .hosting import space
from .session import Limits


def options(module: str, description: str, port: str) -> argparse.ArgumentParser:
    """For `python -m module`, whose usual port is given."""
    environment = os.environ.get
    variables = "LDM_MODEL, LDM_ENGINE, LDM_HOST, LDM_PORT, LDM_LIMITS, LDM_ALLOW_HOST, LDM_TRUST_PROXY"
    parser = command.parser(module, description, f"Each option may also be set as\n{variables}.")
    parser.add_argument("--model", default=environment("LDM_MODEL", "scenes"), help="registry name, folder or hub id")
    parser.add_argument(
        "--engine", choices=ENGINES, default=None, help="by what the networks run (default: the quicker one here)"
    )
    parser.add_argument(
        "--host",
        default=environment("LDM_HOST") or environment("GRADIO_SERVER_NAME") or "127.0.0.1",
        help="0.0.0.0 to serve a network (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        default=environment("LDM_PORT") or environment("GRADIO_SERVER_PORT") or port,
        help="(default: %(default)s)",
    )
    parser.add_argument(
        "--limits",
        default=environment("LDM_LIMITS", ""),
        metavar="NAME=VALUE,...",
        help=f"what a visitor may ask for: {', '.join(vars(Limits()))}",
    )
    names, proxies = space()
    parser.add_argument(
        "--allow-host",
        default=environment("LDM_ALLOW_HOST") or names,
        metavar="NAME,...",
        help="further names that the page is served under, * for any; its own address and localhost are",
    )
    parser.add_argument(
        "--trust-proxy",
        default=environment("LDM_TRUST_PROXY") or proxies,
        metavar="ADDRESS,...",
        help="proxies whose X-Forwarded-For says who a visitor is, * for any (default: none)",
    )
    return parser
