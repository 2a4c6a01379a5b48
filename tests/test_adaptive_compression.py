"""The study of latents that keep as many channels as a place needs, at a small size."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from evaluation import study
from evaluation.studies import adaptive_compression
from evaluation.studies.adaptive_compression import ALONE, ESTIMATED, FIXED, MEASURED_ERRORS
from evaluation.studies.networks import ordered
from evaluation.studies.study import FAILS, HOLDS, IN_PART
from ldm_core.data.test_card import test_card as drawn_card

LEVELS = (1, 2, 4)


def test_the_map_is_counted_at_its_entropy():
    assert ordered.cost_of(torch.zeros(4, 4, dtype=torch.long), LEVELS) == 1, "where all are alike nothing need be said"
    halves = torch.tensor([[0, 2], [0, 2]])
    assert ordered.cost_of(halves, LEVELS) == pytest.approx((1 + 4) / 2 + 1 / 8), "a bit a place"


def test_water_filling_is_the_best_of_all_maps_of_its_size():
    errors = torch.rand(3, 2, 3, generator=torch.Generator().manual_seed(1)).sort(dim=0, descending=True).values
    places = ordered.water_filled(errors, 2.6, LEVELS)
    spent, total = ordered.cost_of(places, LEVELS), float(errors.gather(0, places[None]).sum())
    assert spent <= 2.6
    for chosen in itertools.product(range(3), repeat=6):
        other = torch.tensor(chosen).view(2, 3)
        kept = sum(LEVELS[level] for level in chosen)
        if kept <= sum(LEVELS[level] for level in places.flatten().tolist()):
            assert float(errors.gather(0, other[None]).sum()) >= total - 1e-6
    with pytest.raises(ValueError, match="budget must allow 1 values a place, got 0.5"):
        ordered.water_filled(errors, 0.5, LEVELS)


def test_what_is_dropped_reads_as_zero():
    components = torch.ones(1, 12, 1, 2)
    found = ordered.kept(components, torch.tensor([[[2, 12]]]))
    assert found[0, :, 0, 0].tolist() == [1, 1] + [0] * 10 and found[0, :, 0, 1].tolist() == [1] * 12
    assert ordered.tails(components)[:, 0, 0].tolist() == [10, 8, 6, 4, 2, 0]


def test_channels_are_dropped_for_pictures_and_for_places():
    counts = ordered.drawn_counts(torch.zeros(64, 12, 5, 4), None, torch.Generator().manual_seed(0))
    assert counts.shape == (64, 5, 4) and set(counts.unique().tolist()) == set(ordered.LEVELS)
    whole = (counts == counts[:, :1, :1]).flatten(1).all(1)
    assert whole[:32].all() and not whole[32:].any()
    assert bool((counts[:, 0, 0] == counts[:, 1, 1]).all()), "squares of two by two"
    assert set(ordered.drawn_counts(torch.zeros(2, 12, 3, 3), 6, torch.Generator()).unique().tolist()) == {6}


@pytest.fixture(scope="module")
def squares():
    """Parts of the test card, ever more noise to the right: places differ in what they need."""
    card, rng = drawn_card().astype(float), np.random.default_rng(0)
    corners = rng.integers(0, min(card.shape[:2]) - 64, (8, 2))
    noise = rng.normal(size=(8, 64, 64, 3)) * np.linspace(0, 60, 64)[None, None, :, None]
    parts = np.stack([card[y : y + 64, x : x + 64] for y, x in corners]) + noise
    return parts.clip(0, 255).round().astype(np.uint8)


def test_components_are_uncorrelated_and_fall_and_all_of_them_are_the_latent(squares):
    module = ordered.ordered(squares)
    images = torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        components = module.encode(images)
        whole, plain = module.decode(components), module.vae.decode(module.vae.encode(images).latent).sample
    values = components.permute(0, 2, 3, 1).flatten(0, 2).double()
    covariance = values.T @ values / len(values)
    spread = covariance.diagonal()
    assert bool((spread.diff() <= 1e-6).all())
    assert float((covariance - spread.diag()).abs().max() / spread.max()) < 1e-3
    torch.testing.assert_close(whole, plain, atol=1e-3, rtol=0)


def test_the_estimate_is_the_line_of_least_squares_through_what_dropping_costs():
    energy = torch.tensor([0.0, 1.0, 2.0, 5.0])
    errors = torch.stack([0.3 + 2 * energy, 1 - energy, torch.full((4,), 0.7)])
    estimate = ordered.fitted(torch.stack([energy, energy, torch.zeros(4)]), errors)
    torch.testing.assert_close(estimate.slopes, torch.tensor([2.0, 0.0, 0.0]))
    torch.testing.assert_close(estimate.offsets, torch.tensor([0.3, -1.0, 0.7]))  # of what falls the mean
    noisy = errors[0] + torch.tensor([0.1, -0.1, -0.1, 0.1])
    slope, offset = np.polyfit(energy.numpy(), noisy.numpy(), 1)
    found = ordered.fitted(energy[None], noisy[None])
    assert [found.slopes.item(), found.offsets.item()] == pytest.approx([slope, offset], rel=1e-5)


def test_it_is_fitted_to_what_every_level_costs_real_photographs(squares):
    module = ordered.ordered(squares)
    estimate, pictured = (
        ordered.estimate_of(module, squares[:2]),
        torch.from_numpy(squares[:2]).permute(0, 3, 1, 2) / 255,
    )
    with torch.no_grad():
        components = [module.encode(image[None] * 2 - 1) for image in pictured]
    costs = [ordered.measured_errors(module, image[None], one) for image, one in zip(pictured, components)]
    mean = torch.stack(costs).mean((0, 2, 3))
    said = torch.stack([estimate.errors(one) for one in components]).mean((0, 2, 3))
    torch.testing.assert_close(said, mean, rtol=1e-3, atol=1e-6)
    assert mean[0] > mean[-1], "keeping all costs least"
    everything = ordered.decoded(module, components[0], torch.full((8, 8), 12))
    assert float(costs[0][-1].mean()) == pytest.approx(float((everything - pictured[:1]).square().mean()), rel=1e-4)


def tables(against_alone: str, against_fixed: str, slower: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = [
        {"budget": budget, "baseline": FIXED, "way": way, "verdict": against_fixed}
        for budget in adaptive_compression.BUDGETS
        for way in (ESTIMATED, MEASURED_ERRORS)
    ]
    rows += [
        {"budget": 6, "baseline": ALONE, "way": way, "verdict": against_alone} for way in (ESTIMATED, MEASURED_ERRORS)
    ]
    apart = pd.DataFrame(rows).assign(difference=0.1, low=0.0, high=0.2)
    values = [
        {"budget": 6, "way": way, "measure": measure, "value": slower if way == ESTIMATED else 1.0}
        for way in (FIXED, ESTIMATED, ALONE)
        for measure in ("psnr", "seconds")
    ]
    return apart, pd.DataFrame(values)


@pytest.mark.parametrize(
    ("against_alone", "slower", "verdict"),
    [
        (f"{ESTIMATED} is better", 1.01, HOLDS),
        (f"{ESTIMATED} is better", 1.2, IN_PART),
        ("tied at this n", 1.0, IN_PART),
        (f"{ALONE} is better", 1.0, FAILS),
    ],
)
def test_it_is_falsified_where_the_fixed_baseline_is_better(against_alone, slower, verdict):
    assert adaptive_compression.concluded(*tables(against_alone, f"{ESTIMATED} is better", slower))[0] == verdict


def test_the_study_trains_both_measures_all_and_resumes(tmp_path, squares, monkeypatch):
    monkeypatch.setattr(adaptive_compression, "FITTED", 2)
    card = drawn_card()
    for folder, images in (("train", [card[place : place + 176, :176] for place in range(9)]), ("test", squares[:4])):
        (tmp_path / folder).mkdir()
        for place, image in enumerate(images):
            Image.fromarray(np.ascontiguousarray(image)).save(tmp_path / folder / f"{place}.png")
    given = ["--data", str(tmp_path / "train"), "--test", str(tmp_path / "test"), "--minutes", "0.001"]
    command = ["--out", str(tmp_path), "adaptive-compression", *given]
    assert study.main(command) == 0
    out = tmp_path / "adaptive-compression"
    images, apart = (pd.read_csv(out / f"{name}.csv") for name in ("images", "differences"))
    assert len(images) == 4 * (3 * 3 + 1) and (images["values"] <= images["budget"] + 1e-9).all()
    row = apart[(apart["budget"] == 6) & (apart["baseline"] == ALONE) & (apart["way"] == ESTIMATED)].iloc[0]
    six = images[images["budget"] == 6].pivot(index="image", columns="way", values="psnr")
    assert row["difference"] == pytest.approx((six[ESTIMATED] - six[ALONE]).mean(), abs=1e-4)
    facts = json.loads((out / "study.json").read_text())
    assert f"{row['difference']:+.2f}" in facts["words"]
    logs = {path: path.read_bytes() for path in (out / "work").rglob("log.csv")}
    assert len(logs) == 2 and study.main(command) == 0
    assert {path: path.read_bytes() for path in logs} == logs, "nothing was trained twice"


def test_photographs_are_needed_and_none_is_both_trained_on_and_measured(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        study.main(["--out", str(tmp_path), "adaptive-compression"])
    assert ended.value.code == 2 and "--data must name a folder of photographs" in capsys.readouterr().err
    for place in range(12):
        Image.new("RGB", (176, 176), (20 * place, 0, 0)).save(tmp_path / f"{place:02d}.png")
    options = type("Options", (), {"data": str(tmp_path), "test": "", "pool": 20, "count": 3})()
    known, asked = adaptive_compression.photographs(options)
    reds = [round(float(image[0, 0, 0, 0]) * 255) for _, image in asked]
    assert reds == [0, 20 * 6, 20 * 11] and set(known[:, 0, 0, 0].tolist()).isdisjoint(reds) and len(known) == 9
