"""The study of guidance that varies with time, and the wavelet that it measures details by."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import torch

from evaluation import study
from evaluation.metrics import wavelet
from evaluation.metrics.reconstruction import psnr
from evaluation.studies import adaptive_guidance, guidance
from evaluation.studies.adaptive_guidance import DRAWING, NOISE
from evaluation.studies.study import FAILS, HOLDS, IN_PART
from ldm_core import registry
from ldm_core.data.photos import open_photo
from ldm_core.images import from_pil


def test_the_wavelet_is_orthonormal_and_goes_back():
    images = torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    coarse, details = wavelet.haar(images)
    assert coarse.shape == (2, 3, 4, 3) and details.shape == (2, 3, 3, 4, 3)
    torch.testing.assert_close(wavelet.unhaar(coarse, details), images)
    torch.testing.assert_close(coarse.square().sum() + details.square().sum(), images.square().sum())


def test_its_bands_are_those_of_a_square_of_four():
    square = torch.tensor([[[[4.0, 2.0], [1.0, 7.0]]]])
    coarse, details = wavelet.haar(square)
    assert coarse.item() == 7 and details.flatten().tolist() == [
        (4 - 2 + 1 - 7) / 2,
        (4 + 2 - 1 - 7) / 2,
        (4 - 2 - 1 + 7) / 2,
    ]


def test_flat_pictures_have_no_details_and_noise_of_half_the_size_two_octaves_fewer():
    noise = 0.5 + 0.1 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert wavelet.energy(torch.full((1, 3, 4, 4), 0.3)).item() == 0
    assert wavelet.energy(noise).item() == pytest.approx(0.01, rel=0.05)
    assert wavelet.energy_gap(0.25 + noise / 2, noise).item() == pytest.approx(2, abs=1e-3)
    assert wavelet.high_psnr(noise + 0.2, noise).item() > 100, "what is not in the details does not count"
    assert wavelet.high_psnr(torch.full_like(noise, 0.5), noise).item() == pytest.approx(
        -10 * torch.log10(0.75 * wavelet.energy(noise)).item(), abs=1e-3
    )
    with pytest.raises(ValueError, match="even sides"):
        wavelet.haar(noise[..., 1:])


def rows_of(kind, scale, verdicts):
    """A table as `compared` gives it, of one metric for each verdict's schedule."""
    return pd.DataFrame(
        [
            {
                "pictures": kind,
                "metric": metric,
                "rule": rule,
                "guidance_scale": scale,
                "value of fixed": 1.0,
                "difference": 0.1,
                "low": 0.05,
                "high": 0.2,
                "verdict": said,
            }
            for rule, metric, said in verdicts
        ]
    )


@pytest.mark.parametrize(
    ("at_largest", "details", "verdict"),
    [
        ("linear is better", "linear is better", HOLDS),
        ("linear is better", "tied at this n", IN_PART),
        ("tied at this n", "fixed is better", FAILS),
    ],
)
def test_it_steadies_and_keeps_detail_where_nothing_is_worse_for_it(at_largest, details, verdict):
    each = pd.concat(
        [
            rows_of(NOISE, 2.0, [("linear", "clipped", "fixed is better")]),
            rows_of(NOISE, 8.0, [("linear", "clipped", at_largest), ("linear", "fd_scenes", "tied at this n")]),
        ]
    )
    best = pd.concat(
        [
            rows_of(DRAWING, 4.0, [("linear", "high_psnr", details)]),
            rows_of(NOISE, 4.0, [("linear", "clipped", "tied at this n")]),
        ]
    )
    assert adaptive_guidance.concluded(each, best)[0] == verdict
    worse = pd.concat([each, rows_of(NOISE, 8.0, [("linear", "scene_accuracy", "fixed is better")])])
    assert adaptive_guidance.concluded(worse, best)[0] != HOLDS


def test_the_study_draws_both_kinds_and_its_differences_are_those_of_the_files(tmp_path, tiny_folder, monkeypatch):
    spec = registry.ModelSpec("small", str(tiny_folder), height=32, width=32, steps=2, world="everyday")
    monkeypatch.setitem(registry.MODELS, "small", spec)
    schedules = {name: adaptive_guidance.SCHEDULES[name] for name in ("fixed", "linear")}
    monkeypatch.setattr(adaptive_guidance, "SCHEDULES", schedules)
    monkeypatch.setitem(guidance.MEASURES, "everyday", ("clip_scenes", "clipped"))
    command = ["--out", str(tmp_path), "adaptive-guidance", "--model", "small", "--prompts", "8", "--scales", "1,3"]
    assert study.main([*command, "--device", "cpu"]) == 0
    out = tmp_path / "adaptive-guidance"
    each, best = pd.read_csv(out / "each.csv"), pd.read_csv(out / "best.csv")
    assert set(best["metric"]) == {
        "clip_scenes",
        "clipped",
        "energy_gap",
        "scene_accuracy",
        "start_psnr",
        "high_psnr",
        "high_ssim",
    }
    images = pd.read_csv(out / "work" / "drawn-anew" / "images.csv")
    found = {}
    for rule, part in images[images["guidance_scale"] == 3].groupby("rule"):
        pairs = [
            (
                open_photo(out / "work" / "drawn-anew" / row["file"]),
                open_photo(out / "work" / "drawings" / f"{row['prompt_id']:06d}.png"),
            )
            for _, row in part.iterrows()
        ]
        high = [[wavelet.high_band(from_pil(picture)[None]) for picture in pair] for pair in pairs]
        found[rule] = sum(float(psnr(*pair)) for pair in high) / len(high)
    row = each[(each["pictures"] == DRAWING) & (each["metric"] == "high_psnr") & (each["guidance_scale"] == 3)].iloc[0]
    assert row["difference"] == pytest.approx(found["linear"] - found["fixed"], abs=1e-4) and row["difference"] != 0
    facts = json.loads((out / "study.json").read_text())
    assert facts["verdict"] in (HOLDS, IN_PART, FAILS) and "at w = 3" in facts["words"]
    assert (out / "drawing_high_psnr.svg").exists() and (out / "noise_clipped.svg").exists()
