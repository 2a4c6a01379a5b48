"""run.json: of the first house and of today; and nothing in it that tells whose machine it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from evaluation.generation.protocol import fingerprint
from evaluation.paths import without_home
from evaluation.run import main as run
from evaluation.run_facts import RunFacts, command_line

FIRST = Path(__file__).parent / "first_house" / "run"


def test_a_file_of_the_first_house_is_read_and_its_protocol_has_the_same_fingerprint():
    facts = RunFacts.read(FIRST)
    assert fingerprint(facts.protocol) == "328f2bc7ddbe" and facts.axes == ["guidance_scale"]
    assert [condition.label for condition in facts.conditions] == ["w = 1", "w = 2"]
    assert {condition.folder for condition in facts.conditions} == {"images/328f2bc7ddbe"}
    assert facts.setting("steps") == "2" and facts.setting("guidance_interval") == "none"


def test_facts_are_the_same_after_their_way_through_a_file(tmp_path):
    facts = RunFacts.read(FIRST)
    facts.write(tmp_path)
    assert RunFacts.read(tmp_path) == facts
    older = json.loads((FIRST / "run.json").read_text())
    newer = json.loads((tmp_path / "run.json").read_text())
    assert {name: newer[name] for name in older} == older


def test_a_run_of_the_first_house_goes_on_with_the_same_tables(tmp_path, capsys):
    out, prompts = tmp_path / "run", tmp_path / "fashion.txt"
    shutil.copytree(FIRST, out)
    shutil.copy(FIRST.parent / "prompts.txt", prompts)
    metrics = "fd_fashion,kd_fashion,fashion_accuracy,vae_psnr_generated,coverage_fashion"
    given = f"--model fashion --limit 6 --guidance-scales 1,2 --steps 2 --dtype fp32 --device cpu --metrics {metrics}"
    assert run([*given.split(), "--prompts", str(prompts), "--out", str(out)]) == 0
    assert "12 images, 12 present, 0 to make" in capsys.readouterr().out
    assert [path.name for path in (out / "images").iterdir()] == ["328f2bc7ddbe"]
    # Intervals and p values have bettered since, and are tested where they are made: all that they are made of is the same.
    old, new = read(FIRST / "images.csv"), read(out / "images.csv")
    assert [{column: row[column] for column in old[0]} for row in new] == old
    old, new = read(FIRST / "summary.csv"), read(out / "summary.csv")
    for column in ("metric", "category", "guidance_scale", "n", "detector", "resize"):
        assert [row[column] for row in new] == [row[column] for row in old], column
    # The 16th digit is the processor's, which sums in its own order.
    assert [float(row["value"]) for row in new] == pytest.approx([float(row["value"]) for row in old], rel=1e-12)
    old, new = read(FIRST / "differences.csv"), read(out / "differences.csv")
    assert [float(row["difference"]) for row in new] == pytest.approx(
        [float(row["difference"]) for row in old], rel=1e-12
    )
    facts = RunFacts.read(out)
    assert facts.constants["coverage_fashion"] == {"k": 5} and facts.constants["kd_fashion"]["degree"] == 3
    assert facts.command.startswith("python -m evaluation.run --model fashion") and "--steps 2" in facts.command


def read(path):
    """A table as text, so that not a digit may differ."""
    import csv

    with path.open() as file:
        return list(csv.DictReader(file))


def test_what_was_not_written_by_the_command_is_refused(tmp_path):
    for text in ("[]", "{}", "oops", '{"protocol": {}}'):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(ValueError, match="was not written by this command"):
            RunFacts.read(tmp_path)


def test_no_home_folder_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/someone")
    assert without_home("in /home/someone/.cache, from https://x/y") == "in ~/.cache, from https://x/y"
    assert without_home("/home/someones/x") == "/home/someones/x"
    words = command_line("evaluation.run", ["--out", "/home/someone/a b", "--negative-prompt", "https://x//y"])
    assert words == "python -m evaluation.run --out '~/a b' --negative-prompt https://x//y"
