"""The frame that studies share: what is written, what is recorded, how they are found and chosen."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from evaluation import study as command
from evaluation.report.charts import chart
from evaluation.studies import results
from evaluation.studies.study import COMPUTED, FAILS, HOLDS, Option, Outcome, Study, all_studies, that_fit


def halves(options: argparse.Namespace, work) -> Outcome:
    """Each half of the one before; what was worked out already is kept in `work`."""
    file = work / "done.txt"
    began = int(file.read_text()) if file.exists() else 0
    file.write_text(str(options.rows))
    rows = [{"step": k, "value": 0.5**k, "low": 0.4**k, "high": 0.6**k} for k in range(options.rows)]
    table = pd.DataFrame(rows)
    figure = chart(table, "value", False, axis="step")
    return Outcome(
        HOLDS,
        f"after {options.rows} steps {0.5**options.rows:g}",
        {"steps": table},
        {"steps": figure},
        (f"{began} known",),
    )


STUDY = Study("halves", "1/2 + 1/4 + ... is < 2", "Zeno", COMPUTED, 1, halves, (Option("rows", 5, "how many"),))


@pytest.fixture
def known(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "all_studies", lambda: {"halves": STUDY})
    monkeypatch.setattr(results, "RECORDED", tmp_path / "recorded")
    return tmp_path


def test_a_study_writes_tables_figures_a_page_and_its_circumstances(known, capsys):
    assert command.main(["--out", str(known), "halves", "--rows", "4"]) == 0
    out = known / "halves"
    assert {path.name for path in out.iterdir()} == {
        "steps.csv",
        "steps.svg",
        "index.html",
        "README.md",
        "study.json",
        "work",
    }
    assert pd.read_csv(out / "steps.csv")["value"].tolist() == [1, 0.5, 0.25, 0.125]
    page, facts = (out / "index.html").read_text(), json.loads((out / "study.json").read_text())
    assert "1/2 + 1/4 + ... is &lt; 2" in page and "<svg" in page and "after 4 steps 0.0625" in page
    assert facts["verdict"] == HOLDS and facts["options"] == {"rows": 4} and facts["versions"]["torch"]
    assert facts["command"] == "python -m evaluation.study halves --rows 4", "no place of this machine"
    assert "The claim holds." in (out / "README.md").read_text()
    assert "the claim holds. after 4 steps" in capsys.readouterr().out


def test_a_figure_is_a_whole_picture_by_itself(known):
    command.main(["--out", str(known), "halves"])
    root = ElementTree.parse(known / "halves" / "steps.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.find("{*}style") is not None
    assert root.find(".//{*}polyline") is not None


def test_the_same_command_goes_on_from_what_the_study_has_kept(known):
    command.main(["--out", str(known), "halves"])
    command.main(["--out", str(known), "halves"])
    assert json.loads((known / "halves" / "study.json").read_text())["notes"] == ["5 known"]


def test_what_is_recorded_is_small_and_listed_with_its_verdict(known, capsys):
    assert command.main(["--out", str(known), "--record", "halves"]) == 0
    assert {path.name for path in (known / "recorded" / "halves").iterdir()} == {
        "steps.csv",
        "steps.svg",
        "study.json",
        "README.md",
    }
    capsys.readouterr()
    assert command.main(["--list"]) == 0
    assert "as run: holds" in capsys.readouterr().out


def test_no_whole_path_of_this_machine_is_recorded(known, monkeypatch, tmp_path):
    options = (Option("data", "", "a folder of photographs"), Option("rows", 5, "how many"))
    study = Study("halves", "c", "s", COMPUTED, 0, STUDY.run, options=options)
    monkeypatch.setattr(command, "all_studies", lambda: {"halves": study})
    assert command.main(["--out", str(known), "--record", "halves", "--data", str(tmp_path / "photos")]) == 0
    said = json.loads((known / "recorded" / "halves" / "study.json").read_text())
    assert said["options"]["data"] == "photos" and said["command"].endswith("--record halves --data photos")
    assert not [path for path in (known / "recorded" / "halves").iterdir() if str(tmp_path) in path.read_text()]


def test_all_runs_each_with_its_own_defaults_and_goes_on_behind_one_that_cannot(known, monkeypatch, capsys):
    def impossible(options, work):
        raise ValueError("no such data here")

    two = {"halves": STUDY, "never": Study("never", "c", "s", COMPUTED, 0, impossible)}
    monkeypatch.setattr(command, "all_studies", lambda: two)
    assert command.main(["--all", "--out", str(known)]) == 1
    assert "never: could not be carried out: no such data here" in capsys.readouterr().err
    assert json.loads((known / "halves" / "study.json").read_text())["options"] == {"rows": 5}


def test_all_leaves_out_what_needs_data_and_says_how_to_run_it(known, monkeypatch, capsys):
    def unread(options, work):
        raise AssertionError("it was run without its data")

    options = (Option("data", "", "a folder of photographs"),)
    needy = Study("photos", "c", "s", COMPUTED, 1, unread, options, needs="data")
    monkeypatch.setattr(command, "all_studies", lambda: {"halves": STUDY, "photos": needy})
    assert command.main(["--all", "--out", str(known)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("photos")]
    said = "it needs --data, a folder of photographs: python -m evaluation.study photos --data FOLDER"
    assert lines == [f"photos: left out, for {said}"]
    assert (known / "halves" / "study.json").exists() and not (known / "photos").exists()
    assert command.main(["--list"]) == 0 and "needs --data FOLDER" in capsys.readouterr().out


def test_what_a_study_needs_is_one_of_its_options():
    with pytest.raises(ValueError, match="needs must be one of the study's options, got 'data'"):
        Study("photos", "c", "s", COMPUTED, 1, halves, needs="data")


def test_the_quickest_that_fit_are_chosen():
    made = {str(m): Study(str(m), "", "", COMPUTED, m, halves) for m in (40, 5, 20, 30)}
    assert [study.minutes for study in that_fit(made, 60)] == [5, 20, 30]


@pytest.mark.parametrize("words", [[], ["--list", "--all"], ["--all", "halves"]])
def test_one_thing_at_a_time_is_asked_for(known, words, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2 and "one of the three" in capsys.readouterr().err


def test_a_verdict_is_one_of_three():
    assert Outcome(FAILS, "", {}).verdict == "does not hold here"
    with pytest.raises(ValueError, match="verdict must be one of"):
        Outcome("perhaps", "", {})


def test_every_study_is_found_by_the_name_of_its_file_and_says_what_it_is_about():
    for name, study in all_studies().items():
        module = study.run.__module__.rpartition(".")[2]
        assert name == module.replace("_", "-") and study.claim and study.source and study.minutes > 0


def test_the_readme_gives_the_verdict_of_every_study_as_it_was_recorded():
    lines = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").splitlines()
    table = {line.split("|")[1].strip().strip("`"): line for line in lines if line.startswith("| `")}
    recorded = [name for name in all_studies() if results.recorded(name)]
    assert recorded
    for name in recorded:
        facts = results.recorded(name)
        assert f"| {facts['verdict']} |" in table[name], name


def test_the_list_waits_for_no_network_library():
    code = "import sys; from evaluation.study import main; main(['--list']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
