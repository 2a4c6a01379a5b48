"""Many processes: real ones under torchrun, killed and resumed, against one; and a launcher that starts too few."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from evaluation.processes import TOO_FEW, Processes

ROOT = Path(__file__).parents[1]
PROMPTS = "".join(
    f"a {colour} house on the {place}\n" for colour in ("red", "blue", "green") for place in ("left", "right")
)
TABLES = ("summary.csv", "images.csv", "differences.csv")


def test_shares_are_whole_neighbouring_and_never_twice():
    items = list(range(11))
    for count in (1, 2, 3, 7, 20):
        shares = [Processes(rank, count).share(items) for rank in range(count)]
        assert list(itertools.chain(*shares)) == items and max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_launcher_that_starts_one_process_for_several_is_noticed(monkeypatch):
    for name in ("WORLD_SIZE", "RANK", "MASTER_PORT", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)
    assert Processes.join() == Processes(0, 1, 0)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    assert Processes.join().count == 1, "accelerate that was told of one process"
    monkeypatch.setenv("MASTER_PORT", "29500")
    with pytest.raises(ValueError, match="told of several processes and started one"):
        Processes.join()


def command(count, folder, model):
    """The run's command line on `count` processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = (
        ["-m", "torch.distributed.run", "--nproc_per_node", str(count), "--master_port", str(port)] if count > 1 else []
    )
    return [
        sys.executable,
        *launcher,
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
    assert "0 present" not in run(2, folder, tiny_folder)
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


@pytest.mark.parametrize("family", ["tiny_xl_folder", "tiny_sd3_folder"])
def test_a_sweep_of_another_family_runs_on_two_processes(request, tmp_path, family):
    folder = tmp_path / "run"
    (tmp_path / "p.txt").write_text(PROMPTS)
    run(2, folder, request.getfixturevalue(family))
    assert len(pictures(folder)) == 36
    summary = pd.read_csv(folder / "summary.csv")
    assert set(summary[summary["metric"] == "clip_scenes"]["guidance_scale"]) == {1.0, 3.0}
