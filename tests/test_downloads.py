"""Downloads from a server on the loopback: agreed to, resumed, checked, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from evaluation import downloads as module
from evaluation import transfer
from evaluation.detectors import inception
from evaluation.detectors.hub import Published, hub_folder
from evaluation.downloads import Downloads, Remote, megabytes
from evaluation.transfer import download
from ldm_core.files import cache_folder
from tests.conftest import free_port
from tests.loopback import loopback

CONTENT = bytes(range(256)) * 8192  # 2 MB, so that it comes in several blocks
SHA = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Nothing of the machine's proxies, caches or settings."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


@pytest.fixture
def server():
    with loopback() as serving:
        serving.files["/weights.pth"] = CONTENT
        yield serving


def remote(server, digest=SHA, size=None, path="/weights.pth"):
    return Remote("the weights", server.address + path, size or len(CONTENT), digest)


def left(folder):
    return sorted(path.name for path in folder.iterdir())


# Fetching


def test_a_file_arrives_whole_and_nothing_else_stays(server, tmp_path, capsys):
    download(remote(server), tmp_path / "w" / "x.pth")
    assert (tmp_path / "w" / "x.pth").read_bytes() == CONTENT and left(tmp_path / "w") == ["x.pth"]
    assert "the weights: 100%" in capsys.readouterr().err
    download(remote(server), tmp_path / "w" / "x.pth")
    assert len(server.asked) == 1, "what is there is not fetched again"


def test_a_transfer_that_is_cut_goes_on_where_it_was_cut(server, tmp_path):
    server.cuts = [700_000, 0, 900_000]
    download(remote(server), tmp_path / "x.pth", pause=0)
    assert (tmp_path / "x.pth").read_bytes() == CONTENT
    ranges = [wanted for _, wanted in server.asked]
    assert ranges == [None, "bytes=700000-", "bytes=700000-", "bytes=1600000-"]


@pytest.mark.parametrize("lengths", [True, False])
def test_a_server_that_knows_no_ranges_sends_all_again(lengths, server, tmp_path):
    server.cuts, server.ranges, server.lengths = [700_000], False, lengths
    download(remote(server), tmp_path / "x.pth", pause=0)
    assert (tmp_path / "x.pth").read_bytes() == CONTENT


def test_what_was_fetched_is_kept_for_the_next_call_where_the_server_dies(server, tmp_path):
    server.cuts = [700_000] + [0] * 20
    with pytest.raises(
        ValueError, match=r"\(the connection ended early\); 0.7 MB of 2.1 MB are kept, and the same command"
    ):
        download(remote(server), tmp_path / "x.pth", pause=0)
    assert left(tmp_path) == [".x.pth.lock", ".x.pth.part"] and len(server.asked) == 1 + transfer.TRIES
    server.cuts, server.asked = [], []
    download(remote(server), tmp_path / "x.pth")
    assert server.asked == [("/weights.pth", "bytes=700000-")] and (tmp_path / "x.pth").read_bytes() == CONTENT
    assert left(tmp_path) == ["x.pth"]


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_wrong_hash_is_one_line_and_the_file_is_removed(algorithm, server, tmp_path):
    wrong = hashlib.new(algorithm, b"other").hexdigest()
    with pytest.raises(
        ValueError, match=f"its {algorithm.upper()} begins with [0-9a-f]{{8}}, not {wrong[:8]}; removed"
    ):
        download(remote(server, f"{algorithm}:{wrong}"), tmp_path / "x.pth")
    assert left(tmp_path) == [".x.pth.lock"]
    download(remote(server, f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"), tmp_path / "x.pth")


def test_a_part_of_another_file_ends_in_a_wrong_hash_not_in_a_mixed_file(server, tmp_path):
    (tmp_path / ".x.pth.part").write_bytes(bytes(500_000))
    with pytest.raises(ValueError, match="removed"):
        download(remote(server), tmp_path / "x.pth")
    download(remote(server), tmp_path / "x.pth")
    assert (tmp_path / "x.pth").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_begun_anew(server, tmp_path):
    (tmp_path / ".x.pth.part").write_bytes(bytes(len(CONTENT) + 1))
    download(remote(server), tmp_path / "x.pth")
    assert server.asked == [("/weights.pth", None)]


def test_another_size_than_the_published_one_is_refused_before_a_byte(server, tmp_path):
    with pytest.raises(ValueError, match=f"offers {len(CONTENT)} bytes for the weights; 5000000 are published"):
        download(remote(server, size=5_000_000), tmp_path / "x.pth")
    assert left(tmp_path) == [".x.pth.lock"]


def test_a_server_that_never_stops_is_stopped_at_the_published_size(server, tmp_path):
    server.lengths = False
    with pytest.raises(ValueError, match="sends more than the bytes of the weights; removed"):
        download(remote(server, size=1_000_000), tmp_path / "x.pth")
    assert left(tmp_path) == [".x.pth.lock"]


def test_another_range_than_asked_for_is_refused(server, tmp_path):
    server.cuts, server.shift = [700_000], 5
    with pytest.raises(ValueError, match="was asked for bytes from 700000 on and answers with 700005-"):
        download(remote(server), tmp_path / "x.pth", pause=0)


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_refusal_is_one_line_at_once(status, server, tmp_path):
    server.statuses = [status] * 9
    with pytest.raises(ValueError, match=f"cannot be fetched from {server.address}/weights.pth: {status}"):
        download(remote(server), tmp_path / "x.pth")
    assert len(server.asked) == 1


def test_a_server_that_is_busy_is_asked_again(server, tmp_path):
    server.statuses = [503, 429]
    download(remote(server), tmp_path / "x.pth", pause=0)
    server.statuses = [503] * 9
    with pytest.raises(ValueError, match=r"\(503 Service Unavailable\)"):
        download(remote(server), tmp_path / "y.pth", pause=0)


def test_no_server_at_all_is_one_line(tmp_path):
    with pytest.raises(
        ValueError, match=r"cannot be fetched from http://127.0.0.1:9/x \(.*refused.*\); 0.0 MB of 1.0 MB"
    ):
        download(Remote("the weights", "http://127.0.0.1:9/x", 1_000_000), tmp_path / "x.pth", pause=0)


def test_redirects_are_followed_with_their_range(server, tmp_path):
    server.redirects = {"/a": "/b", "/b": server.address + "/weights.pth"}
    server.cuts = [700_000]
    download(remote(server, path="/a"), tmp_path / "x.pth", pause=0)
    assert server.asked[-1] == ("/weights.pth", "bytes=700000-") and (tmp_path / "x.pth").read_bytes() == CONTENT


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "gopher:x"])
def test_redirects_to_anything_but_http_are_refused(target, server, tmp_path):
    server.redirects["/a"] = target
    with pytest.raises(ValueError, match="not followed|not allowed|cannot be fetched"):
        download(remote(server, path="/a"), tmp_path / "x.pth", pause=0)
    assert left(tmp_path) == [".x.pth.lock"]


def test_redirects_in_a_ring_end(server, tmp_path):
    server.redirects = {"/a": "/b", "/b": "/a"}
    with pytest.raises(ValueError, match="cannot be fetched from .*: 302"):
        download(remote(server, path="/a"), tmp_path / "x.pth", pause=0)


# Disks


def test_a_disk_without_room_is_said_before_a_byte_is_asked_for(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda folder: usage(65 << 20))
    with pytest.raises(OSError, match="No room for the weights: 2.1 MB needed, 68.2 MB free") as full:
        download(remote(server), tmp_path / "x.pth")
    assert full.value.errno == errno.ENOSPC and full.value.filename == str(tmp_path) and not server.asked


def test_a_disk_that_fills_up_is_named_and_given_back_what_was_taken(server, tmp_path):
    """A limit on the size of files stands for the disk: writing beyond it fails as a full disk's does."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as full:
            download(remote(server), tmp_path / "x.pth")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert full.value.filename == str(tmp_path / "x.pth") and left(tmp_path) == [".x.pth.lock"]
    download(remote(server), tmp_path / "x.pth")


