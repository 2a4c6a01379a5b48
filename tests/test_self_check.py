"""The check before a run: passes here, and stops a run whose formulas have gone wrong."""

from __future__ import annotations

import pytest

from evaluation.metrics import self_check
from evaluation.run import main as run


def test_every_formula_gives_its_value():
    self_check.self_check()
    assert {"frechet", "kernel", "cmmd", "coverage", "psnr", "ssim", "resize tf1"} <= {
        name for name, *_ in self_check.checks()
    }


def test_a_formula_gone_wrong_stops_the_run_before_anything_is_written(tiny_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(self_check, "psnr", lambda images, others: 20.0)
    (tmp_path / "p.txt").write_text("a house\n")
    with pytest.raises(SystemExit) as stopped:
        run(["--model", str(tiny_folder), "--prompts", str(tmp_path / "p.txt"), "--out", str(tmp_path / "run")])
    assert stopped.value.code == 2 and "self-check: psnr gives 20.0 where 48.13" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
