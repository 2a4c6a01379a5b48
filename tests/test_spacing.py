"""Steps that lie nearer to noise: the closed form, diffusers' own solvers given the same timesteps, and what they are for."""

from __future__ import annotations

import itertools
import json

import diffusers
import pytest
import torch

import ldm_core
from evaluation.detectors.detector import load_detector
from ldm_core.registry import WEIGHTS
from ldm_core.sampling import denoise, image_generators, initial_noise
from ldm_core.schedulers import SCHEDULERS, make_scheduler, set_steps, time_of
from ldm_core.spacing import shifted, shifted_timesteps
from ldm_core.tasks import image_to_image
from ldm_core.training.config import DENOISERS
from ldm_core.training.train_denoiser import noise_schedule

PROMPTS, SEEDS = ["a red house at night", "clouds"], [7, 8]
V = {
    "_class_name": "DDIMScheduler",
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "clip_sample": False,
}
EPSILON = V | {"prediction_type": "epsilon", "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def test_a_shift_of_four_moves_even_times_as_the_equation_says():
    assert [shifted(t, 4) for t in (1, 0.5, 0.2, 0)] == pytest.approx([1, 0.8, 0.5, 0])
    assert [shifted(t, 1) for t in (1, 0.3, 0)] == [1, 0.3, 0]
    assert shifted(shifted(0.3, 4), 1 / 4) == pytest.approx(0.3), "a shift of 1/s undoes one of s"
    assert shifted_timesteps([999, 749, 499, 249], 1000, 4) == [999, 922, 799, 570]


@pytest.mark.parametrize("steps", [1, 2, 8, 50, 300, 1000])
@pytest.mark.parametrize("shift", [0.25, 1.5, 4, 50])
def test_shifted_steps_are_as_many_fall_and_stay_within_the_schedule(steps, shift):
    even = make_scheduler(V)
    set_steps(even, steps)
    moved = make_scheduler(V, shift=shift)
    set_steps(moved, steps)
    assert len(moved.timesteps) == steps and moved.timesteps[0] == 999
    assert all(before > after >= 0 for before, after in itertools.pairwise(moved.timesteps.tolist()))
    pairs = zip(even.timesteps.tolist(), moved.timesteps.tolist())
    assert all(there >= here for here, there in pairs) or shift < 1


def the_same_everywhere(pipeline, timesteps, **more):
    pipeline.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    given = {"generator": generators, "guidance_scale": 5.0, "output_type": "pt", "timesteps": timesteps}
    return pipeline(PROMPTS, **given, **more).images


@pytest.mark.parametrize("family", ["tiny_folder", "tiny_v_folder"])
@pytest.mark.parametrize("name", ["dpm++2m", "euler", "ddpm"])
def test_diffusers_pipeline_draws_the_same_from_the_same_timesteps(request, family, name):
    folder = request.getfixturevalue(family)
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder)
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    pipeline.scheduler = make_scheduler(config, name)
    ours = make_scheduler(config, name, shift=3.0)
    set_steps(ours, 6)
    theirs = the_same_everywhere(pipeline, [int(each) for each in ours.timesteps])
    model = ldm_core.load(str(folder), device="cpu", dtype="float32")
    drawn = model.sample(PROMPTS, SEEDS, 5.0, steps=6, scheduler=name, shift=3.0)
    torch.testing.assert_close(drawn, theirs, atol=3e-4, rtol=0)
    even = model.sample(PROMPTS, SEEDS, 5.0, steps=6, scheduler=name)
    assert (drawn - even).abs().max() > 0.01


def run(config, name, shift, steps=9):
    """A loop over a made-up network, which is no constant and no line."""
    noise = initial_noise(image_generators(SEEDS), (4, 2, 2))

    def predict(latent, timestep, t):
        return torch.sin(3 * latent) * (0.5 + t) - 0.2 * latent

    scheduler = make_scheduler(config, name, shift)
    return list(denoise(predict, scheduler, noise, image_generators(SEEDS), steps))[-1].latent