def test_two_processes_fetch_a_file_once(server, tmp_path):
    code = (
        "import sys; from pathlib import Path; from evaluation.downloads import Remote; from evaluation.transfer import download;"
        "download(Remote('x', sys.argv[1], int(sys.argv[2]), sys.argv[3]), Path(sys.argv[4]))"
    )
    command = [sys.executable, "-c", code, server.address + "/weights.pth", str(len(CONTENT)), SHA, str(tmp_path / "x")]
    running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert (tmp_path / "x").read_bytes() == CONTENT and len(server.asked) == 1


# Consent


def test_no_says_what_it_would_be_and_how_to_get_it(tmp_path):
    with pytest.raises(
        ValueError, match=re.escape("x is not in the local cache; --download yes fetches it (95.6 MB from h)")
    ):
        Downloads("no").permit("x", 95_628_359, "h", tmp_path)
    assert Downloads("yes").permit("x", 95_628_359, "h", tmp_path) is None


def test_ask_shows_what_how_much_from_where_and_asks_once(tmp_path):
    questions = []
    policy = Downloads("ask", ask=lambda question: questions.append(question) or True)
    for _ in range(2):
        policy.permit("x", 6_645_013_297, "h", tmp_path, "13 GB of disk")
    assert questions == [f"x: 6645 MB from h into {tmp_path}; 13 GB of disk. Download? [y/N] "]
    refusing = Downloads("ask", ask=lambda question: questions.append(question) or False)
    for _ in range(2):
        with pytest.raises(ValueError, match="--download yes fetches it"):
            refusing.permit("y", None, "h", tmp_path)
    assert len(questions) == 2 and "y: of unknown size from h" in questions[1]


