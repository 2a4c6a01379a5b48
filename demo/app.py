"""The demo page.

    python -m demo.app        or        python demo/app.py

Sends nothing anywhere: no analytics, no outside requests, no prompt is logged.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
os.environ["FORWARDED_ALLOW_IPS"] = (
    ""  # uvicorn would believe X-Forwarded-For of any program here; --trust-proxy says whose
)

import gradio as gr

if __package__ in (None, ""):  # python demo/app.py: the repository is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo import controls, turns
from demo.guard import KEPT, Doors
from demo.hosting import Hosting, check_free, port_of
from demo.openings import Opening, Openings
from demo.options import options
from demo.page import Page
from demo.places import Allowance, Places
from demo.runs import Runs
from demo.samples import photographs_of
from demo.scratch import AGE
from demo.session import Session, limits_of
from demo.tabs import about, from_picture, generate, guidance, how_it_works, layout, reconstruct, results
from demo.theme import theme
from ldm_core import command

TABS: dict[str, Callable[[Session, gr.Markdown], list[Opening] | None]] = {
    "Draw": generate.build,
    "From a picture": from_picture.build,
    "From a layout": layout.build,
    "Guidance sweep": guidance.build,
    "Autoencoders": reconstruct.build,
    "How it works": how_it_works.build,
    "Results": results.build,
    "About": about.build,
}
STYLE = Path(__file__).with_name("style.css")
SCRIPTS = ("page.js", "kept.js", "enlarge.js")


def build(session: Session, hosting: Hosting | None = None) -> Page:
    """The page, a tab each, behind its guard."""
    spec, openings = session.model.spec, Openings(session.lane)
    with Page(title="Latent diffusion", analytics_enabled=False, delete_cache=(60, AGE - 60)) as page:
        head = gr.Markdown(controls.header(spec, session.model), elem_id="header")
        with gr.Tabs():
            for name, tab in tabs_of(session).items():
                with gr.Tab(name) as opened:
                    openings.offer(opened, tab(session, head) or [])
        gr.Markdown(about.SHORT, elem_id="kept-here")
    page.openings = openings
    limits = session.limits
    page.guarded_by(
        Doors(
            hosting or Hosting(),
            Places(turns.AT_ONCE, limits.waiting_per_address),
            Allowance(limits.upload_megabytes * 10**6, limits.upload_megabytes * 10**7, KEPT),
            listeners=session.listeners,
        )
    )
    # Without api_open=False a script could pass by the queue, its limits and the validator.
    page.queue(max_size=turns.AT_ONCE, default_concurrency_limit=1, api_open=False)
    session.listeners.waiting = lambda tab: page._queue.pending_messages_per_session[tab].qsize()
    return page


def tabs_of(session: Session) -> dict[str, Callable[[Session, gr.Markdown], list[Opening] | None]]:
    """Those that the session has something for."""
    return {name: tab for name, tab in TABS.items() if tab is not layout.build or session.control}


def main(argv: list[str] | None = None) -> int:
    parser = options("demo.app", "Open the demo page.", "7860")
    parser.add_argument(
        "--results",
        default=os.environ.get("LDM_RESULTS", ""),
        metavar="FOLDER",
        help="of a run of the evaluation, or of several, that visitors may look at (LDM_RESULTS; default: an example)",
    )
    parser.add_argument(
        "--photographs",
        default=os.environ.get("LDM_PHOTOGRAPHS", ""),
        metavar="FOLDER",
        help="whose first three stand among the samples; they are shown to everybody (LDM_PHOTOGRAPHS; default: two that ship)",
    )
    with ending_in_order():
        return command.carry_out(parser, argv, work)


def work(arguments: argparse.Namespace) -> int:
    """Until a signal ends it."""
    limits, port = limits_of(arguments.limits), port_of(arguments.port)
    hosting = Hosting.of(arguments.host, arguments.allow_host, arguments.trust_proxy)
    check_free(arguments.host, port)
    runs = Runs(Path(arguments.results)) if arguments.results else None
    photographs = photographs_of(arguments.photographs)
    session = Session.load(arguments.model, limits, arguments.engine, runs, photographs)
    try:
        serve(session, hosting, port)
    except OSError:  # somebody else has taken the port while the model was loaded
        raise ValueError(f"nothing can listen on --host {arguments.host} --port {port} any more") from None
    return 0


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Told to stop by a signal, the interpreter ends as on its own, so that visitors' files are deleted; a second signal
    changes nothing."""
    numbers = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}

    def leave(number: int, frame: FrameType | None) -> None:
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def serve(session: Session, hosting: Hosting, port: int) -> None:
    """Until a signal ends it. What gradio keeps of visitors lies in the session's own folder, and goes with it."""
    os.environ["GRADIO_TEMP_DIR"] = str(session.scratch.folder / "gradio")
    for name in ("NO_PROXY", "no_proxy"):  # gradio asks its own server whether it is there, and a proxy would not know
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "localhost", "127.0.0.1", "::1", hosting.host]))
    page = build(session, hosting)
    host = f"[{hosting.host}]" if ":" in hosting.host else hosting.host
    try:
        page.launch(server_name=host, server_port=port, prevent_thread_lock=True, **launch_options())
        page.openings.draw()
        threading.Event().wait()
    finally:
        page.close(verbose=False)
        session.scratch.close()


def script() -> str:
    """What runs in the browser when the page is there, one function after another."""
    texts = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in SCRIPTS)
    return f"() => {{ {' '.join(f'({text.strip()})();' for text in texts)} }}"


def launch_options() -> dict[str, Any]:
    """How the page is served wherever it is: in its own looks, telling nobody anything."""
    return {
        "theme": theme(),
        "css_paths": STYLE,
        "js": script(),
        "ssr_mode": False,
        "show_error": False,
        "max_file_size": "20mb",
        "enable_monitoring": False,
        "run_history": False,
        "state_session_capacity": 200,
        "strict_cors": True,
        "footer_links": ["api"],
        "mcp_server": False,
        "_frontend": False,  # else a machine that is busy when the page opens ends it: it must answer within 3 seconds
    }


if __name__ == "__main__":
    raise SystemExit(main())
