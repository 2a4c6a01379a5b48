"""Many processes: real ones under torchrun, killed and resumed, against one; and a launcher that starts too few."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from evaluation.processes import TOO_FEW, Processes

ROOT = Path(__file__).parents[1]
PROMPTS = "".join(
    f"a {colour} house on the {place}\n" for colour in ("red", "blue", "green") for place in ("left", "right")
)
TABLES = ("summary.csv", "images.csv", "differences.csv")


SLOW_FIRST = """
import json, sys, time
from pathlib import Path
from evaluation.processes import Processes
processes, taken = Processes.join(), []
for count in (12, 0, 3):
    taken.append([])
    for place in processes.draw(count):
        taken[-1].append(place)
        time.sleep(0.6 if processes.first else 0.02)
    processes.meet()
Path(sys.argv[1], f"{processes.rank}.json").write_text(json.dumps(taken))
processes.part()
"""


def test_each_portion_is_drawn_once_and_a_slow_process_holds_nobody_up(tmp_path):
    (tmp_path / "draw.py").write_text(SLOW_FIRST)
    launcher = [sys.executable, *launched(2), str(tmp_path / "draw.py"), str(tmp_path)]
    subprocess.run(launcher, env=environment(), check=True, timeout=120, stderr=subprocess.DEVNULL)
    slow, fast = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert [sorted(a + b) for a, b in zip(slow, fast, strict=True)] == [list(range(12)), [], [0, 1, 2]]
    assert len(slow[0]) <= 2, "a static half would be six, and take four seconds"
    assert list(Processes().draw(3)) == [0, 1, 2]


def test_no_process_is_left_without_work_by_large_portions():
    assert [Processes(0, count).portion(36, 16) for count in (1, 2, 3, 8, 99)] == [16, 16, 12, 5, 1]
    assert Processes(0, 2).portion(0, 16) == 1


def test_a_launcher_that_starts_one_process_for_several_is_noticed(monkeypatch):
    for name in ("WORLD_SIZE", "RANK", "MASTER_PORT", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)
    assert Processes.join() == Processes(0, 1, 0)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    assert Processes.join().count == 1, "accelerate that was told of one process"
    monkeypatch.setenv("MASTER_PORT", "29500")
    with pytest.raises(ValueError, match="told of several processes and started one"):
        Processes.join()


def launched(count, *options):
    """What stands before a script or -m MODULE: torchrun on a port that is free."""
    if count == 1:
        return []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return ["-m", "torch.distributed.run", "--nproc_per_node", str(count), "--master_port", str(port), *options]


def command(count, folder, model, *options):
    """The run's command line on `count` processes."""
    return [
        sys.executable,
        *launched(count, *options),
        "-m",
        "evaluation.run",
        "--model",
        str(model),
        "--prompts",
        str(folder.parent / "p.txt"),
        "--steps",
        "2",
        "--device",
        "cpu",
        "--dtype",
        "fp32",
        "--guidance-scales",
        "1,3",
        "--batch-size",
        "4",
        "--images-per-prompt",
        "3",
        "--metrics",
        "fd_scenes,kd_scenes,clip_scenes,scene_accuracy",
        "--out",
        str(folder),
    ]


def environment():
    kept = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def run(count, folder, model):
    done = subprocess.run(
        command(count, folder, model),
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def pictures(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*.png")}


@pytest.fixture(scope="module")
def alone(tmp_path_factory, tiny_folder):
    """What one process makes."""
    folder = tmp_path_factory.mktemp("processes") / "one"
    (folder.parent / "p.txt").write_text(PROMPTS)
    run(1, folder, tiny_folder)
    return folder


def check_same(folder, alone):
    assert pictures(folder) == pictures(alone) and len(pictures(folder)) == 36
    for name in TABLES:
        one, other = (pd.read_csv(where / name) for where in (alone, folder))
        pd.testing.assert_frame_equal(one, other, rtol=1e-9, atol=0, check_exact=False)
        assert (alone / name).read_bytes() == (folder / name).read_bytes()
    assert not list(folder.rglob("*.part")) and not list(folder.rglob("*.partial"))


def test_two_processes_make_the_same_files_and_tables(alone, tiny_folder):
    folder = alone.parent / "two"
    said = run(2, folder, tiny_folder)
    check_same(folder, alone)
    assert said.count("model:") == 1, "one process speaks"
    assert pd.read_csv(folder / "cost.csv").groupby("stage")["images"].sum().to_dict() == {
        "images": 36,
        "detectors": 36,
        "tables": 0,
    }


@pytest.mark.slow
def test_killed_on_three_and_resumed_on_two_gives_the_same(alone, tiny_folder):
    folder = alone.parent / "killed"
    started = subprocess.Popen(
        command(3, folder, tiny_folder),
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while len(list(folder.rglob("*.png"))) < 5 and time.monotonic() < deadline and started.poll() is None:
        time.sleep(0.02)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    made = len(pictures(folder))
    assert made >= 5 and not (folder / "summary.csv").exists(), "killed on the way"
    assert made < 36
    assert not re.search(r"\b0 present", run(2, folder, tiny_folder))
    check_same(folder, alone)


@pytest.mark.slow
def test_a_worker_killed_under_torchrun_is_started_again_and_the_tables_are_the_same_bytes(alone, tiny_folder):
    folder = alone.parent / "restarted"
    started = subprocess.Popen(
        command(2, folder, tiny_folder, "--max_restarts", "1", "--monitor_interval", "0.1"),
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(folder.rglob("*.png")) and time.monotonic() < deadline and started.poll() is None:
        time.sleep(0.02)
    second = next(one for one in psutil.Process(started.pid).children() if one.environ()["RANK"] == "1")
    second.kill()
    said = started.communicate(timeout=120)[0]
    assert started.returncode == 0 and said.count("model:") == 2, "the whole run began again, where it had been"
    assert "36 images, 0 present" in said and len(re.findall(r"36 images, [1-9]\d* present", said)) == 1
    check_same(folder, alone)


def test_accelerates_own_launcher_without_a_gpu_is_told_what_to_use(tmp_path, tiny_folder):
    (tmp_path / "p.txt").write_text(PROMPTS)
    launcher = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "-m",
        "evaluation.run",
    ]
    given = command(1, tmp_path / "run", tiny_folder)[3:]
    done = subprocess.run(
        [*launcher, *given], env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode != 0 and TOO_FEW in done.stderr and not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["tiny_xl_folder", "tiny_sd3_folder"])
def test_a_sweep_of_another_family_runs_on_two_processes(request, tmp_path, family):
    folder = tmp_path / "run"
    (tmp_path / "p.txt").write_text(PROMPTS)
    run(2, folder, request.getfixturevalue(family))
    assert len(pictures(folder)) == 36
    summary = pd.read_csv(folder / "summary.csv")
    assert set(summary[summary["metric"] == "clip_scenes"]["guidance_scale"]) == {1.0, 3.0}
