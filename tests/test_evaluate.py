"""The face from Python: an own model, an own sampler, an own metric and an own detector, beside the catalogue's names."""

from __future__ import annotations

import gc

import numpy as np
import pandas as pd
import pytest
import torch

from evaluation import evaluate
from evaluation.generation.jobs import with_seeds
from evaluation.prompts import Prompt
from evaluation.worlds import DRAWN_WORLD, caption_of, drawings
from ldm_core.conditioning import Conditioning
from ldm_core.images import from_uint8
from ldm_core.sampling import image_generators, image_seed, initial_noise
from ldm_core.schedulers import make_scheduler

WORDS = ["a red house", "two zebras", "a boat on a lake", "a blue car"]


def grey(prompts, seeds, settings):
    """An own model: a grey square whose lightness is the seed's, brighter with the guidance scale."""
    levels = torch.tensor([(seed % 100) / 400 + 0.1 * (settings["guidance_scale"] or 0) for seed in seeds])
    return levels[:, None, None, None].expand(-1, 3, 16, 16)


class Lightness:
    """An own metric."""

    name, higher_is_better = "lightness", True

    def score(self, images, prompts):
        assert images.dtype == torch.float32 and len(prompts) == len(images)
        return images.mean((1, 2, 3)).tolist()


class Colours:
    """An own detector: the mean of each channel, and of their squares."""

    name, sha256, dimension, resize = "colours", "0" * 64, 6, "none"

    def image_features(self, images):
        return torch.cat([images.mean((2, 3)), images.square().mean((2, 3))], 1)


def test_an_own_model_and_an_own_metric_give_tables_and_a_report(tmp_path):
    found = evaluate(grey, [Lightness()], prompts=WORDS, sweep={"guidance_scale": [1.0, 3.0]}, images_per_prompt=2)
    assert len(found.images) == 16 and list(found.images["condition"].unique()) == ["w = 1", "w = 3"]
    values = found.summary.set_index("condition")["value"]
    assert values["w = 3"] - values["w = 1"] == pytest.approx(0.2, abs=1 / 255)
    row = found.differences.iloc[0]
    assert row["pairing"] == "paired" and row["difference"] == pytest.approx(0.2, abs=1 / 255)
    assert row["verdict"] == "w = 3 is better"
    page = found.report(tmp_path / "report.html").read_text()
    assert "lightness" in page and "a boat on a lake" in page


def test_numbers_of_numpys_are_as_good_as_pythons():
    scales = np.arange(1, 3, dtype=np.float32)
    given = {"prompts": WORDS, "images_per_prompt": np.int64(1), "seed": np.uint8(3), "batch_size": np.int32(2)}
    found = evaluate(grey, [Lightness()], sweep={"guidance_scale": scales}, limit=np.int64(4), **given)
    plain = {"prompts": WORDS, "images_per_prompt": 1, "seed": 3, "batch_size": 2}
    same = evaluate(grey, [Lightness()], sweep={"guidance_scale": [1.0, 2.0]}, limit=4, **plain)
    assert found.summary.equals(same.summary)
    for name, value in (("limit", 0), ("batch_size", 1.5), ("images_per_prompt", 10**9), ("seed", -1)):
        with pytest.raises(ValueError, match=f"{name} must be an integer"):
            evaluate(grey, [Lightness()], **(plain | {name: value}))


def test_seeds_of_an_own_model_are_those_of_every_run():
    found = with_seeds([Prompt(0, "a"), Prompt(1, "b", seed=0), Prompt(2, "a")], run_seed=5)
    assert [seed for _, seed in found] == [image_seed(5, "a", 0), 0, image_seed(5, "a", 1)]


