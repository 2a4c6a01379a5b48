"""The studies that give every way to draw equal time: factors of compression, pixels against latents."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from evaluation import study
from evaluation.studies import compression, pixel_gap
from evaluation.studies.equal_time import apart, budgets_of
from evaluation.studies.networks import unconditional
from evaluation.studies.networks.fitting import fit
from evaluation.studies.pixel_gap import LATENTS, PIXELS
from evaluation.studies.study import FAILS, HOLDS, IN_PART
from ldm_core.training.config import NetworkConfig
from ldm_core.training.losses import diffusion_target


def test_minutes_are_those_of_the_clock_and_a_stopped_run_goes_on(tmp_path, monkeypatch):
    module, seen = torch.nn.Linear(1, 1), []
    recipe = NetworkConfig("a line", steps=1000)

    def loss_of(step: int) -> torch.Tensor:
        seen.append(step)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return module(torch.ones(1, 1)).square().mean()

    ticks = iter(range(1000))
    monkeypatch.setattr("evaluation.studies.networks.fitting.time.process_time", lambda: float(next(ticks)))
    with pytest.raises(KeyboardInterrupt):
        fit(module, recipe, tmp_path, loss_of, minutes=0.1)
    trainer = fit(module, recipe, tmp_path, loss_of, minutes=0.1)
    assert seen == [0, 1, 2, 3, 3, 4, 5] and trainer.step == 6, "a second a step, six of them in a tenth of a minute"
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, trainer.average[name])
    assert not module.training and fit(module, recipe, tmp_path, loss_of, minutes=0.1).step == 6 and len(seen) == 7


def test_a_space_has_variance_one_and_goes_back():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    space = unconditional.pixel_space(pictures)
    assert (
        space.shape == (3, 8, 8)
        and float(space.values.std()) == pytest.approx(1)
        and abs(float(space.values.mean())) < 1e-5
    )
    back = (space.restore(space.values) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(back, pictures)


@pytest.mark.parametrize(("side", "sides"), [(64, [64, 32, 16, 8, 4]), (8, [8, 4]), (4, [4, 2]), (2, [2, 1])])
def test_a_denoiser_of_any_side_gives_what_it_takes(side, sides):
    assert unconditional.sides_of(side) == sides
    network = unconditional.unet_of(5, side).eval()
    assert network.config.block_out_channels == tuple(unconditional.WIDTHS[one] for one in sides)
    with torch.inference_mode():
        assert network(torch.zeros(2, 5, side, side), torch.tensor([3, 900])).sample.shape == (2, 5, side, side)


def test_a_denoiser_that_knows_the_only_picture_draws_it(monkeypatch):
    """The exact v of a set of one picture x: eps follows from z_t and x."""
    picture = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    kept = unconditional.noise_schedule(unconditional.DenoiserConfig()).alphas_cumprod

    class Exact(torch.nn.Module):
        def forward(self, noisy, timestep):
            share = kept[timestep].view(-1, 1, 1, 1)
            noise = (noisy - share.sqrt() * picture) / (1 - share).sqrt().clamp(min=1e-6)
            target = diffusion_target(
                picture.expand_as(noisy), noise, share.flatten().expand(len(noisy)), "v_prediction"
            )[1]
            return type("Output", (), {"sample": target})()

    space = unconditional.Space(picture, lambda drawn: drawn)
    images, seconds = unconditional.Denoiser(Exact(), space, 0).draw(3)
    torch.testing.assert_close(images, picture.expand(3, -1, -1, -1), atol=1e-3, rtol=0)
    assert seconds > 0
    assert float(unconditional.loss_on(Exact(), picture, kept, 0)) < 1e-3


def test_budgets_are_minutes():
    assert budgets_of("2, 0.5,2") == [0.5, 2]
    for wrong in ("", "0,1", "soon", "-1"):
        with pytest.raises(ValueError, match="--minutes must be positive numbers"):
            budgets_of(wrong)


def rows_at(values: dict, name: str = "f") -> pd.DataFrame:
    rows = [
        {
            name: side,
            "minutes": 1.0,
            "value": value,
            "low": value - 1,
            "high": value + 1,
            "steps": 10,
            "ms a picture": 5.0,
        }
        for side, value in values.items()
    ]
    return pd.DataFrame(rows)


def differences_at(values: dict, plain: object, name: str = "f", tied: tuple = ()) -> pd.DataFrame:
    rows = []
    for side, value in values.items():
        if side != plain:
            difference = value - values[plain]
            said = "tied at this n" if side in tied else f"{plain if difference > 0 else side} is better"
            rows.append({name: side, "difference": difference, "low": 0.1, "high": 0.2, "verdict": said})
    return pd.DataFrame(rows).assign(minutes=1.0)


@pytest.mark.parametrize(
    ("values", "tied", "verdict"),
    [
        ({2: 9, 4: 5, 8: 3, 16: 6, 32: 8}, (), HOLDS),
        ({2: 9, 4: 5, 8: 3, 16: 6, 32: 8}, (32,), IN_PART),
        ({2: 9, 4: 5, 8: 3, 16: 6, 32: 2}, (), FAILS),
    ],
)
def test_the_best_factor_must_be_among_those_said_and_all_others_worse(values, tied, verdict):
    coders = pd.DataFrame({"f": list(values), "psnr": 30.0})
    best = min(values, key=values.__getitem__)
    found, words = compression.concluded(rows_at(values), differences_at(values, best, tied=tied), coders)
    assert found == verdict and f"is f = {best}" in words


@pytest.mark.parametrize(("latents", "tied", "verdict"), [(2, (), HOLDS), (2, (LATENTS,), FAILS), (9, (), FAILS)])
def test_the_gap_is_there_where_latents_are_nearer(latents, tied, verdict):
    values = {PIXELS: 4, LATENTS: latents}
    told = differences_at(values, PIXELS, "space", tied)
    found, words = pixel_gap.concluded(rows_at(values, "space"), told, {"real": 1.0, "reconstructed": 1.5})
    assert found == verdict and f"{4 / latents:.1f} times as far" in words


def test_compression_is_studied_at_a_small_size(tmp_path, monkeypatch):
    monkeypatch.setattr(compression, "CODERS", {f: compression.CODERS[f] for f in (4, 16)})
    monkeypatch.setattr(compression, "SIDE", 32)
    monkeypatch.setattr(
        compression, "CODERS", {f: ((8,) * len(widths), 4) for f, (widths, _) in compression.CODERS.items()}
    )
    small = ["--pool", "40", "--count", "22", "--reference", "80", "--minutes", "0.001", "--coder-minutes", "0.001"]
    command = ["--out", str(tmp_path), "compression", *small]
    assert study.main(command) == 0
    out = tmp_path / "compression"
    drawn, differences, coders = (pd.read_csv(out / f"{name}.csv") for name in ("drawn", "differences", "autoencoders"))
    assert drawn["f"].tolist() == [4, 16] and drawn["places"].tolist() == [64, 4] and (drawn["steps"] >= 1).all()
    assert coders["values saved"].tolist() == [12, 192]
    value = drawn.set_index("f")["value"]
    (row,) = differences.to_dict("records")
    assert row["difference"] == pytest.approx(value.max() - value.min(), abs=0.2)
    facts = json.loads((out / "study.json").read_text())
    assert f"is f = {value.idxmin()}" in facts["words"] and facts["verdict"] in (HOLDS, IN_PART, FAILS)
    logs = {path: path.read_bytes() for path in (out / "work").rglob("log.csv")}
    assert len(logs) == 4 and study.main(command) == 0
    assert {path: path.read_bytes() for path in logs} == logs, "nothing was trained twice"


def test_the_gap_is_studied_at_a_small_size(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_gap, "SIDE", 32)
    small = ["--pool", "40", "--count", "22", "--reference", "80", "--minutes", "0.001"]
    assert study.main(["--out", str(tmp_path), "pixel-gap", *small]) == 0
    out = tmp_path / "pixel-gap"
    drawn, told = pd.read_csv(out / "drawn.csv"), pd.read_csv(out / "differences.csv")
    assert drawn["values"].tolist() == [3 * 32 * 32, 16 * 2 * 2]
    value = drawn.set_index("space")["value"]
    assert told["difference"].tolist() == pytest.approx([value[LATENTS] - value[PIXELS]], abs=0.2)
    words = json.loads((out / "study.json").read_text())["words"]
    assert f"{value[PIXELS] / value[LATENTS]:.1f} times as far" in words


def test_each_side_is_compared_with_one_of_them():
    generator = np.random.default_rng(0)
    reference = unconditional._reference(generator.normal(size=(400, 3)))
    world = unconditional.World("fd_scenes", None, None, reference, lambda images: images)
    sides = {
        f: world.distance(generator.normal(size=(100, 3)) + shift) for f, shift in ((4, 1.0), (8, 0.0), (16, 0.02))
    }
    table = apart(sides, 8, "fd_scenes", "f").set_index("f")
    assert table.loc[4, "verdict"] == "8 is better" and table.loc[16, "verdict"] == "tied at this n"
    assert table.loc[4, "difference"] == pytest.approx(3, abs=0.8), "of a shift of 1 in three dimensions"
    with pytest.raises(ValueError, match="a distance needs three images or more, got 1"):
        replace(world).distance(np.zeros((1, 3)))