def test_without_a_terminal_ask_is_no_and_at_its_end_too(tmp_path, monkeypatch):
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        with pytest.raises(ValueError, match="--download yes fetches it"):
            Downloads("ask").permit("x", 1, "h", tmp_path)
        assert not module.ask_on_terminal("?")


@pytest.mark.parametrize(
    ("typed", "answer"), [("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False), ("", False)]
)
def test_the_terminals_answer_is_no_unless_it_is_yes(typed, answer, tmp_path, monkeypatch):
    (tmp_path / "typed").write_text(typed)
    monkeypatch.setattr("sys.stdin", (tmp_path / "typed").open())
    assert module.ask_on_terminal("?") is answer


@pytest.mark.parametrize("value", ["1", "true", "ON"])
def test_the_hubs_offline_switch_is_honoured(value, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    with pytest.raises(ValueError, match="HF_HUB_OFFLINE is set"):
        Downloads("yes").permit("x", 1, "h", tmp_path)


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="--download must be one of ask, yes, no, got 'maybe'"):
        Downloads("maybe")


def test_the_users_cache_is_where_the_user_says(monkeypatch, tmp_path):
    assert cache_folder("coco") == tmp_path / "cache" / "ldm-eval" / "coco"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == Path.home() / ".cache" / "ldm-eval"
    assert megabytes(95_628_359) == "95.6 MB" and megabytes(815_585_330) == "816 MB"


# Detectors


def test_inception_is_fetched_into_torchs_cache_and_checked(server, tmp_path, monkeypatch):
    monkeypatch.delenv(inception.VARIABLE, raising=False)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(inception, "WEIGHTS", remote(server))
    with pytest.raises(
        ValueError, match="the weights is not in the local cache; --download yes.*or set LDM_INCEPTION to"
    ):
        inception.weights_file()
    assert not (tmp_path / "checkpoints").exists()
    assert inception.weights_file(Downloads("yes")) == tmp_path / "checkpoints" / inception.FILES[0]
    assert inception.weights_file().read_bytes() == CONTENT


def test_inceptions_published_hash_begins_as_its_name_says():
    assert inception.WEIGHTS.digest.startswith("sha256:6726825d") and "6726825d" in inception.WEIGHTS.url


WEIGHTS = b"safetensors" * 1000
ID = "someone/clip"
HUB = """
import json, os, sys
from evaluation.detectors.hub import Published, hub_folder
from evaluation.downloads import Downloads
for sha256, mode, offline in json.loads(sys.argv[1]):
    os.environ["HF_HUB_OFFLINE"] = offline
    try:
        print(hub_folder(Published("LDM_NOWHERE", "someone/clip", "model.safetensors", 11000, sha256), Downloads(mode)))
    except ValueError as error:
        print("refused:", error)
"""


def a_hub(server):
    """As much of the hub as its client asks for."""
    files = {"model.safetensors": WEIGHTS, "config.json": b"{}", "pytorch_model.bin": b"never"}
    listed = [
        {
            "type": "file",
            "path": name,
            "size": len(data),
            "oid": "0" * 40,
            "lfs": {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 1},
        }
        for name, data in files.items()
    ]
    commit = "c" * 40
    info = {"id": ID, "sha": commit, "siblings": [{"rfilename": name} for name in files]}
    for revision in ("main", commit):
        server.files[f"/api/models/{ID}/revision/{revision}"] = json.dumps(info).encode()
        server.files[f"/api/models/{ID}/tree/{revision}"] = json.dumps(listed).encode()
        for name, data in files.items():
            path = f"/{ID}/resolve/{revision}/{name}"
            server.files[path] = data
            server.headers[path] = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": commit}
    for path in server.files:
        if path.startswith("/api"):
            server.headers[path] = {"Content-Type": "application/json"}


def test_a_network_of_the_hub_is_fetched_where_agreed_and_its_hash_compared(server, tmp_path):
    a_hub(server)
    right = hashlib.sha256(WEIGHTS).hexdigest()
    calls = [(right, "no", ""), (right, "yes", "1"), ("f" * 64, "yes", ""), (right, "yes", ""), (right, "no", "")]
    settings = {"HF_ENDPOINT": server.address, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    found = subprocess.run(
        [sys.executable, "-c", HUB, json.dumps(calls)],
        check=False,
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert found.returncode == 0, found.stderr
    refused, offline, wrong, fetched, again = found.stdout.splitlines()
    assert "someone/clip is not in the local cache; --download yes fetches it (0.0 MB from the model hub)" in refused
    assert "HF_HUB_OFFLINE is set" in offline
    assert f"its SHA-256 begins with {right[:8]}, not ffffffff; it was removed" in wrong
    assert sorted(path.name for path in Path(fetched).iterdir()) == ["config.json", "model.safetensors"]
    assert (Path(fetched) / "model.safetensors").read_bytes() == WEIGHTS and again == fetched


def test_a_folder_named_by_the_variable_needs_no_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("LDM_NOWHERE", str(tmp_path))
    assert hub_folder(Published("LDM_NOWHERE", ID, "model.safetensors", 1, "")) == tmp_path


TURNS = """
import os, sys
from evaluation.processes import Processes
processes = Processes.join()
def work():
    if not os.path.exists(sys.argv[1]):
        assert processes.first, "the others begin when the first is done"
        open(sys.argv[1], "w").close()
    return processes.rank
def fail():
    raise ValueError("nothing here")
print(processes.first_then_all(work), end=" ")
try:
    processes.first_then_all(fail)
except ValueError as error:
    print(error)
processes.part()
"""


def test_of_several_processes_the_first_fetches_and_its_refusal_is_everyones(tmp_path):
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    command = [sys.executable, "-c", TURNS, str(tmp_path / "fetched")]
    running = [
        subprocess.Popen(command, cwd=ROOT, env=os.environ | where | {"RANK": rank}, stdout=subprocess.PIPE, text=True)
        for rank in ("0", "1")
    ]
    assert [process.communicate(timeout=120)[0] for process in running] == ["0 nothing here\n", "1 nothing here\n"]
