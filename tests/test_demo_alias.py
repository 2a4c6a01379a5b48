"""Where visitors' files lie is said nowhere, and they are found all the same; work for nobody is not done."""

from __future__ import annotations

import asyncio
import json

import pytest

from demo import text_to_image
from demo.alias import Alias
from demo.guard import Doors, Guard
from demo.listeners import Listeners
from demo.session import Session

FOLDER = "/tmp/ldm-demo-abc/gradio"


def asked(path="/", body=b"", answer=b"", kind=b"application/json", method="POST"):
    """What reaches the application, and what leaves: path, body, headers, text."""
    reached, sent = [], []

    async def application(scope, receive, send):
        reached.extend([scope["path"], (await receive())["body"]])
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(Alias(application, FOLDER)({"type": "http", "method": method, "path": path}, receive, send))
    return *reached, dict(sent[0]["headers"]), sent[1]["body"]


def test_a_files_place_is_another_in_every_text_that_leaves_and_in_no_picture():
    told = json.dumps({"path": f"{FOLDER}/a/x.png", "url": f"http://here/gradio_api/file={FOLDER}/a/x.png"}).encode()
    for kind in (b"application/json", b"text/html; charset=utf-8", b"text/event-stream"):
        *_, headers, text = asked(answer=told, kind=kind)
        assert FOLDER.encode() not in text and b"content-length" not in headers
        assert json.loads(text) == {"path": "/visitors/a/x.png", "url": "http://here/gradio_api/file=/visitors/a/x.png"}
    *_, headers, pixels = asked(answer=told, kind=b"image/png")
    assert pixels == told and headers[b"content-length"] == b"%d" % len(told)


def test_the_other_name_leads_to_the_file_in_an_address_and_in_a_files_path_and_nowhere_else():
    assert asked("/gradio_api/file=/visitors/a/x y.png")[0] == f"/gradio_api/file={FOLDER}/a/x y.png"
    assert asked("/gradio_api/file=/visitors-book/x.png")[0] == "/gradio_api/file=/visitors-book/x.png"
    body = {"data": ["/visitors/ is a prompt", [{"path": "/visitors/a/x.png", "meta": {}}]]}
    read = json.loads(asked(body=json.dumps(body).encode())[1])
    assert read == {"data": ["/visitors/ is a prompt", [{"path": f"{FOLDER}/a/x.png", "meta": {}}]]}
    for odd in (b'{"path": "/visitors/x', b"[" * 9000 + b'"/visitors/x"'):
        assert asked(body=odd)[1] == odd


@pytest.fixture
def listeners(monkeypatch):
    monkeypatch.setattr(Listeners, "PATIENCE", 0.0)
    return Listeners()


def test_who_asks_and_never_listens_is_gone_and_who_listens_is_not(listeners):
    listeners.joined("event", ""), listeners.joined("other", "tab")
    assert listeners.gone("event") and listeners.gone("tab") and not listeners.gone("never asked")
    assert [listeners.opened("event"), listeners.opened("other")] == ["event", "tab"]
    assert not listeners.gone("event") and not listeners.gone("tab")
    listeners.closed("tab")
    assert listeners.gone("tab") and not listeners.gone("event")


def test_the_guard_counts_streams_as_long_as_they_are_open(listeners):
    during = []

    async def application(scope, receive, send):
        if scope["method"] == "POST":
            await receive()
        during.append(listeners.gone("tab"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"event_id": "e"}'})

    async def receive():
        return {"type": "http.request", "body": b'{"session_hash": "tab"}', "more_body": False}

    async def send(message):
        pass

    guard = Guard(application, Doors(listeners=listeners))

    def ask(method, path, query=b""):
        asyncio.run(guard({"type": "http", "method": method, "path": path, "query_string": query}, receive, send))

    ask("POST", "/gradio_api/queue/join")
    assert listeners.gone("tab")
    ask("GET", "/gradio_api/queue/data", b"session_hash=tab")
    ask("GET", "/gradio_api/call/generate/e")
    assert during == [False, False, False] and listeners.gone("tab")


def test_a_request_that_nobody_listens_to_is_not_drawn_and_one_left_half_way_ends(tiny, monkeypatch):
    class Request:
        session_hash = "event"

    session = Session(tiny)
    monkeypatch.setattr(Listeners, "PATIENCE", 0.0)
    session.listeners.joined("event", "")
    rows = tiny.network_rows
    with pytest.raises(Exception, match="Nobody has listened"):
        next(text_to_image.handler(session)("a house", steps=9, request=Request()))
    assert tiny.network_rows == rows and not session.lane.locked()
    session.listeners.opened("event")
    drawing = text_to_image.handler(session)("a house", steps=9, request=Request())
    next(drawing)
    session.listeners.closed("event")
    with pytest.raises(Exception, match="Nobody has listened"):
        list(drawing)
    assert tiny.network_rows < rows + 18 and not session.lane.locked()
