"""Parts of a run by members of a job array: in any order, some twice, and the command that scores what they made."""

from __future__ import annotations

import itertools
import json
import shutil
import threading

import pandas as pd
import pytest

from evaluation.run import main
from evaluation.run_folder import SOON, alone, beside
from evaluation.shard import Shard
from tests.test_damage import command, contents, whole  # noqa: F401  # the fixture


@pytest.fixture
def place(whole, tmp_path):  # noqa: F811  # the fixture, which pytest finds by its name
    """An empty run folder beside the prompts and the reference of a finished one."""
    for name in ("fashion.txt", "real"):
        (tmp_path / name).symlink_to(whole / name)
    return tmp_path / "run"


def test_parts_are_whole_neighbouring_and_never_twice():
    items = list(range(11))
    for count in (1, 2, 3, 7, 20):
        parts = [Shard(index, count).part(items) for index in range(count)]
        assert list(itertools.chain(*parts)) == items and max(map(len, parts)) - min(map(len, parts)) <= 1


def test_arrays_that_count_from_0_and_from_1_are_both_complete():
    assert {Shard.parse(f"{index}/3") for index in range(3)} == {Shard.parse(f"{index}/3") for index in range(1, 4)}
    for text in ("", "3", "4/3", "-1/3", "1/0", "a/3", "1/3/5", "0.5/2"):
        with pytest.raises(ValueError, match="--shard must be I/N"):
            Shard.parse(text)


def test_shards_in_any_order_and_twice_then_one_plain_command_give_the_same_bytes(whole, place, capsys):  # noqa: F811  # the fixture, which pytest finds by its name
    for index in (3, 1, 1, 2, 3):
        assert main(command(place, "--shard", f"{index}/4")) == 0
    made = {path.name: path.stat().st_mtime_ns for path in place.glob("images/*/*.png")}
    assert len(made) == 9 and not list(place.glob("*.csv")) and not list(place.glob(".*"))
    said = capsys.readouterr().out
    assert "12 images, of which 3 are --shard 3/4: 0 present, 3 to make" in said and "3 present, 0 to make" in said
    assert main(command(place, "--shard", "4/4")) == 0
    assert main(command(place)) == 0 and "12 present, 0 to make" in capsys.readouterr().out
    assert contents(place) == contents(whole / "run")
    assert {path.name: path.stat().st_mtime_ns for path in place.glob("images/*/*.png")}.items() >= made.items()
    logged = [json.loads(line) for log in place.glob("images/*/cost-*.jsonl") for line in log.read_text().splitlines()]
    assert sum(line["images"] for line in logged if line["stage"] == "images") == 12


def test_what_a_member_that_failed_left_out_is_made_by_the_plain_command(whole, place):  # noqa: F811  # the fixture, which pytest finds by its name
    assert main(command(place, "--shard", "0/2")) == 0
    assert main(command(place)) == 0 and contents(place) == contents(whole / "run")


def test_a_shard_of_more_scales_extends_what_the_folder_is_known_to_hold(whole, place, tmp_path):  # noqa: F811  # the fixture, which pytest finds by its name
    def scales():
        return {one["settings"]["guidance_scale"] for one in json.loads((place / "run.json").read_text())["conditions"]}

    assert main(command(place)) == 0
    before = (place / "run.json").read_bytes()
    assert main(command(place, "--shard", "0/2")) == 0 and (place / "run.json").read_bytes() == before
    assert main([*command(place, "--shard", "0/2"), "--guidance-scales", "3"]) == 0 and scales() == {1.0, 2.0, 3.0}
    assert json.loads((place / "run.json").read_text())["metrics"] == json.loads(before)["metrics"]


def test_a_shorter_list_of_metrics_takes_nothing_from_the_tables(whole, tmp_path):  # noqa: F811  # the fixture, which pytest finds by its name
    shutil.copytree(whole, tmp_path / "w")
    run = tmp_path / "w" / "run"
    assert main([*command(run), "--metrics", "fashion_accuracy"]) == 0
    one, other = (set(pd.read_csv(folder / "summary.csv")["metric"]) for folder in (whole / "run", run))
    assert one == other >= {"fd_fashion", "fashion_accuracy", "vae_psnr_generated"}


def test_members_work_side_by_side_and_neither_beside_themselves_nor_beside_the_command_that_scores(tmp_path):
    with beside(tmp_path, Shard(0, 4)), beside(tmp_path, Shard(1, 4)):
        with pytest.raises(ValueError, match="--shard 1/4 is at work in it already"), beside(tmp_path, Shard(1, 4)):
            pass
        with pytest.raises(ValueError, match="--shard 0/4 is at work in it; the command without"), alone(tmp_path):
            pass
    (tmp_path / ".shard-2-of-4.lock").touch()  # of a member that was killed
    entered = threading.Event()
    with alone(tmp_path):
        assert not (tmp_path / ".shard-2-of-4.lock").exists()
        waiting = threading.Thread(target=lambda: wait_beside(tmp_path, entered))
        waiting.start()
        assert not entered.wait(0.2)
    assert entered.wait(SOON), "a member that comes a moment too early waits"
    waiting.join()
    assert not list(tmp_path.glob(".shard*"))


def wait_beside(folder, entered):
    """Work beside others in a folder for a moment."""
    with beside(folder, Shard(3, 4)):
        entered.set()


def test_a_shard_makes_no_tables_and_so_cannot_only_report(place, capsys):
    with pytest.raises(SystemExit):
        main(command(place, "--shard", "0/2", "--report-only"))
    assert "--shard makes images and --report-only makes none" in capsys.readouterr().err
