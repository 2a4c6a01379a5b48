"""Who a visitor is, under which names the page is served, and starts that cannot be."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import time
from pathlib import Path

import pytest
from conftest import free_port

from demo import app, scratch
from demo.guard import FILES, LARGEST, LARGEST_UPLOAD, Doors, Guard
from demo.hosting import Hosting, check_free, household, port_of, space
from demo.places import Allowance, Places
from demo.scratch import AGE, Scratch

BOUNDARY = {"content-type": "multipart/form-data; boundary=abc"}


class Door:
    """A guard before an application of a few lines, asked as a server would ask it."""

    def __init__(self, application=None, **doors):
        self.reached, self.application = [], application
        self.guard = Guard(self._answer, Doors(**doors))

    async def _answer(self, scope, receive, send):
        body = b"" if scope["method"] == "GET" else (await receive())["body"]
        self.reached.append((scope, body))
        if self.application is not None:
            await self.application(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b'{"event_id": "%d"}' % len(self.reached)})

    def ask(self, path="/", method="GET", body=b"{}", peer="127.0.0.1", chunk=65536, **headers):
        """Status and text of one answer."""
        return asyncio.run(self.asked(path, method, body, peer, chunk, **headers))

    async def asked(self, path, method="POST", body=b"{}", peer="127.0.0.1", chunk=65536, **headers):
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        chunks, sent = [body[start : start + chunk] for start in range(0, len(body), chunk)] or [b""], []

        async def receive():
            await asyncio.sleep(0)
            return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": named, "client": (peer, 1)}
        await self.guard(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode()


JOIN = "/gradio_api/queue/join"


def test_a_header_does_not_make_one_visitor_many():
    door = Door(places=Places(20, 5, lambda event: True))
    answers = [door.ask(JOIN, "POST", x_forwarded_for=f"10.0.0.{index}")[0] for index in range(60)]
    assert answers.count(200) == 5 and answers.count(422) == 55
    assert door.ask(JOIN, "POST", peer="10.0.0.9")[0] == 200, "there is a place for others"


def test_behind_a_proxy_that_the_start_names_visitors_are_told_apart_by_what_the_proxy_saw():
    door = Door(hosting=Hosting(proxies=("127.0.0.1", "10.1.0.0/16")), places=Places(20, 2, lambda event: True))
    for index, wanted in enumerate(
        (200, 200, 422, 422)
    ):  # what stands before the last address is the visitor's own tale
        assert door.ask(JOIN, "POST", x_forwarded_for=f"9.9.9.{index}, 8.8.8.8, 10.1.2.3")[0] == wanted
    assert door.reached[0][0]["client"] == ("8.8.8.8", 0)
    assert door.ask(JOIN, "POST", x_forwarded_for="7.7.7.7")[0] == 200
    assert Hosting(proxies=("*",)).client("10.9.9.9", "1.1.1.1, 2.2.2.2") == "2.2.2.2"
    assert Hosting(proxies=("10.0.0.0/8",)).client("10.9.9.9", "nonsense") == "10.9.9.9"


def test_one_visitor_has_one_ipv6_network():
    assert household("2001:db8:1:2:3::1") == household("2001:db8:1:2:ffff::9") != household("2001:db8:1:3::1")
    assert household("::ffff:10.0.0.1") == "10.0.0.1" == household("10.0.0.1")


def test_forty_who_join_at_once_are_counted_before_the_first_is_answered():
    async def slow(scope, receive, send):
        await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"event_id": "x"}'})

    door = Door(slow, places=Places(13, 12, lambda event: True))

    async def all_at_once():
        return await asyncio.gather(*(door.asked(JOIN, peer=f"10.0.0.{index}") for index in range(40)))

    statuses = [status for status, _ in asyncio.run(all_at_once())]
    assert statuses.count(200) == 13 and statuses.count(503) == 27


def test_a_place_is_free_when_the_queue_forgets_its_event_and_at_once_when_it_was_refused():
    waiting = {"1", "2"}
    door = Door(places=Places(2, 2, waiting.__contains__))
    assert [door.ask(JOIN, "POST")[0] for _ in range(3)] == [200, 200, 422]
    waiting.remove("1")  # stopped
    waiting.add("3")
    assert [door.ask(JOIN, "POST")[0] for _ in range(2)] == [200, 422]

    async def refuses(scope, receive, send):
        await send({"type": "http.response.start", "status": 422, "headers": []})
        await send({"type": "http.response.body", "body": b'{"detail": "no"}'})

    door = Door(refuses, places=Places(1, 1, lambda event: True))
    assert [door.ask(JOIN, "POST")[1] for _ in range(3)] == ['{"detail": "no"}'] * 3


@pytest.mark.parametrize(
    ("hosting", "host", "served"),
    [
        (Hosting(), "127.0.0.1:7860", True),
        (Hosting(), "LOCALHOST:7860", True),
        (Hosting(), "[::1]:7860", True),
        (Hosting(), "evil.example", False),
        (Hosting(), "localhost.evil.example", False),
        (Hosting(), "127.0.0.1@evil.example", False),
        (Hosting(), "", False),
        (Hosting("0.0.0.0"), "192.168.1.7:7860", True),
        (Hosting("0.0.0.0"), "evil.example:7860", False),
        (Hosting("0.0.0.0", ("demo.example",)), "Demo.Example.", True),
        (Hosting("192.168.1.7"), "192.168.1.8", False),
        (Hosting("0.0.0.0", ("*",)), "anything.example", True),
    ],
)
def test_the_page_is_served_under_its_own_names_alone(hosting, host, served):
    status, text = Door(hosting=hosting).ask(host=host)
    assert status == (200 if served else 421), text


def test_a_proxy_may_say_the_name_that_the_visitor_used_and_nobody_else():
    door = Door(hosting=Hosting(allowed=("demo.example",), proxies=("10.0.0.1",)))
    assert door.ask(peer="10.0.0.1", host="upstream", x_forwarded_host="demo.example")[0] == 200
    assert door.ask(peer="10.0.0.2", host="upstream", x_forwarded_host="demo.example")[0] == 421
    door.ask(peer="10.0.0.2", host="localhost", x_forwarded_host="evil.example")
    assert not [name for name, _ in door.reached[-1][0]["headers"] if name.startswith(b"x-forwarded")]


def test_other_pages_change_nothing_here():
    door = Door(hosting=Hosting(allowed=("demo.example",)))
    for origin, status in (
        ("http://localhost:7860", 200),
        ("https://demo.example", 200),
        ("http://evil.example", 403),
        ("http://localhost:3000", 403),
        ("null", 403),
        ("http://[broken", 403),
    ):
        assert door.ask("/gradio_api/cancel", "POST", host="localhost:7860", origin=origin)[0] == status, origin
    assert door.ask(host="localhost:7860", origin="http://evil.example")[0] == 200, "reading is gradio's own matter"


@pytest.mark.parametrize("path", ["/gradio_api/cancel", "/gradio_api/reset", "/login", "/nowhere", JOIN])
def test_no_path_takes_a_body_that_this_page_never_makes(path):
    door = Door()
    assert door.ask(path, "POST", b'"' + b"x" * LARGEST + b'"')[0] == 413 and not door.reached


def multipart(count, size):
    part = b'--abc\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + b"x" * size + b"\r\n"
    return part * count + b"--abc--\r\n"


def test_uploads_are_counted_weighed_and_added_up(tmp_path):
    door = Door(upload_folder=tmp_path / "gradio", uploads=Allowance(250_000, 400_000, 60))

    def send(count, size, peer="10.0.0.1"):
        return door.ask(
            "/gradio_api/upload", "POST", multipart(count, size), peer, content_type=BOUNDARY["content-type"]
        )

    assert send(FILES + 1, 1)[0] == 413 and "4 files" in send(200, 1)[1]
    assert send(1, LARGEST_UPLOAD)[0] == 413 and not door.reached
    assert send(1, 100_000)[0] == 200 and len(door.reached[-1][1]) > 100_000
    assert send(1, 100_000)[0] == 200
    status, text = send(1, 100_000)
    assert status == 429 and "uploaded" in text
    assert send(1, 100_000, "10.0.0.2")[0] == 200 and "filled their place" in send(1, 100_000, "10.0.0.3")[1]


def test_thousands_of_tiny_uploads_fill_an_allowance_too():
    allowance = Allowance(200 * 10**6, 2 * 10**9, 60)
    taken = sum(not allowance.take("10.0.0.1", 1) for _ in range(3000))
    assert taken == 2000 and allowance.take("10.0.0.2", 1) == ""


def test_an_upload_that_fails_leaves_no_part_and_a_full_disk_is_said_in_words(tmp_path):
    folder = tmp_path / "gradio"
    folder.mkdir()
    (folder / "of somebody else").write_bytes(b"x")

    async def disk_fills(scope, receive, send):
        (folder / "tmp_part").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))

    status, text = Door(disk_fills, upload_folder=folder).ask("/gradio_api/upload", "POST", multipart(1, 10))
    assert status == 507 and "disk of this server is full" in text and str(tmp_path) not in text
    assert [path.name for path in folder.iterdir()] == ["of somebody else"]


def test_whatever_gradio_did_not_foresee_is_a_sentence_and_one_line_of_the_log(caplog):
    async def fails(scope, receive, send):
        raise KeyError("a secret prompt")

    async def fails_late(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("a secret prompt")

    async def bare(scope, receive, send):
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b'{"error": null}'})

    async def tells(scope, receive, send):
        await send({"type": "http.response.start", "status": 400, "headers": []})
        await send({"type": "http.response.body", "body": f"no file in {Path.cwd()}/x".encode()})

    status, text = Door(fails).ask("/x\n\x1b[31m", "POST")
    assert status == 400 and json.loads(text)["detail"] == "This request cannot be answered as it stands."
    assert Door(fails_late).ask()[0] == 200
    assert Door(bare).ask()[0] == 400 and json.loads(Door(bare).ask()[1])["error"]
    assert str(Path.cwd()) not in Door(tells).ask()[1]
    assert len(caplog.records) == 2 and "secret" not in caplog.text and "\x1b" not in caplog.text
    assert not any(record.exc_info for record in caplog.records)


def test_events_are_asked_for_by_names_that_are_there_with_the_values_that_they_take():
    door = Door(takes={0: {2, 3}, "generate": {2, 3}})

    def send(path, **body):
        return door.ask(f"/gradio_api/{path}", "POST", json.dumps(body).encode())[0]

    assert send("call/generate", data=[1, 2]) == 200 and send("queue/join", fn_index=0, data=[1, 2, 3]) == 200
    assert send("call/nope", data=[]) == 404 and send("call/v2/nope") == 404
    assert {send("run/predict", fn_index=index, data=[1, 2]) for index in (1, -1, True, None, [], "x")} == {404}
    assert {send("call/generate", data=data) for data in ([], [1], [1] * 20, None, "xx", {})} == {422}
    assert send("call/generate", data=["\ud800", 2]) == 422
    assert door.ask("/gradio_api/call/generate", "POST", b"[1]")[0] == 422


def test_a_port_or_a_host_that_cannot_be_is_one_line_before_the_model_is_loaded(capsys, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for given, words in (
            (["--port", str(taken.getsockname()[1])], "is in use"),
            (["--port", "99999"], "--port (LDM_PORT) must be a whole number from 1 to 65535, got '99999'"),
            (["--host", "no.such.host.invalid", "--port", str(free_port())], "--host (LDM_HOST) must be an address"),
            (["--host", "192.0.2.1", "--port", str(free_port())], "--host (LDM_HOST) must be an address"),
            (["--trust-proxy", "my-proxy", "--port", str(free_port())], "--trust-proxy takes addresses"),
        ):
            with pytest.raises(SystemExit) as stopped:
                app.main(["--model", "a model that would be asked for", *given])
            told = capsys.readouterr().err
            assert stopped.value.code == 2 and words in told and told.count("\n") == 1
        monkeypatch.setenv("LDM_PORT", "abc")
        with pytest.raises(SystemExit):
            app.main(["--model", "a model that would be asked for"])
        assert "LDM_PORT" in capsys.readouterr().err


def test_free_addresses_pass_and_a_space_brings_its_own_name():
    check_free("127.0.0.1", port_of(str(free_port())))
    assert space({"SPACE_ID": "a/b", "SPACE_HOST": "a-b.hf.space"}) == ("a-b.hf.space", "*") and space({}) == ("", "")


def test_files_to_keep_are_deleted_by_themselves_and_all_of_them_at_the_end():
    kept = Scratch(every=0.05)
    old, new, lasting = kept.path("old.zip"), kept.path("new.zip"), kept.lasting("sample.png")
    old.write_bytes(b"x"), new.write_bytes(b"x"), lasting.write_bytes(b"x")
    os.utime(old.parent, (time.time() - AGE,) * 2)
    ends = time.monotonic() + 20
    while old.exists() and time.monotonic() < ends:
        time.sleep(0.02)
    assert not old.exists() and new.exists() and lasting.exists() and scratch.EVERY < AGE / 10
    kept.close()
    assert not kept.folder.exists()