def test_a_model_that_draws_the_world_scores_what_its_drawings_score(tmp_path):
    def artist(prompts, seeds, settings):
        return from_uint8(drawings(DRAWN_WORLD, range(len(prompts)), 128))

    captions = [caption_of(DRAWN_WORLD, seed) for seed in range(8)]
    found = evaluate({"true": artist, "grey": grey}, ["scene_accuracy"], prompts=captions, batch_size=8)
    every = ~found.summary["category"].astype(str).str.contains(":")  # not one skill's
    values = found.summary[every].set_index("images")["value"]
    assert values["true"] > values["grey"]


def heun(model, steps):
    """An own sampler over the model's own denoiser, which predicts epsilon: Heun's method (Karras et al. 2022, algorithm 1)."""
    alphas = make_scheduler(model.scheduler_config).alphas_cumprod
    levels = ((1 - alphas) / alphas).sqrt()

    def sample(prompts, seeds, settings):
        text = Conditioning.stack([model.conditioner.encode(prompt) for prompt in prompts])
        ramp = torch.linspace(float(levels[-1]) ** (1 / 7), float(levels[0]) ** (1 / 7), steps) ** 7
        times = torch.searchsorted(levels, ramp).clamp(max=999)
        sigmas = torch.cat([levels[times], torch.zeros(1)])

        def slope(x, i):  # dx / dsigma = epsilon
            return model.denoiser(x * alphas[times[i]].sqrt(), times[i], text, 16)

        x = (1 + sigmas[0] ** 2).sqrt() * initial_noise(image_generators(seeds), (4, 16, 16))
        for i in range(steps):
            d, step = slope(x, i), sigmas[i + 1] - sigmas[i]
            x = x + step * ((d + slope(x + step * d, i + 1)) / 2 if i + 1 < steps else d)
        return model.decode(x)

    return sample


def test_an_own_sampler_over_the_models_denoiser_is_compared_with_the_models_own(tiny):
    def own(prompts, seeds, settings):
        return tiny.sample(prompts, seeds, guidance_scale=1.0, steps=100)

    assert (heun(tiny, 20)(WORDS, [1, 2, 3, 4], None) - own(WORDS, [1, 2, 3, 4], None)).abs().mean() < 0.02
    sets = {"ddim": own, "heun": heun(tiny, 4)}
    found = evaluate(sets, [Lightness(), Colours()], prompts=WORDS, asked_for=False)
    assert set(found.differences["pairing"]) == {"paired"} and len(found.differences) == 1
    assert found.images["lightness"].notna().all() and len(found.images) == 8
    assert "ships no reference" in found.summary.set_index("metric").loc["fd_colours", "note"]


def test_an_own_detector_gives_its_distances_and_none_to_its_own_images(tmp_path):
    def noise(prompts, seeds, settings):
        return torch.stack([torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in seeds])

    words = [f"number {index}" for index in range(20)]
    evaluate(noise, [Lightness()], prompts=words, out=tmp_path / "real")
    found = evaluate(
        {"same": noise, "dark": lambda *given: noise(*given) / 2},
        [Colours()],
        tmp_path / "real" / "images",
        words,
        out=tmp_path / "out",
    )
    values = found.summary.set_index(["metric", "images"])["value"]
    assert values["fd_colours", "same"] == pytest.approx(0, abs=1e-9) and values["fd_colours", "dark"] > 0.1
    assert set(found.differences["verdict"].str.contains("same is better")) == {True}


def test_an_own_metric_is_computed_anew_and_one_with_a_hash_is_not(tmp_path):
    calls = []

    class Counted(Lightness):
        def score(self, images, prompts):
            calls.append(len(images))
            return super().score(images, prompts)

    evaluate(grey, [Lightness()], prompts=WORDS, out=tmp_path / "set")
    folder = tmp_path / "set" / "images"
    for _ in range(2):
        evaluate(folder, [Counted()], out=tmp_path / "out")
    assert len(calls) == 2 and not list((tmp_path / "out" / "features").iterdir())
    calls.clear()
    Counted.sha256 = "1" * 64
    for _ in range(2):
        evaluate(folder, [Counted()], out=tmp_path / "out")
    assert len(calls) == 1


