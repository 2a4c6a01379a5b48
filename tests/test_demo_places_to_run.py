"""Where the page runs beside a person's own machine: in a container, and on a Space whose GPU is lent."""

from __future__ import annotations

import fnmatch
import json
import os
import pickle
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from conftest import free_port
from PIL import Image

from demo import comparison, lessons, text_to_image, zero_gpu
from demo.session import Session
from demo.sweep_drawing import Sweep
from demo.tabs import from_picture, guidance, reconstruct

ROOT = Path(__file__).parents[1]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's, in order."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [tuple(line.split(None, 1)) for line in lines]


def of(name: str) -> list[str]:
    return [words for kind, words in instructions() if kind == name]


def test_what_the_container_copies_is_there_and_is_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = [source for words in of("COPY") for source in words.split()[:-1]]
    assert {"requirements.txt", "ldm_core", "evaluation", "demo", "prompts"} <= set(copied)
    for source in copied:
        assert (ROOT / source).exists() and f"!{source}" in ignored, source
    imported = re.findall(r"^(?:from|import) (\w+)", (ROOT / "demo" / "app.py").read_text(), re.MULTILINE)
    for package in {name for name in imported if (ROOT / name).is_dir()}:
        assert any(fnmatch.fnmatch(package, source) for source in copied), package


def test_the_containers_torch_is_the_one_that_is_required():
    wanted = re.search(r"^torch==\S+", (ROOT / "requirements.txt").read_text(), re.MULTILINE)[0]
    assert any(wanted in words for words in of("RUN"))


def test_the_containers_command_opens_the_page_and_needs_no_net(tmp_path):
    given = dict(pair.split("=", 1) for words in of("ENV") for pair in shlex.split(words))
    assert given["LDM_HOST"] == "0.0.0.0" and given["LDM_PORT"] == of("EXPOSE")[0] and given["HF_HUB_OFFLINE"] == "1"
    port, nowhere = free_port(), "http://127.0.0.1:9"
    without = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), nowhere) | {"NO_PROXY": "127.0.0.1,localhost"}
    environment = (
        os.environ | given | without | {"LDM_PORT": str(port), "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    )
    command = json.loads(of("CMD")[0])
    assert command[0] == "python"
    server = subprocess.Popen([sys.executable, *command[1:]], cwd=ROOT, env=environment)
    try:
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline and server.poll() is None:
            try:
                page = httpx.get(f"http://127.0.0.1:{port}", timeout=30)
                break
            except httpx.TransportError:
                time.sleep(1)
        assert page.status_code == 200 and "Latent diffusion" in page.text
    finally:
        server.terminate()
        server.wait(120)


@pytest.fixture
def spaces(monkeypatch):
    """A stand-in for the package of that name: what it decorates is a generator function, and all that goes in and comes out
    is pickled on the way, as between its processes."""
    lent, handed = [], lambda value: pickle.loads(pickle.dumps(value))

    def lend(task=None, *, duration=None):
        def decorated(*given):
            lent.append((task.__name__, duration))
            for frame in task(*handed(given)):
                yield handed(frame)

        if task is None:
            return lambda own: lend(own, duration=duration)
        return decorated

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=lend))
    return lent


def test_without_the_package_drawings_are_as_they_were():
    assert zero_gpu.lent(lessons.watch) is lessons.watch


def test_each_tab_draws_where_the_gpu_is_lent(spaces, tiny, tmp_path, monkeypatch):
    session = Session(tiny)
    for module, name in ((text_to_image, "draw"), (from_picture, "draw"), (reconstruct, "compare"), (lessons, "watch")):
        monkeypatch.setattr(module, name, zero_gpu.lent(getattr(module, name)))
    path = tmp_path / "x.png"
    Image.new("RGB", (64, 64), "teal").save(path)
    picture, words, _ = list(text_to_image.handler(session)("a house", seed=3, steps=2))[-1]
    assert picture.info.get("recipe") and "Seed 3" in words and spaces == [("draw", zero_gpu.SECONDS)]
    last = list(reconstruct.handler(session)(str(path), [tiny.spec.reference], drift=False))[-1]
    assert last[2][0]["autoencoder"] == tiny.spec.reference and spaces[-1][0] == "compare"
    assert "steps" in list(lessons.watch(session, "a house", 1, 2.0))[-1][1] and spaces[-1][0] == "watch"
    monkeypatch.setattr(Sweep, "draw", zero_gpu.lent(Sweep.draw))
    asked = len(spaces)
    grid, words, *_ = list(guidance.handler(session)("a house", "1,2", "7", "constant", 2))[-1]
    assert grid.count("<img") == 2 and words.startswith("2 pictures") and len(spaces) == asked + 1


class Count:
    """A drawing with a state of its own."""

    def __init__(self, session):
        self.session, self.done = session, []

    def draw(self, most):
        for number in range(most):
            self.done = [*self.done, (number, self.session.model.spec.name)]
            yield number, "words"


def test_an_object_that_draws_keeps_what_it_has_come_to(spaces, tiny):
    counting = Count(Session(tiny))
    frames = zero_gpu.lent(Count.draw)(counting, 3)
    assert next(frames) == (0, "words") and counting.done == [(0, tiny.spec.name)]
    assert list(frames) == [(1, "words"), (2, "words")] and len(counting.done) == 3 and counting.session.model is tiny
    assert spaces == [("draw", zero_gpu.SECONDS)]


def test_what_fails_where_the_gpu_is_comes_back_in_words(spaces, tiny, tmp_path):
    import gradio as gr

    damaged = tmp_path / "x.png"
    Image.new("RGB", (64, 64)).save(damaged)
    damaged.write_bytes(damaged.read_bytes()[:60])
    compare = zero_gpu.lent(comparison.compare)
    with pytest.raises(gr.Error, match="damaged or cut short"):
        list(compare(Session(tiny), str(damaged), [tiny.spec.reference], comparison.Ways()))
