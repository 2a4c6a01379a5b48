"""The page as a command: hostile calls of every shape, what stands in its log afterwards, and what is left when it is told
to stop."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from conftest import free_port
from PIL import Image
from PIL.PngImagePlugin import PngInfo

ROOT = Path(__file__).parents[1]
SECRET = "a prompt that is nobody's business"
NASTY = [
    None,
    True,
    -1,
    1.5,
    10**400,
    "",
    f"{SECRET}\x1b[31m\nsecond line",
    [],
    {},
    [[]],
    {"path": "/etc/passwd"},
    {"path": ""},
    {"path": None},
    "\ud800",
    "NaN",
]
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The running command, with its log and its temporary folder."""
    pytest.importorskip("gradio")
    folder, port = tmp_path_factory.mktemp("temporary"), free_port()
    log = folder.parent / "log"
    environment = os.environ | {"TMPDIR": str(folder), "LDM_MODEL": "fashion", "OMP_NUM_THREADS": "1"}
    environment.pop("GRADIO_TEMP_DIR", None)
    words = [sys.executable, "-m", "demo.app", "--port", str(port)]
    with log.open("wb") as out:
        running = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)
    address, ends = f"http://127.0.0.1:{port}", time.monotonic() + 300
    while "Running on" not in log.read_text() and running.poll() is None and time.monotonic() < ends:
        time.sleep(0.2)
    assert running.poll() is None, log.read_text()
    yield SimpleNamespace(address=f"{address}/gradio_api", root=address, log=log, folder=folder, running=running)
    running.kill()
    running.wait()


def post(command, path, body):
    return httpx.post(f"{command.address}/{path}", content=json.dumps(body), headers=JSON, timeout=120)


def upload(command, *files):
    return httpx.post(f"{command.address}/upload", files=[("files", file) for file in files], timeout=120)


def picture(tmp_path, recipe=None):
    """A PNG's bytes, with a text where recipes stand."""
    text = PngInfo()
    if recipe is not None:
        text.add_text("ldm", recipe)
    Image.new("RGB", (32, 32), "teal").save(tmp_path / "x.png", pnginfo=text)
    return (tmp_path / "x.png").read_bytes()


def test_hostile_calls_get_a_sentence_and_leave_no_word_in_the_log(command, tmp_path):
    config = httpx.get(f"{command.root}/config", timeout=120).json()
    rng, answers = random.Random(0), []
    for event in config["dependencies"]:
        for _ in range(4):
            data = [rng.choice(NASTY) for _ in event["inputs"]][: rng.choice((None, None, None, 1))]
            asked = {"data": data, "fn_index": event["id"], "session_hash": f"s{rng.random()}"}
            answers += [post(command, "run/predict", asked), post(command, "queue/join", asked)]
    for path in (
        "call/nope",
        "call/generate",
        "call/v2/generate",
        "call/v2/nope",
        "cancel",
        "reset",
        "component_server",
    ):
        for body in (
            {},
            {"data": [SECRET]},
            {"data": [SECRET] * 20},
            [],
            {"prompt": SECRET, "more": 1},
            {"event_id": {}},
        ):
            answers.append(post(command, path, body))
    for index in (99999, -1, None, "x"):
        answers.append(post(command, "run/predict", {"data": [SECRET], "fn_index": index}))
    answers.append(upload(command, ("x.png", b"junk")))
    junk = answers[-1].json()[0]
    photo = {"path": junk, "meta": {"_type": "gradio.FileData"}}
    answers.append(post(command, "call/reconstruct", {"data": [photo, ["fashion"], False]}))
    assert answers[-1].status_code == 422 and "JPEG, PNG, WebP" in answers[-1].text and junk not in answers[-1].text
    answers += [upload(command, *[("x.png", b"x")] * 50)]
    for event in ("call/generate/nothing", "queue/data?session_hash=nothing", "file=/etc/passwd", "file=README.md"):
        answers.append(httpx.get(f"{command.address}/{event}", timeout=120))
    for answer in answers:
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        assert '"error":null' not in answer.text.replace(" ", "") and "Traceback" not in answer.text
        assert str(ROOT) not in answer.text and sys.prefix not in answer.text, answer.text
    log = command.log.read_text()
    assert "Traceback" not in log and "nobody's business" not in log and "\x1b" not in log and "second line" not in log


def test_hostile_recipes_get_a_sentence(command, tmp_path):
    config = httpx.get(f"{command.root}/config", timeout=120).json()
    uploads = {component["id"] for component in config["components"] if component["props"].get("elem_id") == "earlier"}
    restore = next(event["id"] for event in config["dependencies"] if set(event["inputs"]) == uploads)
    good = httpx.get(re.search(r"http://[^\"]*image\.png", drawn(command))[0], timeout=120).content
    (tmp_path / "good.png").write_bytes(good)
    with Image.open(tmp_path / "good.png") as image:
        key, recipe = next((key, text) for key, text in image.info.items() if str(text).startswith("{"))
    for hostile in (
        re.sub(r'"seed": *7', f'"seed": {"9" * 400}', recipe),
        re.sub(r'"seed": *7', f'"seed": {"[" * 5000}{"]" * 5000}', recipe),
        re.sub(r'"prompt": *"', r'"prompt": "\\ud800', recipe),
        re.sub(r'"seed": *7', '"seed": 1e999', recipe),
    ):
        assert hostile != recipe
        text = PngInfo()
        text.add_text(key, hostile)
        Image.new("RGB", (32, 32)).save(tmp_path / "hostile.png", pnginfo=text)
        path = upload(command, ("hostile.png", (tmp_path / "hostile.png").read_bytes())).json()[0]
        photo = {"path": path, "meta": {"_type": "gradio.FileData"}}
        answer = post(command, "run/predict", {"data": [photo], "fn_index": restore, "session_hash": "r"})
        assert answer.status_code in (200, 400, 422), answer.text
        assert answer.status_code == 200 or answer.json()["error"], (hostile[:80], answer.text)
    assert "Traceback" not in command.log.read_text()


def drawn(command):
    """The event stream of one picture."""
    data = ["an ankle boot", "", 7, 1, 1.0, "ddim", "constant", "32 x 32", "fashion"]
    event = post(command, "call/generate", {"data": data}).json()["event_id"]
    text = httpx.get(f"{command.address}/call/generate/{event}", timeout=120).text
    assert "event: complete" in text, text
    return text


def test_told_to_stop_it_leaves_nothing_of_its_visitors(command, tmp_path):
    drawn(command)
    assert upload(command, ("x.png", picture(tmp_path))).status_code == 200
    assert [path for path in command.folder.rglob("*.png") if path.is_file()], "there is something to delete"
    command.running.send_signal(signal.SIGTERM)
    assert command.running.wait(60) == 128 + signal.SIGTERM
    assert not [path for path in command.folder.rglob("*") if path.is_file()]
    assert "Traceback" not in command.log.read_text()