def test_nothing_is_kept_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = evaluate(grey, [Lightness()], prompts=WORDS)
    assert len(list(tmp_path.rglob("*.png"))) == len(found.images) == 4
    del found
    gc.collect()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("image_set", "metrics", "more", "words"),
    [
        (grey, [Lightness()], {}, "needs prompts"),
        (grey, ["unheard_of"], {"prompts": WORDS}, "is unknown"),
        (grey, [object()], {"prompts": WORDS}, "name, higher_is_better and score"),
        (grey, [Lightness(), Lightness()], {"prompts": WORDS}, "two metrics are called 'lightness'"),
        ([], [Lightness()], {"prompts": WORDS}, "at least one folder"),
        (lambda *given: torch.zeros(1, 3, 4, 4), [Lightness()], {"prompts": WORDS}, r"\(4, 3, H, W\) for 4 prompts"),
        (lambda p, *rest: torch.full((len(p), 3, 4, 4), 255.0), [Lightness()], {"prompts": WORDS}, r"in \[0, 1\]"),
        (grey, [Lightness()], {"prompts": WORDS, "sweep": {"colour": [1]}}, "sweep must be settings"),
        (grey, [Lightness()], {"prompts": WORDS, "reference": "nowhere.npz"}, "nowhere.npz"),
    ],
)
def test_what_cannot_be_evaluated_is_said_in_one_line(image_set, metrics, more, words):
    with pytest.raises(ValueError, match=words) as caught:
        evaluate(image_set, metrics, **more)
    assert "\n" not in str(caught.value)


def test_an_image_without_a_finite_score_is_left_out_of_a_mean_and_counted():
    class Decibels(Lightness):
        name = "decibels"

        def score(self, images, prompts):
            return [float("inf") if "zebras" in prompt else 10.0 + len(prompt) for prompt in prompts]

    found = evaluate(grey, [Decibels()], prompts=WORDS, sweep={"guidance_scale": [1.0, 3.0]})
    expected = np.mean([10.0 + len(prompt) for prompt in WORDS if "zebras" not in prompt])
    assert found.summary["value"].tolist() == [pytest.approx(expected)] * 2 and set(found.summary["n"]) == {3}
    assert found.summary["note"].str.contains("1 of 4 images have no finite value and are left out").all()
    assert np.isfinite(found.summary[["se", "low", "high"]].to_numpy(float)).all()
    assert found.differences["difference"].tolist() == [0.0]
    nothing = evaluate(grey, [Decibels()], prompts=["two zebras", "three zebras", "four zebras"])
    assert nothing.summary["value"].isna().all() and "no image has a finite value" in nothing.summary["note"].iloc[0]


def test_what_is_no_number_no_text_or_no_settings_is_one_line():
    class Words(Lightness):
        def score(self, images, prompts):
            return ["good"] * len(prompts)

    for given, more, words in (
        (Words(), {"prompts": WORDS}, "the metric lightness must give numbers, NaN where it has none, got .'good'"),
        (Lightness(), {"prompts": ["a", 5]}, "prompts must be text, got 5"),
        (Lightness(), {"prompts": ["\ud800"]}, "prompts must be text that UTF-8 can hold"),
        (Lightness(), {"prompts": WORDS, "settings": {"steps": 3}}, "settings must be SamplingSettings"),
    ):
        with pytest.raises(ValueError, match=words):
            evaluate(grey, [given], **more)


def test_an_own_metric_cannot_take_a_famous_name():
    class Fid(Lightness):
        name = "fid"

    with pytest.raises(ValueError, match="that name is taken"):
        evaluate(grey, [Fid()], prompts=WORDS)


def test_tables_have_the_columns_that_files_have(tmp_path):
    found = evaluate(grey, [Lightness()], prompts=WORDS, out=tmp_path)
    found.write(tmp_path)
    for name in ("summary", "images", "differences"):
        assert list(pd.read_csv(tmp_path / f"{name}.csv").columns) == list(getattr(found, name).columns)
