"""The study of a refiner behind the decoder, at a small size."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from evaluation import study
from evaluation.metrics import wavelet
from evaluation.studies import high_frequency
from evaluation.studies.high_frequency import ENERGY, GAIN, PLAIN, SQUARED
from evaluation.studies.networks.refiner import LEVELS, Pictures, Refiner, crops, gains_of, loss_on
from evaluation.studies.study import FAILS, HOLDS, IN_PART


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_a_refiner_begins_by_changing_nothing_and_reaches_details_alone():
    images, refiner = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)), Refiner(4)
    torch.testing.assert_close(refiner(images), images)
    for parameter in refiner.parameters():
        parameter.data.normal_(0, 0.3)
    refined = refiner(images)
    coarsest = lambda pictures: wavelet.haar(wavelet.haar(pictures)[0])[0]  # noqa: E731  # two octaves down
    assert LEVELS == 2 and (refined - images).abs().mean() > 0.01
    torch.testing.assert_close(coarsest(refined), coarsest(images))


def test_a_fixed_gain_gives_halved_details_back():
    original = 0.5 + 0.1 * noise(4, 3, 16, 16)
    coarse, details = wavelet.haar(original)
    coarser, below = wavelet.haar(coarse)
    softened = wavelet.unhaar(wavelet.unhaar(coarser, 0.8 * below), 0.5 * details)
    torch.testing.assert_close(gains_of(Pictures(original, softened, 1.0))(softened), original)


def test_the_loss_counts_errors_once_and_ratios_of_energy_at_every_octave():
    original = 0.5 + 0.1 * noise(2, 3, 16, 16)
    refined = original + 0.01
    assert loss_on(refined, original, 0.0).item() == pytest.approx(1e-4, rel=1e-3)
    assert loss_on(refined, original, 1.0).item() == pytest.approx(1e-4, rel=1e-2), "a shift has no details"
    coarse, details = wavelet.haar(original)
    halved = wavelet.unhaar(coarse, details / 2)
    by_energy = loss_on(halved, original, 1.0) - loss_on(halved, original, 0.0)
    assert by_energy.item() == pytest.approx(np.log(4) ** 2, rel=1e-3), "the octave below is as it was"


def test_crops_lie_on_the_grid_of_the_latents_at_the_same_place_of_both():
    ramp = torch.arange(128.0).expand(3, 3, 128, 128)
    original, rebuilt = crops(Pictures(ramp, ramp + 1000, 1.0), 8, step=3)
    assert original.shape == (8, 3, 64, 64) and bool((rebuilt - original == 1000).all())
    assert all(corner % 8 == 0 for corner in original[:, 0, 0, 0].tolist())
    assert torch.equal(crops(Pictures(ramp, ramp, 1.0), 8, step=3)[0], original), "of the step alone"


@pytest.mark.parametrize(
    ("energy_gap", "psnr", "left", "verdict"),
    [
        (f"{ENERGY} is better", "tied at this n", 0.4, HOLDS),
        (f"{ENERGY} is better", "tied at this n", 0.6, IN_PART),
        (f"{ENERGY} is better", f"{PLAIN} is better", 0.4, IN_PART),
        ("tied at this n", f"{ENERGY} is better", 1.0, FAILS),
    ],
)
def test_detail_is_restored_where_half_of_the_gap_closes_and_nothing_is_lost_for_it(energy_gap, psnr, left, verdict):
    said = {"energy_gap": energy_gap, "psnr": psnr}
    rows = [
        {
            "way": way,
            "measure": measure,
            "difference": 0.1,
            "low": 0.0,
            "high": 0.2,
            "verdict": said.get(measure, "tied at this n") if way == ENERGY else "tied at this n",
        }
        for way in (GAIN, SQUARED, ENERGY)
        for measure in high_frequency.MEASURES
    ]
    ways, measures = (PLAIN, GAIN, SQUARED, ENERGY), high_frequency.MEASURES
    values = [
        {"way": way, "measure": measure, "value": left if way == ENERGY else 1.0}
        for way in ways
        for measure in measures
    ]
    summary = pd.DataFrame(values)
    cost = pd.DataFrame({"way": [PLAIN, GAIN, SQUARED, ENERGY], "of decoding": [0.0, 0.1, 0.5, 0.5]})
    assert high_frequency.concluded(pd.DataFrame(rows), summary, cost)[0] == verdict


def test_the_study_refines_what_it_was_not_fitted_to_and_resumes(tmp_path):
    command = ["--out", str(tmp_path), "high-frequency", "--train", "4", "--test", "4", "--steps", "3"]
    assert study.main(command) == 0
    out = tmp_path / "high-frequency"
    images, apart = (pd.read_csv(out / f"{name}.csv") for name in ("images", "differences"))
    assert set(images["way"]) == {PLAIN, GAIN, SQUARED, ENERGY} and images["image"].nunique() == 4
    kept = np.load(next((out / "work").glob("rebuilt-*.npz")))
    original = torch.from_numpy(kept["images"][:4]).permute(0, 3, 1, 2).float() / 255
    rebuilt = (torch.from_numpy(kept["rebuilt"][:4]).float() * 255).round() / 255
    gaps = wavelet.energy_gap(original, rebuilt).numpy()
    np.testing.assert_allclose(images[images["way"] == PLAIN]["energy_gap"], gaps, rtol=1e-4)
    row = apart[(apart["way"] == GAIN) & (apart["measure"] == "energy_gap")].iloc[0]
    by_gain = images[images["way"] == GAIN]["energy_gap"].to_numpy()
    assert row["difference"] == pytest.approx((by_gain - gaps).mean(), abs=1e-4)
    facts = json.loads((out / "study.json").read_text())
    assert f"{gaps.mean():.2f} octaves" in facts["words"] and facts["verdict"] in (HOLDS, IN_PART, FAILS)
    logs = {path: path.read_bytes() for path in (out / "work").rglob("log.csv")}
    assert len(logs) == 2 and study.main(command) == 0
    assert {path: path.read_bytes() for path in logs} == logs, "nothing was trained twice"


def test_photographs_asked_of_are_spread_over_the_folder_and_none_is_trained_on(tmp_path):
    options = type("Options", (), {"data": str(tmp_path), "train": 4, "test": 2})()
    for place in range(6):
        Image.new("RGB", (128, 128), (40 * place, 0, 0)).save(tmp_path / f"{place}.png")
    found = high_frequency._photographs(options)[:, 0, 0, 0] // 40
    assert found.tolist() == [0, 5, 1, 2, 3, 4]
    options.test = 6
    with pytest.raises(ValueError, match="has 6 photographs of 128 pixels; --test 6 asks for more"):
        high_frequency._photographs(options)
