"""The benchmark: what it counts against known figures, and that each suite runs."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from evaluation import benchmark
from evaluation.benchmarks import gpu_suite, growth, less_work
from evaluation.benchmarks.random_weights import build_model, build_unet, shape_of


@pytest.mark.parametrize(("name", "millions", "gigaflops"), [("sd1.5", 859.5, 803.3), ("sdxl", 2567.5, 6761.2)])
def test_real_sizes_have_the_published_numbers_of_parameters_and_operations(name, millions, gigaflops):
    with torch.device("meta"):
        unet = build_unet(shape_of(name))
    assert sum(parameter.numel() for parameter in unet.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)
    assert gpu_suite.flops_per_row(name, small=False) / 1e9 == pytest.approx(gigaflops, rel=1e-3)


@pytest.mark.parametrize("name", ["sd1.5", "sdxl"])
def test_our_pictures_and_diffusers_of_the_same_random_weights_are_the_same(name):
    model, checkpoint = build_model(name, "cpu", torch.float32, small=True)
    pipeline = gpu_suite.diffusers_pipeline(model, checkpoint, torch.float32)
    theirs = pipeline(
        "a house",
        generator=torch.Generator().manual_seed(7),
        guidance_scale=4.0,
        num_inference_steps=2,
        height=64,
        width=64,
        output_type="pt",
    ).images
    ours = model.sample("a house", 7, 4.0, steps=2, height=64, width=64)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_the_gpu_suite_runs_small_without_a_gpu(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert benchmark.main(["--suite", "gpu", "--device", "cpu", "--repeats", "1"]) == 0
    table = capsys.readouterr().out
    for what in ("matrix ceiling", "sd1.5, 128 px", "sdxl, 256 px", "sdxl: 8-scale sweep", "outside the networks"):
        assert f"| {what}" in table or f", {what}" in table or f": {what}" in table


def test_less_guidance_costs_fewer_network_rows(monkeypatch, tmp_path):
    chosen = ("full guidance", "interval 0.2,0.8")
    monkeypatch.setattr(less_work, "VARIANTS", {name: less_work.VARIANTS[name] for name in chosen})
    rows = [float(words.split()[0]) for _, words in less_work.less_work_suite("cpu", 3, tmp_path)]
    assert rows[0] == 16 and rows[1] < 16


@pytest.mark.slow
def test_the_runner_is_measured_as_it_grows_and_beside_a_second_process(monkeypatch, tmp_path):
    monkeypatch.setattr(growth, "PROMPTS", (6,))  # distances are of three prompts or more
    monkeypatch.setattr(growth, "SCALES", (1, 2))
    rows = dict(growth.growth_suite(12, tmp_path))
    assert list(rows) == ["12 pictures of 6 prompts", "12 pictures by two processes"]
    assert all("s of processor" in words and "GB" in words for words in rows.values())
    alone, together = (pd.read_csv(tmp_path / f"{name}-6" / "images.csv") for name in ("one", "two"))
    assert len(alone) == 12 and alone.equals(together)


def test_what_a_process_and_its_children_took_is_theirs():
    busy = "import time\nheld = bytearray(300_000_000)\nwhile time.process_time() < 0.5: pass"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}], check=True)"
    for command in (["-c", busy], ["-c", child]):
        spent = growth.spent_by(command)
        assert 0.5 < spent.processor < 5 and 0.3 < spent.memory < 0.5 and spent.clock > 0.5


def test_a_process_that_fails_says_what_it_said():
    with pytest.raises(RuntimeError, match="no such prompts"):
        growth.spent_by(["-c", "raise SystemExit('no such prompts')"])
