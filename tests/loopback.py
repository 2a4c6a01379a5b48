"""A server on the loopback that serves given bytes, and misbehaves as it is told to."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Loopback:
    """`files` by path; what is done to the next answers is popped off the lists."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.headers: dict[str, dict[str, str]] = {}  # more of them, by path
        self.cuts: list[int | None] = []  # bytes after which each answer's connection is closed
        self.statuses: list[int] = []  # answered in place of the file
        self.ranges = True  # whether Range is understood
        self.shift = 0  # how far beside the range asked for the answer begins
        self.lengths = True  # whether answers say their length
        self.asked: list[tuple[str, str | None]] = []  # path and Range of every request
        self.address = ""

    def answer(self, handler: BaseHTTPRequestHandler, body: bool = True) -> None:
        path, wanted = handler.path.partition("?")[0], handler.headers.get("Range")
        self.asked.append((path, wanted))
        if self.statuses:
            handler.send_error(self.statuses.pop(0))
            return
        if path in self.redirects:
            handler.send_response(302)
            handler.send_header("Location", self.redirects[path])
            handler.end_headers()
            return
        if path not in self.files:
            handler.send_error(404)
            return
        data, start = self.files[path], 0
        if wanted and self.ranges:
            start = int(wanted.removeprefix("bytes=").partition("-")[0]) + self.shift
            if start >= len(data):
                handler.send_error(416)
                return
        handler.send_response(206 if wanted and self.ranges else 200)
        if wanted and self.ranges:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if self.lengths:
            handler.send_header("Content-Length", str(len(data) - start))
        for name, value in self.headers.get(path, {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        if body:
            cut = self.cuts.pop(0) if self.cuts else None
            handler.wfile.write(data[start:] if cut is None else data[start : start + cut])
        handler.close_connection = True


@contextmanager
def loopback():
    """A running server."""
    serving = Loopback()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            serving.answer(self)

        def do_HEAD(self):
            serving.answer(self, body=False)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield serving
    server.shutdown()
    server.server_close()
