"""The page as a command: hostile calls of every shape, what stands in its log afterwards, and what is left when it is told
to stop. With a thousand of them, on a machine that has nothing else to do:

    LDM_HOSTILE_CALLS=1000 python -m pytest tests/test_demo_doors.py -n 0 -s
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import hostile
import httpx
import hypothesis
import pytest
from conftest import free_port
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from demo.answers import OWN

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
CALLS = int(os.environ.get("LDM_HOSTILE_CALLS", "80"))  # of any shape
PATIENCE = 300  # seconds; a busy machine answers late, one that hangs never
JSON = {"content-type": "application/json"}
CLIENT = httpx.Client(timeout=PATIENCE)  # one for all: each anew reads the certificates anew


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The running command, with its log and its temporary folder."""
    pytest.importorskip("gradio")
    folder, port = tmp_path_factory.mktemp("temporary"), free_port()
    log = folder.parent / "log"
    environment = os.environ | {"TMPDIR": str(folder), "LDM_MODEL": "fashion", "OMP_NUM_THREADS": "1"}
    environment |= dict.fromkeys(("HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")  # where nothing answers
    environment.pop("GRADIO_TEMP_DIR", None)
    words = [sys.executable, "-m", "demo.app", "--port", str(port)]
    with log.open("wb") as out:
        running = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)
    address, ends = f"http://127.0.0.1:{port}", time.monotonic() + 4 * PATIENCE
    while "Running on" not in log.read_text() and running.poll() is None and time.monotonic() < ends:
        time.sleep(0.2)
    assert running.poll() is None and "Running on" in log.read_text(), f"it has not started: {log.read_text()}"
    yield SimpleNamespace(address=f"{address}/gradio_api", root=address, log=log, folder=folder, running=running)
    running.kill()
    running.wait()


def post(command, path, body):
    return CLIENT.post(f"{command.address}/{path}", content=json.dumps(body), headers=JSON)


def upload(command, *files):
    return CLIENT.post(f"{command.address}/upload", files=[("files", file) for file in files])


def picture(tmp_path, recipe=None):
    """A PNG's bytes, with a text where recipes stand."""
    text = PngInfo()
    if recipe is not None:
        text.add_text("ldm", recipe)
    Image.new("RGB", (32, 32), "teal").save(tmp_path / "x.png", pnginfo=text)
    return (tmp_path / "x.png").read_bytes()


