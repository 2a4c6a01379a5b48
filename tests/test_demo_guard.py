"""What is turned away at the door: addresses, floods, broken JSON; and limits, flags."""

from __future__ import annotations

import asyncio
import json

import pytest
from conftest import free_port

from demo import app
from demo.guard import LARGEST, Guard, names_an_address
from demo.session import Limits, limits_of


def ask(path, body=b"{}", method="POST"):
    """The status that a request gets, and whether it reached the application, with what body."""
    reached, sent = [], []

    async def application(scope, receive, send):
        reached.append((await receive())["body"] if method == "POST" else b"")
        await send({"type": "http.response.start", "status": 200, "headers": []})

    chunks = [body[start : start + 65536] for start in range(0, len(body), 65536)] or [b""]

    async def receive():
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message):
        sent.append(message)

    asyncio.run(Guard(application)({"type": "http", "method": method, "path": path}, receive, send))
    return sent[0]["status"], reached


def test_an_honest_request_passes_with_its_body_whole():
    body = json.dumps(
        {"data": ["a red house " * 9000, {"path": "/tmp/gradio/x.png", "url": "http://127.0.0.1/file=x"}]}
    ).encode()
    assert ask("/gradio_api/queue/join", body) == (200, [body])
    assert ask("/gradio_api/upload", b"\x00" * (LARGEST + 1))[0] == 200, "uploads have gradio's own limit"


@pytest.mark.parametrize(
    "path",
    ["/gradio_api/queue/join", "/gradio_api/call/generate", "/gradio_api/run/predict", "/gradio_api/api/generate"],
)
def test_an_address_in_place_of_a_picture_is_turned_away_on_every_way_in(path):
    for value in (
        "http://10.0.0.1/x.png",
        " HTTPS://example.org/x.png",
        "//example.org/x.png",
        "data:image/png;base64,AAAA",
    ):
        assert ask(path, json.dumps({"data": [{"path": value}]}).encode()) == (422, [])


def test_floods_broken_json_and_fetched_files_are_turned_away():
    assert ask("/gradio_api/call/generate", b'"' + b"x" * LARGEST + b'"') == (413, [])
    assert ask("/gradio_api/call/generate", b"{no json") == (422, [])
    assert ask("/gradio_api/call/generate", b"[" * 100_000) == (422, [])
    assert ask("/gradio_api/file=https://example.org/x", method="GET") == (403, [])
    assert ask("/gradio_api/file=/tmp/gradio/x.png", method="GET")[0] == 200


def test_addresses_are_found_however_deep_and_prompts_may_speak_of_them():
    assert names_an_address({"data": [[{"image": {"path": "http://x"}}]]})
    assert names_an_address({"path": None, "url": "http://x/y.png", "meta": {"_type": "gradio.FileData"}})
    assert not names_an_address({"data": ["http://x is no prompt", 3, None, True]})


def test_limits_are_read_from_a_flag_and_nonsense_is_one_line():
    assert limits_of("") == Limits() and limits_of(" steps=50, work=7.5 ") == Limits(steps=50, work=7.5)
    for text in ("steps", "steps=many", "speed=3", "cells=1.5"):
        with pytest.raises(ValueError, match="--limits must be like steps=50,cells=16, of prompt_characters"):
            limits_of(text)
    with pytest.raises(ValueError, match="--limits steps must be above 0, got -1"):
        limits_of("steps=-1")


def test_bad_flags_are_one_line(capsys):
    for given, words in (
        (["--model", "scens"], "did you mean 'scenes'"),
        (["--limits", "speed=3"], "--limits must be like"),
    ):
        with pytest.raises(SystemExit) as stopped:
            app.main([*given, "--port", str(free_port())])
        assert stopped.value.code == 2 and words in capsys.readouterr().err
