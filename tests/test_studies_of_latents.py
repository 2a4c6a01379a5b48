"""The studies of what latents are: noising, photographs through autoencoders, ways between latents, words' maps."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import ldm_core
from evaluation import study
from evaluation.report.strips import strips
from evaluation.statistics import mean
from evaluation.studies import conditioning, fashion, forward, interpolation, vae
from evaluation.studies.study import FAILS, HOLDS, IN_PART
from evaluation.worlds import DRAWN, drawings
from ldm_core import registry
from ldm_core.data.test_card import test_card as drawn_card
from ldm_core.images import from_uint8
from ldm_core.tasks.interpolation import lerp


@pytest.fixture
def small(tiny_folder, monkeypatch):
    """A checkpoint of a few thousand weights as a model of the drawn world."""
    spec = registry.ModelSpec("small", str(tiny_folder), height=32, width=32, steps=2, world="everyday")
    monkeypatch.setitem(registry.MODELS, "small", spec)


def test_a_thousand_steps_are_the_one_jump_of_the_formula():
    for name in forward.BETAS:
        assert forward.chain_of(forward.betas_of(name))["largest difference"] < 1e-12
    wrong = np.full(10, 0.1)
    assert forward.chain_of(np.concatenate([wrong, [0.0]]))["largest difference"] < 1e-12
    mean, variance = 1.0, 0.0
    for beta in wrong:
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
    assert mean == pytest.approx(0.9**5) and variance == pytest.approx(1 - 0.9**10)


def test_schedules_begin_clean_and_have_their_known_ends():
    known = forward.schedules()
    assert all(signal[0] == 1 and spread[0] == 0 for signal, spread in known.values())
    for name in forward.BETAS:
        signal, spread = known[name]
        np.testing.assert_allclose(signal**2 + spread**2, 1, atol=1e-12)
    assert known["scaled linear"][0][-1] == pytest.approx(0.0682, abs=1e-3), "Lin et al. 2024, table 1"
    assert known[forward.FLOW][0][500] == known[forward.FLOW][1][500] == 0.5


def test_told_is_what_projecting_on_the_clean_latent_gives():
    generator = torch.Generator().manual_seed(0)
    clean = torch.randn(64, generator=generator)
    ratio, count = 0.25, 20_000
    noise = torch.randn(2, count, 64, generator=generator)
    scores = torch.stack([noise[0] + ratio * clean, noise[1]]) @ clean
    right = (scores[0] > ratio * clean.square().sum() / 2).double().mean() + (
        scores[1] <= ratio * clean.square().sum() / 2
    ).double().mean()
    assert forward.told(ratio, float(clean.square().sum())) == pytest.approx(float(right) / 2, abs=0.01)
    assert forward.told(0, 1) == 0.5


def test_the_forward_study_says_which_schedules_end_in_noise(small, tmp_path):
    assert study.main(["--out", str(tmp_path), "forward", "--model", "small", "--count", "2"]) == 0
    ends = pd.read_csv(tmp_path / "forward" / "ends.csv").set_index("schedule")
    assert ends.loc["scaled linear", "told, Stable Diffusion at 512"] > 0.99
    assert ends.loc[["cosine", "flow"], "told, Stable Diffusion at 512"].max() == pytest.approx(0.5, abs=0.01)
    assert ends.loc["flow", "t of snr 1"] == 0.5
    facts = json.loads((tmp_path / "forward" / "study.json").read_text())
    assert facts["verdict"] == IN_PART and "scaled linear" in facts["words"]
    assert (tmp_path / "forward" / "strip.svg").read_text().count("<image") == 5 * 6


def test_photographs_are_judged_against_thirty_decibels_and_against_codecs(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for place, card in enumerate((drawn_card(), drawn_card()[::-1])):
        Image.fromarray(np.ascontiguousarray(card[:128, :128])).save(photos / f"{place}.png")
    command = ["--out", str(tmp_path), "vae", "--data", str(photos), "--models", "photo-f4"]
    assert study.main(command) == 0
    summary = pd.read_csv(tmp_path / "vae" / "summary.csv").set_index("kept by")
    images = pd.read_csv(tmp_path / "vae" / "images.csv")
    assert summary.loc["autoencoder", "value"] == pytest.approx(images["psnr"].mean(), rel=1e-4)
    assert summary.loc["autoencoder", "above 30 dB"] == (images["psnr"] >= 30).sum()
    codecs = pd.read_csv(tmp_path / "vae" / "codecs.csv")
    jpeg = codecs.set_index("times fewer bytes")["psnr"]
    assert jpeg[10] > jpeg[20]


def test_photographs_must_be_named(capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        study.main(["--out", str(tmp_path), "vae"])
    assert ended.value.code == 2 and "--data must name a folder of photographs" in capsys.readouterr().err


@pytest.mark.parametrize(("ends", "verdict"), [((31, 33), HOLDS), ((27, 29), FAILS), ((29, 31), IN_PART)])
def test_the_claim_of_thirty_decibels_is_judged_by_intervals(ends, verdict):
    low, high = ends
    row = {
        "model": "m",
        "values saved": 48,
        "value": (low + high) / 2,
        "low": low,
        "high": high,
        "n": 9,
        "above 30 dB": 5,
    }
    summary = pd.DataFrame([row | {"kept by": way} for way in vae.COLUMNS])
    codecs = pd.DataFrame({"codec": "JPEG", "times fewer bytes": [10, 20], "psnr": [36.0, 32.0]})
    assert vae.concluded(summary, codecs)[0] == verdict


def test_transitions_count_what_no_end_shows_and_what_does_not_change_once():
    said = torch.tensor([[0, 1, 5, 2], [0, 1, 5, 9], [0, 2, 6, 2], [0, 2, 5, 2]])
    between, once = interpolation.transitions(said)
    assert between == (4 * 2 - 2) / 8, "the 9 and the 6 are of no end"
    assert once == 1, "of what the ends differ in there is one question, which changes once"
    back = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]])
    assert interpolation.transitions(back)[1] == 0.5, "the first goes there and back"
    assert math.isnan(interpolation.transitions(torch.zeros(3, 2))[1])


def test_the_reader_of_a_world_answers_alike_of_the_same_drawing_and_otherwise_of_another():
    world = "everyday"
    first, second = DRAWN[world].HELD_OUT_SEEDS[:2]
    images = from_uint8(drawings(world, [first, second, first]))
    said = interpolation.answers(world, images)
    assert said.shape == (3, 4 + 2 * 3) and torch.equal(said[0], said[2]) and not torch.equal(said[0], said[1])


def test_a_cross_fade_is_a_straight_even_way(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    ends = torch.rand(2, 3, 64, 64, generator=generator)
    frames = torch.cat([lerp(ends[:1], ends[1:], share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)])
    found = interpolation.measured("everyday", frames, torch.randn(7, 64, generator=generator))
    assert found["path"] == pytest.approx(1) and found["jump"] == pytest.approx(1) and found["fade dB"] == 60
    longer = interpolation.measured("everyday", frames[[0, 2, 0, 2, 4]], torch.randn(7, 64, generator=generator))
    assert longer["path"] == pytest.approx(2)


def test_the_interpolation_study_goes_every_way_between_the_same_ends(small, tmp_path, monkeypatch):
    monkeypatch.setattr(interpolation, "REAL", 8)
    command = ["--out", str(tmp_path), "interpolation", "--model", "small", "--pairs", "2", "--frames", "3"]
    assert study.main(command) == 0
    pairs = pd.read_csv(tmp_path / "interpolation" / "pairs.csv")
    assert pairs.groupby("way").size().to_dict() == dict.fromkeys(
        (*interpolation.CONTRAST, interpolation.FADE, interpolation.DRAWN), 2
    )
    apart = pd.read_csv(tmp_path / "interpolation" / "differences.csv").set_index(["way", "measure"])["difference"]
    value = pairs.set_index(["way", "pair"])["unreal"]
    expected = (value[interpolation.LERP] - value[interpolation.FADE]).mean()
    assert apart[interpolation.LERP, "unreal"] == pytest.approx(expected, rel=1e-4)


def maps_of(iou: tuple[float, float], chance: tuple[float, float]) -> pd.DataFrame:
    values = {
        "iou": iou,
        "pointing": iou,
        "iou by chance": chance,
        "pointing by chance": chance,
        "iou ceiling": (0.6, 0.7),
    }
    return pd.DataFrame(
        [
            {"t": 0.5, "figure": name, "value": sum(ends) / 2, "low": ends[0], "high": ends[1]}
            for name, ends in values.items()
        ]
    )


def test_words_attend_to_their_places_where_their_maps_are_above_chance():
    above, level = maps_of((0.3, 0.4), (0.1, 0.2)), maps_of((0.15, 0.4), (0.1, 0.2))
    assert conditioning.concluded(above, None)[0] == HOLDS
    assert conditioning.concluded(level, None)[0] == FAILS
    pictures = ["the real drawing", "drawn without control", "drawn with control, scale 1"]
    obeys = pd.DataFrame({"picture": pictures, "iou": ["0.9 [0.8, 0.95]", "0.2 [0.1, 0.3]", "0.5 [0.4, 0.6]"]})
    assert conditioning.concluded(above, obeys)[0] == HOLDS and conditioning.concluded(level, obeys)[0] == IN_PART
    obeys["iou"] = ["0.9 [0.8, 0.95]", "0.2 [0.1, 0.3]", "0.2 [0.1, 0.3]"]
    assert conditioning.concluded(level, obeys)[0] == FAILS


def test_the_conditioning_study_measures_maps_and_says_that_no_control_was(small, tmp_path):
    command = ["--out", str(tmp_path), "conditioning", "--model", "small", "--count", "3", "--calibration", "2"]
    assert study.main(command) == 0
    maps = pd.read_csv(tmp_path / "conditioning" / "maps.csv")
    assert {"iou", "pointing", "iou ceiling"} <= set(maps["figure"]) and maps["t"].nunique() == 4
    assert "No trained control ships" in (tmp_path / "conditioning" / "README.md").read_text()


def test_a_strip_has_a_column_for_each_picture():
    picture = Image.new("RGB", (8, 8))
    assert strips("s", {"a": [picture] * 2}, ["x", "y"], side=8).count("<image") == 2
    with pytest.raises(ValueError, match="row 'a' must have 2 pictures"):
        strips("s", {"a": [picture]}, ["x", "y"])


def test_the_noise_follows_from_v():
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 5, generator=generator)
    kept = 0.3
    noisy = math.sqrt(kept) * clean + math.sqrt(1 - kept) * noise
    v = math.sqrt(kept) * noise - math.sqrt(1 - kept) * clean
    torch.testing.assert_close(fashion.noise_of_v(v, noisy, kept), noise)


def test_a_kind_is_covered_from_half_of_its_even_share():
    kinds = pd.DataFrame({"kind": list("abcd"), "asked": 25, "seen": [40, 35, 13, 12], "right": [25, 20, 13, 12]})
    assert fashion.covered(kinds) == 3, "half of 25 is 12.5"
    near, kept, read = (mean([value, value + spread]) for value, spread in ((0.009, 0.002), (29.0, 1.0), (0.9, 0.02)))
    assert fashion.checks(near, kept, kinds)["holds"].tolist() == [True, True, False]
    verdict, words = fashion.concluded(near, kept, read, kinds, 1.25)
    assert verdict == IN_PART and "3 of 4 kinds are covered, the rarest, d, in 12" in words and "in 0.700" in words
    assert fashion.concluded(near, kept, read, kinds.assign(seen=25), 1.25)[0] == HOLDS


def test_the_loss_by_time_is_the_mean_of_what_was_found_there():
    table = fashion.by_time([(0.05, 1.0), (0.01, 3.0), (0.95, 5.0)], parts=10)
    assert table["t"].tolist() == [0.05, 0.95] and table["value"].tolist() == [2.0, 5.0]


def test_the_fashion_study_draws_the_shipped_model_and_needs_the_data_for_the_rest(capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        study.main(["--out", str(tmp_path), "fashion"])
    assert ended.value.code == 2 and "--data must name the folder" in capsys.readouterr().err
    model = ldm_core.load("fashion", dtype="float32", engine="torch")
    prompts = ["trousers", "a bag"]
    seen = fashion.seen_table(fashion.samples(model, prompts), prompts).set_index("kind")
    assert seen.loc["trouser", "right"] == 1 and seen.loc["bag", "asked"] == 1 and seen["seen"].sum() == 2
    (t, error), *_ = fashion.noise_errors(model, [torch.zeros(3, 32, 32)], ["a bag"])
    assert t == 0.5 and 0 < error < 1