@pytest.mark.parametrize("config", [V, EPSILON])
@pytest.mark.parametrize("shift", [0.5, 2, 5])
def test_ddim_over_shifted_steps_is_diffusers_first_order_solver_over_them(config, shift):
    first_order = {**config, "_class_name": "DPMSolverMultistepScheduler", "solver_order": 1}
    torch.testing.assert_close(run(config, None, shift), run(first_order, None, shift), atol=2e-4, rtol=1e-4)


def test_ddim_unshifted_stays_diffusers_own():
    assert type(make_scheduler(V)) is diffusers.DDIMScheduler is type(make_scheduler(V, "ddim", 1.0))
    torch.testing.assert_close(run(V, None, 1.0, steps=8), run(V, None, 1.0001, steps=8), atol=1e-4, rtol=0)


@pytest.mark.parametrize("thresholding", [{"clip_sample": True, "clip_sample_range": 0.5}, {"thresholding": True}])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_ddim_over_shifted_steps_clips_as_diffusers_does(thresholding, prediction_type):
    config = V | thresholding | {"prediction_type": prediction_type}
    ours, theirs = make_scheduler(config, shift=2.0), diffusers.DDIMScheduler.from_config(config)
    set_steps(ours, 2)
    theirs.set_timesteps(2)
    latent, said = (torch.randn(2, 4, 2, 2, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    clean = ours.step(said, ours.timesteps[1], latent).pred_original_sample
    expected = theirs.step(said, ours.timesteps[1], latent).pred_original_sample
    torch.testing.assert_close(clean, expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="eta must be 0"):
        ours.step(said, ours.timesteps[0], latent, eta=0.5)


@pytest.mark.parametrize("name", ["unipc", "euler-ancestral", "HeunDiscreteScheduler", "DEISMultistepScheduler"])
def test_every_solver_that_takes_a_shift_has_the_noise_of_its_moved_steps(name):
    scheduler = make_scheduler(V, name, 4.0)
    set_steps(scheduler, 8)
    alpha_bars = make_scheduler(V).alphas_cumprod
    for timestep, sigma in zip(scheduler.timesteps.tolist(), scheduler.sigmas.tolist()):
        a = float(alpha_bars[int(timestep)])
        assert sigma == pytest.approx(((1 - a) / a) ** 0.5, rel=1e-3)
    assert len(scheduler.sigmas) == len(scheduler.timesteps) + 1
    assert torch.isfinite(run(V, name, 4.0)).all()


def test_a_solver_whose_steps_follow_a_rule_of_their_own_refuses_a_shift_and_is_not_on_offer(tiny_folder):
    for name, more in (("pndm", {}), ("dpm++2m", {"use_karras_sigmas": True})):
        with pytest.raises(ValueError, match=r"spaces its steps by a rule of its own: shift must be 1 .* got 4"):
            make_scheduler(V | more, name, 4.0)
        make_scheduler(V | more, name, 1.0)
    model = ldm_core.load("scenes", device="cpu")
    assert "pndm" not in model.scheduler_names and "ddim" in model.scheduler_names
    assert "pndm" in ldm_core.load(str(tiny_folder), device="cpu").scheduler_names
    with pytest.raises(ValueError, match="pndm .* shift must be 1"):
        model.sample("a cat", 1, scheduler="pndm")
    model.resolve(scheduler="pndm", shift=1)


def test_a_flow_models_shift_is_its_own_key(tiny_sd3_folder):
    model = ldm_core.load(str(tiny_sd3_folder), device="cpu", dtype="float32")
    assert model.scheduler_config["shift"] == 3.0 and model.resolve().shift is None
    own, same, other = (model.sample(PROMPTS[0], 1, steps=4, **given) for given in ({}, {"shift": 3}, {"shift": 1}))
    assert torch.equal(own, same) and not torch.equal(own, other)
    dynamic = model.scheduler_config | {"use_dynamic_shifting": True}
    scheduler = make_scheduler(dynamic, shift=2.0)
    set_steps(scheduler, 4)
    assert scheduler.sigmas[:3].tolist() == pytest.approx([shifted(t, 2) for t in (1, 2 / 3, 1 / 3)], abs=1e-2)
    with pytest.raises(ValueError, match="shift must be 1 for EDM"):
        make_scheduler({"_class_name": "EDMEulerScheduler"}, shift=2.0)


def test_a_models_own_shift_is_written_into_its_recipes_and_left_out_of_all_others(tiny_folder):
    scenes = ldm_core.load("scenes", device="cpu")
    assert scenes.own_shift == scenes.resolve().shift == 4 and scenes.resolve(shift=1).shift == 1
    assert json.loads(scenes.recipe("a cat", 1).to_json())["shift"] == 4
    tiny = ldm_core.load(str(tiny_folder), device="cpu")
    assert tiny.own_shift is None and "shift" not in json.loads(tiny.recipe("a cat", 1).to_json())


def test_a_trained_folder_keeps_the_shift_of_its_recipe(tmp_path):
    for name, own in (("scenes-cpu", 4.0), ("scenes-gpu", 4.0), ("fashion", None)):
        noise_schedule(DENOISERS[name]).save_pretrained(tmp_path / name)
        config = json.loads((tmp_path / name / "scheduler_config.json").read_text())
        assert config.get("shift") == own and config["_class_name"] == SCHEDULERS["ddim"]
    shipped = json.loads((WEIGHTS / "scenes" / "scheduler" / "scheduler_config.json").read_text())
    assert shipped == json.loads((tmp_path / "scenes-gpu" / "scheduler_config.json").read_text())


def test_a_loop_that_begins_at_an_image_takes_even_steps():
    model = ldm_core.load("scenes", device="cpu")
    image = torch.rand(3, 256, 256, generator=torch.Generator().manual_seed(0))
    start = image_to_image.start_of(model, image)
    assert model.resolve(start=start).shift == 1 and model.resolve(start=start, strength=1.0).shift == 4
    with pytest.raises(ValueError, match="shift is for pictures drawn from noise alone"):
        model.resolve(start=start, shift=3)
    times = [state.t for state in model.denoise("a cat", 1, start=start, strength=0.5)]
    assert times == pytest.approx([0.5, 0.375, 0.25, 0.125], abs=2e-3)


def test_a_storm_is_no_night():
    """What a shift is for: one long step from pure noise leaves the light of the mean of all pictures."""
    model, reader = ldm_core.load("scenes", device="cpu"), load_detector("everyday")
    stormy = [f"{thing} in a storm" for thing in ("a red house", "two sheep", "a woman", "a car", "a tree", "a dog")]
    own, even = (
        sum(reader.extract(model.sample(stormy, list(range(6)), **given), stormy)[1]["scene_accuracy_sky"])
        for given in ({}, {"shift": 1})
    )
    assert own >= 5 > even


@pytest.mark.slow  # 48 pictures
def test_where_no_sky_is_named_any_may_come():
    model, reader = ldm_core.load("scenes", device="cpu"), load_detector("everyday")
    free = ["a cat", "a red car", "three sheep", "a house"] * 6
    skies, even_skies = (
        {reading.scene.sky for reading in reader.read(model.sample(free, list(range(24)), **given))}
        for given in ({}, {"shift": 1})
    )
    assert even_skies < skies and "sunset" in skies


def test_times_of_shifted_steps_are_theirs():
    scheduler = make_scheduler(V, shift=4.0)
    set_steps(scheduler, 4)
    assert [time_of(scheduler, each) for each in scheduler.timesteps] == pytest.approx([1, 0.923, 0.8, 0.571], abs=2e-3)