def test_hostile_calls_get_a_sentence_and_leave_no_word_in_the_log(command, tmp_path):
    config = CLIENT.get(f"{command.root}/config").json()
    rng, answers = random.Random(0), []
    for event in config["dependencies"]:
        for _ in range(max(1, CALLS // 400)):
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
    answers.append(post(command, "call/reconstruct", {"data": [photo, ["fashion"], "mean", "float32", False]}))
    assert answers[-1].status_code == 422 and "JPEG, PNG, WebP" in answers[-1].text and junk not in answers[-1].text
    answers += [upload(command, *[("x.png", b"x")] * 50)]
    for event in ("call/generate/nothing", "queue/data?session_hash=nothing", "file=/etc/passwd", "file=README.md"):
        answers.append(CLIENT.get(f"{command.address}/{event}"))
    for answer in answers:
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        assert '"error":null' not in answer.text.replace(" ", "") and "Traceback" not in answer.text
        for place in (str(ROOT), sys.prefix, str(command.folder)):
            assert place not in answer.text, answer.text
    log = command.log.read_text()
    assert "Traceback" not in log and "nobody's business" not in log and "\x1b" not in log and "second line" not in log


def test_hostile_recipes_get_a_sentence(command, tmp_path):
    config = CLIENT.get(f"{command.root}/config").json()
    uploads = {component["id"] for component in config["components"] if component["props"].get("elem_id") == "earlier"}
    restore = next(event["id"] for event in config["dependencies"] if set(event["inputs"]) == uploads)
    good = CLIENT.get(re.search(r"http://[^\"]*image\.png", drawn(command))[0]).content
    (tmp_path / "good.png").write_bytes(good)
    with Image.open(tmp_path / "good.png") as image:
        key, recipe = next((key, text) for key, text in image.info.items() if str(text).startswith("{"))
    for changed in (
        re.sub(r'"seed": *7', f'"seed": {"9" * 400}', recipe),
        re.sub(r'"seed": *7', f'"seed": {"[" * 5000}{"]" * 5000}', recipe),
        re.sub(r'"prompt": *"', r'"prompt": "\\ud800', recipe),
        re.sub(r'"seed": *7', '"seed": 1e999', recipe),
    ):
        assert changed != recipe
        text = PngInfo()
        text.add_text(key, changed)
        Image.new("RGB", (32, 32)).save(tmp_path / "hostile.png", pnginfo=text)
        path = upload(command, ("hostile.png", (tmp_path / "hostile.png").read_bytes())).json()[0]
        photo = {"path": path, "meta": {"_type": "gradio.FileData"}}
        answer = post(command, "run/predict", {"data": [photo], "fn_index": restore, "session_hash": "r"})
        assert answer.status_code in (200, 400, 422), answer.text
        assert answer.status_code == 200 or answer.json()["error"], (changed[:80], answer.text)
    assert "Traceback" not in command.log.read_text()


def drawn(command, name="generate", data=hostile.GOOD["generate"]):
    """The event stream of one picture, or of what else an endpoint gives."""
    event = post(command, f"call/{name}", {"data": data}).json()["event_id"]
    text = CLIENT.get(f"{command.address}/call/{name}/{event}").text
    assert "event: complete" in text, text
    return text


def ordinary(command, address="127.0.0.2"):
    """Seconds that a picture of four steps takes another visitor."""
    data = [*hostile.GOOD["generate"]]
    data[3] = 4
    began = time.monotonic()
    with httpx.Client(transport=httpx.HTTPTransport(local_address=address), timeout=PATIENCE) as visitor:
        event = visitor.post(f"{command.address}/call/generate", json={"data": data}).json()["event_id"]
        assert "event: complete" in visitor.get(f"{command.address}/call/generate/{event}").text
    return time.monotonic() - began


def memory(command):
    """Bytes that the command holds."""
    return int(Path(f"/proc/{command.running.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def refused_in_words(command, request, client):
    """Sends one hostile call, and reads the answer to its end."""
    method, path, body, headers = request
    answer = client.request(method, command.root + path, content=body, headers=headers)
    text = answer.text
    if answer.status_code == 200 and "/call/" in path and "event_id" in text:
        name = path.split("/call/")[1].removeprefix("v2/")
        text += client.get(f"{command.address}/call/{name}/{answer.json()['event_id']}").text
    told = (request, answer.status_code, text[:500])
    assert answer.status_code < 500 or answer.status_code in OWN, told
    bare = text.replace(" ", "")
    assert '"error":null' not in bare and "event:error\ndata:null" not in bare and "Traceback" not in text, told
    for place in (str(ROOT), sys.prefix, str(command.folder), "root:x:0"):
        assert place not in text, told


@pytest.fixture(scope="module")
def survived(command):
    """What hostile calls of any shape, each answered in words, did to the command, with an ordinary visitor beside them: how
    many they were, bytes of memory after a quarter of them and at the end, seconds of the visitor's pictures alone and
    beside them, or what went wrong with one of them."""
    count = CALLS
    drawn(command, "sweep", hostile.GOOD["sweep"])  # what is loaded once is not held against the calls
    alone = [ordinary(command) for _ in range(5)]
    beside, wrong, held, made, done = [], [], [], [], threading.Event()

    def visit():
        while not done.is_set():
            try:
                beside.append(ordinary(command))
            except (AssertionError, httpx.HTTPError, KeyError, ValueError) as error:
                wrong.append(f"an ordinary request beside them: {error!r}")
            done.wait(0.2)

    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(hostile.requests)
    def all_of_them(request):
        made.append(request)
        refused_in_words(command, request, client)
        if len(made) == count // 4:
            held.append(memory(command))

    visitor = threading.Thread(target=visit)
    with httpx.Client(timeout=PATIENCE) as client:
        visitor.start()
        try:
            all_of_them()
        except Exception as error:  # noqa: BLE001  # whatever it was: the tests below tell it, and what it left
            wrong.append(f"call {len(made)} of {count}: {error!r}"[:3000])
        finally:
            done.set()
            visitor.join()
    return SimpleNamespace(
        count=count, made=len(made), wrong=wrong, held=[*held, memory(command)], alone=alone, beside=beside
    )


def test_a_thousand_hostile_calls_of_any_shape_get_a_sentence_each(survived):
    """As many as LDM_HOSTILE_CALLS says; the suite itself a sample."""
    assert not survived.wrong, "\n".join(survived.wrong)
    assert survived.made >= survived.count


def test_hostile_calls_leave_no_traceback_and_no_prompt_in_the_log(survived, command):
    log = command.log.read_text()
    assert "Traceback" not in log and "nobody's business" not in log and "\x1b" not in log and "second line" not in log
    assert command.running.poll() is None, "the command is still there"


def test_hostile_calls_leave_the_memory_level(survived):
    after_a_quarter, at_the_end = survived.held[0], survived.held[-1]
    told = (
        f"{after_a_quarter / 1e6:.0f} MB after a quarter of {survived.made} calls, {at_the_end / 1e6:.0f} MB at the end"
    )
    print(told)
    assert at_the_end - after_a_quarter < 100e6, told


def test_an_ordinary_request_beside_hostile_calls_takes_less_than_twice_its_time(survived):
    """Of medians; the machine must have nothing else to do."""
    alone, beside = statistics.median(survived.alone), statistics.median(survived.beside or [0.0])
    told = (
        f"an ordinary picture took {alone:.2f} s alone ({min(survived.alone):.2f} to {max(survived.alone):.2f}) and {beside:.2f} s "
        f"beside {survived.made} hostile calls, x {beside / alone:.2f} of {len(survived.beside)}; twice is allowed, and 0.3 s"
    )
    print(told)
    assert len(survived.beside) >= 3, told
    assert beside < 2 * alone + 0.3, (
        f"{told}. If the machine was busy with something else, run this again when it is not"
    )


def test_told_to_stop_it_leaves_nothing_of_its_visitors(command, tmp_path):
    drawn(command)
    assert upload(command, ("x.png", picture(tmp_path))).status_code == 200
    assert [path for path in command.folder.rglob("*.png") if path.is_file()], "there is something to delete"
    command.running.send_signal(signal.SIGTERM)
    assert command.running.wait(PATIENCE) == 128 + signal.SIGTERM
    assert not [path for path in command.folder.rglob("*") if path.is_file()]
    assert "Traceback" not in command.log.read_text()
